"""What the doctor makes of inboxes and outboxes: each judgement apart from the looking."""

from pathlib import Path

import pytest

from transcribed.config.inbox import Inbox
from transcribed.doctor import folders
from transcribed.doctor.folder_trial import FolderReport, WriteTrial

GIB = 2**30

INBOX = Inbox(path="/srv/inbox", outbox="/srv/outbox")

FOLDER = Path("/srv/folder")


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


@pytest.mark.parametrize(
    ("watch", "kind", "told"),
    [
        ("auto", "ext4", "noticed by events (ext4 is local)"),
        ("auto", "nfs4", "scanned every 10 s (nfs4: no events for changes by other machines)"),
        ("poll", "ext4", "scanned every 10 s (ext4: as configured)"),
        ("events", "cifs", "noticed by events (cifs)"),
    ],
)
def test_how_files_are_noticed_is_told_with_the_reason(watch, kind, told):
    assert told in folders.watched(INBOX.model_copy(update={"watch": watch}), kind)


def test_events_on_a_share_are_warned_of():
    inbox = INBOX.model_copy(update={"watch": "events"})
    assert levels(folders.judge_inbox(inbox, None, FOLDER, FolderReport("cifs"), "transcribed")) == ["ok", "warning"]


def test_recordings_that_the_service_may_not_read_are_counted():
    report = FolderReport("ext4", closed_files=3, closed_folders=2)
    told = list(folders.judge_inbox(INBOX, None, FOLDER, report, "transcribed"))
    assert told[1].sentence == "transcribed cannot read 3 of the files in /srv/folder."
    assert told[2].sentence == "transcribed cannot enter 2 folders in /srv/folder."


def test_a_recording_that_cannot_be_moved_away_is_a_fault():
    sight = FolderReport("ext4", trial=WriteTrial(moved="Invalid cross-device link"))
    assert levels(folders.judge_inbox(INBOX, Path("/other"), FOLDER, sight, "transcribed")) == ["ok", "fault"]


@pytest.mark.parametrize(
    ("sight", "expected"),
    [
        (FolderReport("ext4", free_bytes=9 * GIB, free_inodes=10**6, trial=WriteTrial()), ["ok"]),
        (FolderReport("ext4", free_bytes=9 * GIB, free_inodes=12, trial=WriteTrial()), ["ok", "warning"]),
        (FolderReport("ext4", free_bytes=GIB // 2, trial=WriteTrial()), ["ok", "warning"]),
        (
            FolderReport("ext4", free_bytes=4096, trial=WriteTrial(refused="No space left on device")),
            ["fault", "fault"],
        ),
        (
            FolderReport("cifs", free_bytes=9 * GIB, trial=WriteTrial(keeps_mode=False, knows_case=False)),
            ["ok", "note", "note"],
        ),
        (FolderReport("ext4", free_bytes=9 * GIB, trial=WriteTrial(keeps_group=False)), ["ok", "note"]),
    ],
)
def test_an_outbox_is_judged_by_what_it_took_and_what_is_left(sight, expected):
    assert levels(folders.judge_outbox(FOLDER, sight, "transcribed")) == expected
