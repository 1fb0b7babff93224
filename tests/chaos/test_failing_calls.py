"""Calls fail, are late or do half while a daemon works: every kind of call, every error, in all its processes."""

import errno
import json
import random
import shutil
import time

import pytest

from tests.support import failing_calls
from tests.support.failing_calls import CALLS, DELAY, SHORT, Script
from tests.support.site import ONE_THREAD, Site, kill_tree, stop, wait_for
from tests.support.speech import digits

ERRORS = (
    *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN),
    *(errno.ENOTCONN, errno.EROFS, errno.EBUSY, errno.ENOMEM, errno.ENFILE, errno.EAGAIN),
)
SECONDS = 0.7  # each
OUTAGE_SECONDS = 600.0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("after", ["keep", "move"])
def test_thirteen_calls_with_twelve_errors_lose_nothing_and_need_nobody(tmp_path, spoken, after):
    dice = random.Random(after)
    library = failing_calls.build(tmp_path)
    done = tmp_path / "done"
    done.mkdir()
    site = Site(tmp_path, rescan_seconds=1, after_success=after, **({"move_to": str(done)} if after == "move" else {}))
    script = Script(tmp_path / "script")
    numbers = iter(dice.sample(range(1000, 10_000), 400))
    daemon = site.start(**script.environment(library) | ONE_THREAD)
    dropped, failed = [], 0
    try:
        wait_for(lambda: site.status().get("pid") == daemon.pid, 60)
        for call in CALLS:
            for error in (*ERRORS, DELAY, *([SHORT] if call == "write" else [])):
                dropped.append(next(numbers))
                shutil.copy(spoken(dropped[-1]), site.inbox / f"{dropped[-1]}.wav")
                place = dice.choice((site.inbox, site.outbox, site.state, done))
                script.fail(call, error, place, dice.choice((0, 0, 1, 3)))
                time.sleep(SECONDS)
                failed += script.stop()
                assert daemon.poll() is None, f"{call} {error} below {place} ended it"
        wait_for(lambda: _said(site) == {n: digits(n) for n in dropped}, 600, "every transcript")
        wait_for(lambda: after == "keep" or not list(site.inbox.glob("*.wav")), 150, "every recording moved")
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)
    print(f"{failed} calls failed, {len(dropped)} files")
    assert failed > 100
    assert len(list((done if after == "move" else site.inbox).glob("*.wav"))) == len(dropped)
    assert not list(site.outbox.glob("*.error.txt"))
    assert not [name for name in site.outputs() if name.startswith(".")]
    assert "Traceback" not in (site.root / "daemon.log").read_text()


def _said(site):
    return {int(path.name.split(".")[0]): json.loads(path.read_text())["text"] for path in site.outbox.glob("*.json")}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_outage_of_ten_minutes_heals_without_a_hand(tmp_path, spoken):
    """Every call on inbox and outbox answers EIO, for every process of the daemon."""
    share = tmp_path / "share"
    site = Site(tmp_path, rescan_seconds=1)
    site.inbox, site.outbox = share / "inbox", share / "outbox"
    for folder in (site.inbox, site.outbox):
        folder.mkdir(parents=True)
    site.configure(path=str(site.inbox), outbox=str(site.outbox), rescan_seconds=1)
    script, library = Script(tmp_path / "script"), failing_calls.build(tmp_path)
    daemon = site.start(**script.environment(library) | ONE_THREAD)
    try:
        for number in (123, 456, 789):
            shutil.copy(spoken(number), site.inbox / f"{number}.wav")
            if number == 123:
                assert site.wait_text("123.wav") == digits(123)
        script.fail("any", errno.EIO, share)
        shutil.copy(spoken(741), site.inbox / "741.wav")
        time.sleep(OUTAGE_SECONDS)
        assert script.stop() > 10
        wait_for(lambda: _said(site) == {n: digits(n) for n in (123, 456, 789, 741)}, 300, "every transcript")
        assert not list(site.outbox.glob("*.error.txt"))
        wait_for(lambda: not site.status()["troubles"], 90, "no trouble is left")
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)
