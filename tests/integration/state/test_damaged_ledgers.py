"""Ledgers that a disk, or another program, has changed: every start goes through, and what is sound is kept."""

import contextlib
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from tests.support.damage import damage_ledger
from tests.support.fakes import source
from transcribed.core.errors import Misconfigured
from transcribed.core.types import State
from transcribed.state.ledger import Ledger

INBOX = Path("/inbox")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A ledger with rows of every kind."""
    path = tmp_path_factory.mktemp("sound") / "ledger.db"
    ledger = Ledger(path)
    for n in range(60):
        ledger.add(source(f"{n}.wav"), f"{n}.wav", float(n))
    for n in range(1, 41):
        ledger.activate(INBOX, 100.0, 10.0)
        if n <= 20:
            ledger.done(n, 200.0, {"model": "demo"}, "Words may be missing." if n < 5 else None)
        elif n <= 30:
            ledger.fail(n, 200.0, "It is a text.")
    ledger.withdraw(5, 300.0, "It is gone.")
    ledger.close()
    return path


def start(path):
    """Everything that a start, a status and a day's work ask of the ledger."""
    ledger = Ledger(path)
    ledger.recover()
    ledger.apply_configuration([INBOX])
    ledger.counts(), ledger.ended_since(0.0), ledger.next_due(), ledger.failed_between(0.0, 1e9)
    ledger.oldest_waiting(), ledger.pending_cleanup(), ledger.suspicious(100), ledger.deferred(100)
    [*ledger.with_provenance()], [*ledger.sources(INBOX)], ledger.with_state(State.FAILED), ledger.is_empty()
    while job := ledger.activate(INBOX, time.time(), 10.0):
        ledger.find(job.source.path)
        ledger.done(job.id, 400.0, {})
    ledger.close()


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_no_damage_to_a_ledger_keeps_the_daemon_from_starting(sound, tmp_path, count):
    for seed in range(count):
        print(f"seed {seed}")
        path = tmp_path / str(seed) / "ledger.db"
        path.parent.mkdir()
        shutil.copy(sound, path)
        damage_ledger(path, random.Random(seed), 60)
        with contextlib.suppress(Misconfigured):  # a bit of its version was flipped: a later one
            for _ in range(2):
                start(path)
        shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'pueued'",
        "path = x'2f656c73657768657265'",
        "path = x'2f696e626f782f610062'",
        "added_at = 9e99",
        "output = x''",
        "size = -1",
    ],
)
def test_a_row_that_cannot_be_read_goes_and_its_file_is_noticed_again(sound, tmp_path, capsys, change):
    path = shutil.copy(sound, tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"update job set {change} where id = 50")
        db.commit()
    ledger = Ledger(path)
    assert "unreadable rows removed from the ledger" in capsys.readouterr().out
    assert ledger.by_id(50) == []
    assert sum(ledger.counts().values()) == 59
    assert ledger.add(source("49.wav"), "49.wav", 1.0)
    ledger.close()


def test_an_index_that_differs_from_its_rows_is_made_anew_and_no_row_goes(sound, tmp_path, capsys):
    path = Path(shutil.copy(sound, tmp_path / "ledger.db"))
    with contextlib.closing(sqlite3.connect(path)) as db:
        page, size = (db.execute(f"pragma {name}").fetchone()[0] for name in ("page_size", "page_count"))
        (root,) = db.execute("select rootpage from sqlite_master where name = 'job_output'").fetchone()
    data = bytearray(path.read_bytes())
    assert 1 < root <= size
    start = data.index(b"9.wav", (root - 1) * page, root * page)  # a key in the index
    data[start] ^= 1
    path.write_bytes(data)
    ledger = Ledger(path)
    assert sum(ledger.counts().values()) == 60
    assert not list(tmp_path.glob("*.damaged-*"))
    assert capsys.readouterr().out == ""
    ledger.close()


def test_a_ledger_of_a_later_version_is_refused_and_left_alone(sound, tmp_path):
    path = shutil.copy(sound, tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("pragma user_version = 99")
    with pytest.raises(Misconfigured, match="made by a later version of this program"):
        Ledger(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("select count(*) from job").fetchone() == (60,)
    assert not list(tmp_path.glob("*.damaged-*"))
