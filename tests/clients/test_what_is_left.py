"""What all uploads together leave behind; the last module of its folder, so it looks at what the others have brought.

Knows folders and the ledger; nothing of programs.
"""

import shutil
import sqlite3

import pytest

from tests.clients.installation import AFTERS
from tests.clients.sending import check_whole
from tests.support.site import wait_for
from transcribed.output.source_actions import SECOND_LOOK_SECONDS

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1800)]
CLEANUP_SECONDS = SECOND_LOOK_SECONDS + 2 * 60  # after the second look, it is tried again every minute


@pytest.fixture(scope="module")
def used(installation):
    """The installation, with at least one recording in each inbox."""
    for after in AFTERS:
        upload = installation.upload("copied.wav", after)
        shutil.copy(upload.source, upload.target)
        check_whole(installation, upload)
    return installation


def test_what_was_deleted_is_gone_after_a_second_look(used):
    inbox = used.inbox("delete")
    wait_for(lambda: not list(inbox.rglob(".deleted-by-transcribed-*")), CLEANUP_SECONDS, "the second look")
    assert not list(inbox.rglob("copied.wav"))


def test_no_recording_waits_for_anything(used):
    unfinished = "state in ('queued', 'active') or state = 'done' and error is null and tidied = 0"
    db = sqlite3.connect(f"file:{used.state}/ledger.db?mode=ro", uri=True, timeout=30)
    wait_for(
        lambda: not db.execute(f"select path from job where {unfinished}").fetchall(),
        CLEANUP_SECONDS,
        "the end of all jobs",
    )
    db.close()


def test_no_note_is_left_in_the_outboxes(used):
    assert not [note for note in used.seen.notes if note.exists()]


def test_no_text_was_shown_twice_and_none_without_words(used):
    for path, texts in used.seen.texts.items():
        assert len(texts) == len(set(texts)), path
        assert all(texts), path
