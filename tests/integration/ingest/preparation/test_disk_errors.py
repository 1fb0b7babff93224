"""Errors of a disk or share, at every call that a preparing process makes: never a recording's fault."""

import errno
import json
import subprocess
import sys

import pytest

from tests.support import failing_calls
from tests.support.patience import patient
from tests.support.speech import save, say

CALLS = ("open", "fstat", "stat", "read")
ERRORS = (
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.EREMOTEIO),
    *(errno.ENODEV, errno.ENXIO, errno.EBUSY, errno.ENOMEM, errno.ENFILE, errno.EAGAIN),
)
PASSING = range(8)  # calls that succeed before the first that fails

CHILD = """
import json, sys
from pathlib import Path
from tests.support.failing_calls import Script
from tests.support.fakes import OPTIONS, job
from transcribed.config.recording import InboxDefaults
from transcribed.ingest.preparation.preparer import PreparationLimits, make_preparer
from transcribed.ingest.scanner import source_of
from transcribed.recognition.model_store import SHIPPED

folder, script, table = Path(sys.argv[1]), Script(Path(sys.argv[2])), json.loads(sys.argv[3])
path = folder / "in" / "a.wav"
source = source_of(path.parent, path, path.stat())
inboxes = {folder / "in": InboxDefaults(OPTIONS)}
work = make_preparer(folder / "spool", SHIPPED / "vad", PreparationLimits(), inboxes, (), "test", lambda: None)
for call, error, passing in table:
    script.fail(call, error, folder / "in", passing)
    try:
        work(job(source=source), lambda: None)
        told = "prepared"
    except Exception as fault:
        told = f"{type(fault).__name__}: {fault}"
    print(json.dumps([call, error, passing, script.stop(), told]))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a preparing process says of each call and error."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "in").mkdir()
    (folder / "spool").mkdir()
    save(folder / "in" / "a.wav", say("one two"))
    (folder / "in" / "a.wav.transcribe.toml").write_text('title = "x"')
    table = [(call, error, passing) for call in CALLS for error in ERRORS for passing in PASSING]
    script = failing_calls.Script(folder / "script")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(folder / "script"), json.dumps(table)],
        env=script.environment(failing_calls.build(folder)),
        capture_output=True,
        text=True,
        timeout=patient(120),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_error_of_a_disk_at_any_call_is_a_recordings_fault(told):
    assert len(told) == len(CALLS) * len(ERRORS) * len(PASSING)
    wrong = [row for row in told if row[3] and not row[4].startswith(("Unavailable: ", "prepared"))]
    assert wrong == []


@pytest.mark.parametrize("call", ["open", "fstat", "read"])
def test_each_kind_of_call_was_seen_to_fail_and_delayed_the_file(told, call):
    delayed = [row for row in told if row[0] == call and row[3] and row[4].startswith("Unavailable: ")]
    assert {row[1] for row in delayed} == set(ERRORS)


def test_without_a_failing_call_the_recording_is_prepared(told):
    assert all(row[4] == "prepared" for row in told if not row[3])
    assert any(row[4] == "prepared" for row in told)
