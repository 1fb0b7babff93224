"""Real daemons, started on state that a disk or a stranger has changed: each starts, works, and loses nothing."""

import json
import random
import shutil

import pytest

from tests.support.damage import damage_ledger, damaged
from tests.support.site import Site, kill_tree, stop, wait_for
from tests.support.speech import digits
from transcribed.core.errors import Misconfigured
from transcribed.state.ledger import Ledger

OLD, NEW = (123, 456, 789), 472
STATE = ("status.json", "alerts.json", "mounts.json", "devices.json", "owner")


@pytest.fixture
def used(tmp_path, spoken):
    """A site after a day's work, with a copy of what was remembered."""
    site = Site(tmp_path)
    for number in OLD:
        shutil.copy(spoken(number), site.inbox)
    (site.inbox / "note.txt").write_text("no recording")
    daemon = site.start()
    wait_for(lambda: len(list(site.outbox.glob("*.json"))) == len(OLD), 90)
    assert stop(daemon) == 0
    for folder in ("outbox", "state"):
        shutil.copytree(site.root / folder, site.root / "copies" / folder)
    return site


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_daemons_start_on_damaged_state_and_lose_nothing(used, spoken):
    started = 0
    for seed in range(40):
        print(f"seed {seed}")
        if started < 30 and _damage(used, random.Random(seed)):
            started += 1
            shutil.copy(spoken(NEW), used.inbox)
            _start_and_check(used)
            (used.inbox / f"{NEW}.wav").unlink()
    assert started == 30


def _start_and_check(site):
    (site.root / "daemon.log").unlink(missing_ok=True)
    daemon = site.start()
    try:
        wait_for(lambda: all(_text(site, number) == digits(number) for number in (*OLD, NEW)), 120, "the transcripts")
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)
    log = (site.root / "daemon.log").read_text()
    assert "Traceback" not in log
    assert log.count("ledger damaged") <= 1
    assert {path.name for path in site.inbox.iterdir()} == {*(f"{number}.wav" for number in (*OLD, NEW)), "note.txt"}


def _text(site, number):
    """The text of a recording's transcript; None of what is none, as somebody changed it."""
    try:
        return json.loads((site.outbox / f"{number}.wav.json").read_bytes())["text"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _damage(site, dice):
    """Change the ledger, the state and the outbox of a day ago; return False if the ledger now claims to be newer."""
    for folder in ("outbox", "state"):
        shutil.rmtree(site.root / folder)
        shutil.copytree(site.root / "copies" / folder, site.root / folder)
    if dice.random() < 0.3:
        (site.state / "ledger.db").unlink()
    else:
        damage_ledger(site.state / "ledger.db", dice, len(OLD) + 1)
    for name in STATE:
        path = site.state / name
        if path.exists() and dice.random() < 0.7:
            text = path.read_bytes()
            path.write_bytes(damaged(text, dice) if text[:1] in b"[{" else dice.randbytes(9))
    whole = (site.outbox / "123.wav.json").read_bytes()
    for number in range(5):
        (site.outbox / f"planted{number}.json").write_bytes(damaged(whole, dice))
    return not _is_refused(site)


def _is_refused(site):
    shutil.copytree(site.state, site.root / "tried")
    try:
        Ledger(site.root / "tried" / "ledger.db").close()
    except Misconfigured:
        return True
    finally:
        shutil.rmtree(site.root / "tried")
    return False
