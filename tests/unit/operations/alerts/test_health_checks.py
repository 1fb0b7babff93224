"""What is bad of what was measured, and in which words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.fakes import card, daemon_status, slot_status
from transcribed.config.inbox import Inbox
from transcribed.config.operations import AlertSettings
from transcribed.config.settings import Settings
from transcribed.operations.alerts import health_checks
from transcribed.operations.alerts.folder_probe import NO_ANSWER, FolderStatus
from transcribed.operations.alerts.health_checks import HostMemory
from transcribed.operations.status import FileReason, InboxStatus, OldestFile, RecentFiles

GIB = 2**30
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
STATE, INBOX, OUTBOX = Path("/state"), Path("/in"), Path("/out")
MEMORY = HostMemory(100 * GIB, 50 * GIB, 3 * GIB)
HERE = FolderStatus(1, 500 * GIB, 1000 * GIB, 10**6, 10**7, True)


def configured(**alerts):
    return Settings(state_dir=STATE, inbox=(Inbox(path=INBOX, outbox=OUTBOX),), alerts=AlertSettings(**alerts))


def bad(told=None, seen=None, memory=MEMORY, lost=0, **alerts):
    """The bad findings: rule and subject -> sentence."""
    folders = {STATE: HERE, STATE / "spool": HERE, INBOX: HERE, OUTBOX: HERE} | (seen or {})
    groups = health_checks.conditions(configured(**alerts), told or daemon_status(), folders, memory, lost, NOW)
    found = [finding for group in groups for finding in group]
    assert len({(f.rule, f.subject) for f in found}) == len(found)
    assert all(finding.hint for finding in found if finding.bad)
    return {f"{finding.rule} {finding.subject}": finding.sentence for finding in found if finding.bad}


def test_when_all_is_well_nothing_is_bad():
    assert bad() == {}


@pytest.mark.parametrize(("used", "limit", "is_bad"), [(21.5, 0.9, False), (21.7, 0.9, True), (20, 0.8, True)])
def test_a_card_is_full_above_the_limit_whoever_holds_it(used, limit, is_bad):
    told = daemon_status(slots=(slot_status("cuda:0", card(used, others=5 * GIB)),))
    found = bad(told, vram_limit=limit)
    assert bool(found) == is_bad
    assert not is_bad or "Other programs hold 5.0 GiB" in found["vram cuda:0"]


def test_a_missing_card_is_reported_with_the_reason():
    """The CPU is no card."""
    assert bad(daemon_status(slots=(slot_status("cpu:0", None),))) == {}
    lost = daemon_status(slots=(slot_status("cuda:0", None),), cards="The NVIDIA driver is not loaded.")
    assert bad(lost) == {"gpu cuda:0": "cuda:0 cannot be used: The NVIDIA driver is not loaded."}
    assert "gpu cuda:0" in bad(daemon_status(slots=(slot_status("cuda:0", card(0, trouble="It is lost.")),)))


def test_memory_is_short_for_the_machine_or_by_us():
    assert set(bad(memory=HostMemory(100 * GIB, 4 * GIB, 3 * GIB))) == {"ram machine"}
    assert set(bad(memory=HostMemory(100 * GIB, 50 * GIB, 81 * GIB))) == {"ram transcribed"}
    assert set(bad(memory=MEMORY, ram_available="51 GiB", ram_ours="2 GiB")) == {"ram machine", "ram transcribed"}


def test_a_full_disk_is_reported_once_for_all_the_folders_on_it():
    full = FolderStatus(1, GIB, 1000 * GIB, 10**6, 10**7, True)
    found = bad(seen={STATE: full, STATE / "spool": full, OUTBOX: full, INBOX: full})
    assert found == {"disk /state": "The disk of /state has 1.0 GiB of 1000.0 GiB free."}
    apart = FolderStatus(2, GIB, 1000 * GIB, 10**6, 10**7, True)
    assert set(bad(seen={OUTBOX: apart})) == {"disk /out"}
    assert bad(seen={INBOX: apart}) == {}  # only read from
    assert set(bad(disk_free=0.6)) == {"disk /state"}


def test_a_disk_without_free_inodes_is_full():
    """One that does not count inodes is not."""
    assert (
        "10 of 10000 inodes" in bad(seen={OUTBOX: FolderStatus(2, 500 * GIB, 1000 * GIB, 10, 10**4, True)})["disk /out"]
    )
    assert bad(seen={OUTBOX: FolderStatus(2, 500 * GIB, 1000 * GIB, 0, 0, True)}) == {}


def test_an_unreadable_or_unresponsive_inbox_is_reported():
    troubled = daemon_status(inboxes=(InboxStatus("/in", "poll", "/in cannot be read: Stale file handle", None),))
    assert bad(troubled) == {"inbox /in": "/in cannot be read: Stale file handle"}
    assert bad(seen={INBOX: NO_ANSWER}) == {"inbox /in": "/in cannot be reached: No answer from the folder."}
    stuck = daemon_status(inboxes=(InboxStatus("/in", "poll", None, 1800),))
    assert bad(stuck) == {"inbox /in": "/in has not been scanned for 30 minutes."}


def test_an_outbox_that_is_gone_or_not_writable_is_reported():
    assert set(bad(seen={OUTBOX: "No such file or directory."})) == {"outbox /out"}
    assert bad(seen={OUTBOX: FolderStatus(1, 500 * GIB, 1000 * GIB, 1, 1, False)}) == {
        "outbox /out": "/out cannot be written."
    }


def test_benched_slots_and_workers_that_die_too_often_are_told_of():
    benched = daemon_status(benched={"cuda:0": "The model is not there.", "prepare:0": "No memory."})
    assert set(bad(benched)) == {"bench cuda:0", "bench prepare:0"}
    assert bad(lost=5) == {}
    assert bad(lost=6) == {"restarts workers": "6 workers died or hung within the last hour."}


def test_many_failed_files_are_one_finding_that_names_none():
    told = daemon_status(lately=RecentFiles({"/in": 12}, None), failed=(FileReason(1, "/in/secret.wav", None),))
    assert bad(told) == {"failed-files /in": "12 files failed in /in in the last 4 hours."}
    assert bad(told, failed_files=12) == {}
    assert "1 file failed" in bad(daemon_status(lately=RecentFiles({"/in": 1}, None)))["failed-files /in"]


@pytest.mark.parametrize(
    ("since", "is_bad"), [("2026-11-19T13:00:00+00:00", False), ("2026-11-19T11:00:00+00:00", True)]
)
def test_a_file_that_waits_for_too_long_is_told_of(since, is_bad):
    found = bad(daemon_status(lately=RecentFiles({}, OldestFile("/in", since))))
    assert found == ({"waiting queue": "A file in /in has waited for 25 hours."} if is_bad else {})


def test_a_ledger_that_refuses_is_told_of():
    assert bad(daemon_status(ledger="The ledger cannot be written: full")) == {
        "ledger ledger": "The ledger cannot be written: full"
    }


def test_an_unused_configuration_is_reported_as_long_as_it_is_unused():
    assert bad(daemon_status(rejected="The new configuration is not used: it is no TOML.")) == {
        "configuration configuration": "The new configuration is not used: it is no TOML."
    }


def test_the_memory_of_this_machine_and_of_this_process_can_be_measured():
    measured = health_checks.host_memory()
    assert 0 < measured.available < measured.total
    assert 2**20 < measured.ours < measured.total
