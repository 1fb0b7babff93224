"""Kill the daemon before each single call by which it delivers, tidies or records: the next run finishes the work once.

A library preloaded into it kills at the n-th call of a kind (tests/support/failing_calls).  Both runs are `run --once`.
"""

import itertools

import pytest

from tests.chaos.one_recording import NUMBER, check_once, share_site
from tests.support import failing_calls
from tests.support.failing_calls import KILL, Script
from tests.support.site import ONE_THREAD

KINDS = ("rename", "fsync", "unlink", "link", "mkdir", "mode", "write")
MOST = 40  # calls of one kind; there are fewer


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return failing_calls.build(tmp_path_factory.mktemp("library"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", ["keep", "move", "delete"])
def test_a_kill_before_any_call_on_inbox_or_outbox_loses_and_doubles_nothing(tmp_path, spoken, library, after, kind):
    for passing in range(MOST):
        site = share_site(tmp_path / str(passing), spoken(NUMBER), after)
        met = _killed(site, library, kind, site.root / "share", passing)
        site.once()
        check_once(site, after, spoken(NUMBER).read_bytes())
        if not met:
            break
        print(f"{after}: killed before {kind} number {passing + 1}")
    assert passing < MOST - 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "fsync", "truncate"])
def test_a_kill_before_any_call_on_the_state_loses_and_doubles_nothing(tmp_path, spoken, library, kind):
    for passing in itertools.count(0, 7):
        site = share_site(tmp_path / str(passing), spoken(NUMBER), "move")
        met = _killed(site, library, kind, site.state, passing)
        site.once()
        check_once(site, "move", spoken(NUMBER).read_bytes())
        if not met:
            break
        print(f"killed before {kind} number {passing + 1} on the state")


def _killed(site, library, kind, folder, passing):
    """Run with a kill before one call; return whether it came to that."""
    script = Script(site.root / "script")
    script.fail(kind, KILL, folder, passing)
    environment = script.environment(library) | ONE_THREAD
    site.process("run", "--once", env=environment)
    return script.stop() > 0
