"""Power cuts at any moment of a daemon's work: the ledger opens, promises nothing that is not there, and it goes on.

Each run is recorded once, and cut hundreds of times (tests/support/power_cuts); some of what is left is started again.
"""

import json
import os
import random
import signal
import sqlite3

import pytest

from tests.chaos.one_recording import FORMATS, NUMBER, check_once, share_site
from tests.support.patience import patient
from tests.support.power_cuts.calls import read, traced
from tests.support.power_cuts.disk import WAYS, Disk, File, build
from tests.support.site import kill_tree, wait_for
from tests.support.speech import digits
from transcribed.output.source_actions import SECOND_LOOK_SECONDS
from transcribed.state import schema

STARTS = 12
HALF, DENIED = "half a file", "done without a transcript"
LOST, DAMAGED = "the recording is lost", "the ledger is damaged"


@pytest.fixture(params=["keep", "move", "delete"])
def recorded(request, tmp_path, spoken):
    """A site, the disk before its daemon ran, and what the daemon did until nothing was left to do."""
    site = share_site(tmp_path / "site", spoken(NUMBER), request.param)
    disk = Disk(site.root, tmp_path / "vault")
    daemon = site.start(*traced(tmp_path / "record"))
    try:
        wait_for(lambda: site.outputs() == FORMATS and _is_put_away(site), 120 + SECOND_LOOK_SECONDS)
        os.kill(site.status()["pid"], signal.SIGTERM)  # strace itself does not hear it
        assert daemon.wait(patient(60)) == 0
    finally:
        kill_tree(daemon)
    check_once(site, request.param, spoken(NUMBER).read_bytes())
    return site, disk, read(tmp_path / "record", site.root), request.param


def _is_put_away(site):
    db = sqlite3.connect(f"file:{site.state}/ledger.db?mode=ro", uri=True)
    try:
        return db.execute("select count(*) from job where state = 'done' and tidied = 1").fetchone() == (1,)
    finally:
        db.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_power_cut_at_any_moment_loses_doubles_and_halves_nothing(recorded, spoken):
    site, disk, calls, after = recorded
    recording = spoken(NUMBER).read_bytes()
    seen, wrong = _all_cuts(site, disk, calls, after, recording)
    assert wrong == []
    for left in random.Random(after).sample(seen, STARTS):
        build(left, site.root)
        site.once()
        check_once(site, after, recording)
    print(f"{after}: {len(seen)} cuts, {STARTS} of them started again")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recorded", ["move"], indirect=True)
def test_a_disk_that_ignores_syncs_is_seen_to_break_every_promise(recorded, spoken):
    site, disk, calls, after = recorded
    unsynced = [call for call in calls if call.name != "sync"]
    _, wrong = _all_cuts(site, disk, unsynced, after, spoken(NUMBER).read_bytes())
    assert {what for _, what in wrong} >= {HALF, LOST}


def _all_cuts(site, disk, calls, after, recording):
    """Cut after each call, in several ways; return all that was left, and what was wrong, with the call before it."""
    seen, wrong = [], []
    for number, call in enumerate(calls):
        disk.apply(call)
        if (call.name == "open" and "O_CREAT" not in call.flags) or site.state / "spool" in call.path.parents:
            continue
        for lost in WAYS:
            left = disk.cut(random.Random(f"{number} {lost}"), *lost)
            seen.append(left)
            build(left, site.root)
            wrong += [(call.name, what) for what in _wrong_in(site, left, after, recording)]
    return seen, wrong


def _wrong_in(site, left, after, recording):
    """Yield what a cut has broken."""
    outputs = {name: path for name in FORMATS if (path := site.outbox / name).exists()}
    whole = outputs.keys() == FORMATS and not any(_is_half(path) for path in outputs.values())
    if any(_is_half(path) for path in outputs.values()):
        yield HALF
    kept = any(isinstance(file, File) and file.data == recording for file in left.values())
    if not kept and not (after == "delete" and whole):
        yield LOST
    try:
        db = schema.connect(site.state / "ledger.db") if site.state.exists() else None
    except sqlite3.DatabaseError:
        yield DAMAGED
    else:
        if db and db.execute("select 1 from job where state = 'done'").fetchone() and not whole:
            yield DENIED
        if db:
            db.close()


def _is_half(path):
    if path.suffix != ".json":
        return not path.read_text().strip("\0\n ")
    try:
        return json.loads(path.read_bytes())["text"] != digits(NUMBER)
    except ValueError:
        return True
