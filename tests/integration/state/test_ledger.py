"""The ledger on a real disk: restart, full disk, damage, names that are not text."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fakes import source
from transcribed.core.errors import Unavailable
from transcribed.core.types import State
from transcribed.state.ledger import Ledger
from transcribed.state.queries import read_only

FORGET = 72 * 3600.0
INBOX = Path("/inbox")


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def add(ledger, name="a.wav", now=0.0, returned=False, **version):
    return ledger.add(source(name, **version), name, now, returned=returned)


def test_a_version_of_a_file_is_entered_once_and_another_version_again(ledger):
    assert add(ledger)
    assert not add(ledger)
    assert add(ledger, size=2)
    assert add(ledger, mtime_ns=2)
    assert add(ledger, inode=2)
    assert ledger.counts() == {State.QUEUED: 4}


def test_entries_come_back_unchanged_even_under_names_that_are_no_text(ledger):
    name = os.fsdecode(b"\xc4\xe3\xba\xc3.wav")
    add(ledger, name)
    job = ledger.activate(INBOX, 1.0, FORGET)
    assert (job.source, job.output, job.starts) == (source(name), name, 1)
    assert ledger.find(Path("/inbox") / name) == [job]


@pytest.mark.parametrize("ended", ["done", "failed", "withdrawn"])
def test_a_file_dropped_in_again_is_queued_as_if_it_were_new(ledger, ended):
    add(ledger)
    add(ledger, "b.wav")
    one = ledger.activate(INBOX, 1.0, FORGET)
    end = {
        "done": lambda: ledger.done(one.id, 2.0, {}, "Words may be missing."),
        "failed": lambda: ledger.fail(one.id, 2.0, "x"),
    }
    end.get(ended, lambda: ledger.withdraw(one.id, 2.0, "It is gone."))()
    assert add(ledger, now=3.0, returned=True)
    (again,) = ledger.find(one.source.path)
    assert (again.state, again.added_at, again.error, again.suspicion) == (State.QUEUED, 3.0, None, None)
    assert again.id > one.id
    assert ledger.pending_cleanup() == []


def test_a_file_in_progress_is_not_started_anew_when_it_returns(ledger):
    add(ledger)
    assert not add(ledger, returned=True)
    ledger.activate(INBOX, 1.0, FORGET)
    assert not add(ledger, returned=True)
    assert ledger.counts() == {State.ACTIVE: 1}


def test_when_each_file_failed_is_known_by_inbox(ledger):
    for name in ("a.wav", "b.wav"):
        add(ledger, name)
    job = ledger.activate(INBOX, 1.0, FORGET)
    ledger.fail(job.id, 2.0, "x")
    assert ledger.failed_at(INBOX) == {job.source.path: 2.0}
    assert ledger.failed_at(Path("/other")) == {}


def test_names_that_a_share_would_confuse_get_different_outputs(ledger):
    for name in ("A.WAV", "a.wav", "e\u0301.wav", "\u00e9.wav"):
        add(ledger, name)
    outputs = [ledger.activate(INBOX, 1.0, FORGET).output for _ in range(4)]
    assert len({o.casefold() for o in outputs}) == 4
    assert outputs[0] == "A.WAV"
    assert outputs[1].startswith("a.wav~")


def test_a_new_version_of_a_file_keeps_its_output(ledger):
    add(ledger)
    add(ledger, size=2)
    assert [ledger.activate(INBOX, 1.0, FORGET).output for _ in range(2)] == ["a.wav", "a.wav"]


def test_a_start_is_on_disk_before_the_file_is_touched(ledger, tmp_path):
    add(ledger)
    ledger.activate(INBOX, 1.0, FORGET)
    (row,) = sqlite3.connect(tmp_path / "ledger.db").execute("select state, starts from job")
    assert row == ("active", 1)


def test_active_jobs_wait_again_after_a_restart_with_their_starts_counted(ledger, tmp_path):
    add(ledger)
    ledger.activate(INBOX, 1.0, FORGET)
    ledger.close()
    again = Ledger(tmp_path / "ledger.db")
    assert again.recover() == 1
    assert again.activate(INBOX, 1.0, FORGET).starts == 2
    again.close()


def test_what_was_active_at_an_orderly_end_was_not_started(ledger):
    """Else a long recording would be given up after twenty restarts."""
    add(ledger)
    for _ in range(30):
        ledger.activate(INBOX, 1.0, FORGET)
        assert ledger.recover(orderly=True) == 1
    assert ledger.activate(INBOX, 1.0, FORGET).starts == 1


def test_a_file_properly_let_go_has_no_starts_held_against_it(ledger):
    add(ledger)
    for n in range(30):
        ledger.defer(ledger.activate(INBOX, n * 100.0, FORGET).id, n * 100.0, "The share is away.")
    assert ledger.activate(INBOX, 1e6, FORGET).starts == 1


def test_failures_are_forgotten_after_three_days(ledger):
    add(ledger)
    ledger.record_failure(ledger.activate(INBOX, 0.0, FORGET).id, now=10.0, until=20.0, error="died")
    job = ledger.activate(INBOX, 100.0, FORGET)
    assert job.failures == 1
    ledger.defer(job.id, 100.0, "")
    assert ledger.activate(INBOX, 10.0 + FORGET + 1, FORGET).failures == 0


def test_files_often_started_stand_back_behind_new_ones(ledger):
    add(ledger, "suspect")
    for _ in range(5):
        ledger.activate(INBOX, 0.0, FORGET)
        ledger.recover()
    add(ledger, "new")
    assert ledger.activate(INBOX, 0.0, FORGET).source.name == "new"


def test_jobs_of_a_full_inbox_stay_and_the_others_go_on(ledger):
    add(ledger, "a.wav")
    other = source("b.wav", inbox=Path("/other"))
    ledger.add(other, "b.wav", 0.0)
    assert ledger.activate(Path("/other"), 1.0, FORGET).source == other
    assert ledger.activate(Path("/other"), 1.0, FORGET) is None
    assert ledger.activate(INBOX, 1.0, FORGET).source.name == "a.wav"


def test_a_withdrawn_version_that_comes_back_is_the_newest(ledger):
    """Whatever was noticed in between: else it would be taken for superseded, and come back for ever."""
    for size in (1, 2):
        add(ledger, size=size)
        ledger.withdraw(ledger.activate(INBOX, 1.0, FORGET).id, 1.0, "taken away")
    assert add(ledger, size=1)
    assert [job.source.size for job in ledger.find(Path("/inbox/a.wav"))] == [1, 2]
    assert ledger.counts() == {State.QUEUED: 1, State.DONE: 1}


def test_a_job_deferred_by_a_clock_that_was_wrong_is_due(ledger):
    add(ledger)
    ledger.defer(ledger.activate(INBOX, 0.0, FORGET).id, 4e9, "The share is away.")
    assert ledger.activate(INBOX, 1.0, FORGET) is not None


def test_a_ledger_is_rebuilt_whole_or_not_at_all(ledger):
    def made():
        yield source("a"), "a"
        raise OSError("the share went away")

    with pytest.raises(OSError, match="went away"):
        ledger.import_done(made(), 0.0)
    assert ledger.is_empty()
    assert ledger.import_done([(source("a"), "a"), (source("b"), "b")], 0.0) == 2
    assert ledger.counts() == {State.DONE: 2}


def test_jobs_of_an_inbox_no_longer_configured_wait_for_it(ledger):
    add(ledger)
    ledger.apply_configuration([Path("/elsewhere")])
    assert ledger.activate(INBOX, 1e9, FORGET) is None
    assert "no longer in the configuration" in ledger.deferred(1)[0].error
    ledger.apply_configuration([INBOX])
    assert ledger.activate(INBOX, 1.0, FORGET).error is None


SYNC = """
import sys
from pathlib import Path
from tests.support.fakes import source
from transcribed.state.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.add(source(), "a.wav", 0.0)
print("written", flush=True)
ledger.sync()
"""


def test_a_sync_has_the_disk_take_what_was_written(tmp_path):
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(tmp_path / "calls")]
    subprocess.run([*command, sys.executable, "-c", SYNC, str(tmp_path / "ledger.db")], check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text()
    after = calls[calls.index('"written') :]
    assert re.search(r"fsync\(\d+<[^>]*/ledger\.db-wal>\) += 0", after)


def test_a_sync_that_fails_is_told_as_trouble(tmp_path):
    command = ["strace", "-f", "-o", "/dev/null", "-P", str(tmp_path / "ledger.db-wal"), "-e", "inject=fsync:error=EIO"]
    told = subprocess.run(
        [*command, sys.executable, "-c", SYNC, str(tmp_path / "ledger.db")], capture_output=True, text=True
    )
    assert "cannot be synced: Input/output error" in told.stderr


def test_a_ledger_just_opened_needs_no_sync(tmp_path):
    Ledger(tmp_path / "ledger.db").close()
    again = Ledger(tmp_path / "ledger.db")
    again.sync()
    again.close()


def test_it_can_be_read_beside_the_daemon_but_never_written_from_outside(ledger, tmp_path):
    add(ledger)
    other = read_only(tmp_path / "ledger.db")
    assert other.counts() == {State.QUEUED: 1}
    assert [job.source.name for job in other.with_state(State.QUEUED)] == ["a.wav"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        other._db.execute("delete from job")
    other.close()


def test_a_ledger_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(Unavailable, match="cannot be read"):
        read_only(tmp_path / "none.db")


@pytest.mark.parametrize("damage", ["not a database at all" * 500, ""])
def test_a_damaged_ledger_is_set_aside_and_a_new_one_begun(tmp_path, damage):
    path = tmp_path / "ledger.db"
    first = Ledger(path)
    for n in range(200):
        add(first, f"{n}.wav")
    first.close()
    if damage:
        path.write_text(damage)
    else:
        with path.open("r+b") as file:  # pages in the middle overwritten
            file.seek(4096 * 2)
            file.write(b"\xff" * 4096 * 4)
    ledger = Ledger(path)
    assert ledger.is_empty()
    assert len(list(tmp_path.glob("ledger.db.damaged-*"))) >= 1
    ledger.close()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_on_a_full_disk_only_what_is_done_can_be_recorded(tmp_path):
    """The rest is refused until there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=True)
    try:
        ledger = Ledger(disk / "ledger.db")
        ledger.keep_ballast()
        assert (disk / "ballast").stat().st_size == 16 * 2**20
        for n in range(100):
            add(ledger, f"{n}.wav")
        _fill(disk)
        ledger.done(1, 1.0, {})  # thanks to the ballast
        for n in range(100, 200):
            add(ledger, f"{n}.wav")
        _fill(disk)
        with pytest.raises(Unavailable, match="full"):
            _add_many(ledger)
        known = sum(ledger.counts().values())
        for path in disk.glob("filler*"):
            path.unlink()
        assert add(ledger, "after.wav")
        assert sum(ledger.counts().values()) == known + 1
        assert ledger._db.execute("pragma integrity_check").fetchone()[0] == "ok"
        ledger.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _add_many(ledger):
    for n in range(200, 20_000):
        add(ledger, f"{n}.wav")


def _fill(disk):
    with open(disk / f"filler{len(list(disk.iterdir()))}", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass


def test_a_ledger_of_the_first_version_is_opened_with_all_its_content(tmp_path):
    path = tmp_path / "ledger.db"
    with contextlib.closing(Ledger(path)) as ledger:
        ledger.add(source("a.wav"), "a.wav", 1.0)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("drop index job_suspicious; alter table job drop column made_with;")
        db.executescript("alter table job drop column suspicion; pragma user_version = 1;")
    with pytest.raises(Unavailable, match="another version"):
        read_only(path)
    with contextlib.closing(Ledger(path)) as ledger:
        (job,) = ledger.find(source("a.wav").path)
        ledger.done(job.id, 2.0, {"model": "demo"}, "Words may be missing.")
        assert [job.suspicion for job in ledger.suspicious(9)] == ["Words may be missing."]
        assert [made for _, made in ledger.with_provenance()] == [{"model": "demo"}]
