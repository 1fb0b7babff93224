"""When a run that is to end by itself does: on parts that only say how they are."""

from types import SimpleNamespace

import pytest

from transcribed.daemon.drain import STUCK_SECONDS, DrainWatcher

WALKED = SimpleNamespace(scanned_at=1.0, settling=lambda: 0)


def once(*, due=None, active=(), obstacle=None, waits=(), owed=False, idle=1, watchers=(WALKED,)):
    pipeline = SimpleNamespace(
        ledger=SimpleNamespace(next_due=lambda: due),
        active=dict.fromkeys(active),
        intake=SimpleNamespace(obstacle=obstacle),
        mailbox=SimpleNamespace(outstanding=owed),
        preparer=SimpleNamespace(idle=lambda: [None] * idle),
        dispatcher=SimpleNamespace(unavailable={}, waits=dict.fromkeys(waits)),
    )
    return DrainWatcher(pipeline, watchers, ["cpu:0"], 1)


def test_with_nothing_left_it_is_over():
    assert once().is_finished(0.0)


@pytest.mark.parametrize(
    "facts",
    [
        {"due": 0.0},
        {"active": [1]},
        {"watchers": [SimpleNamespace(scanned_at=None, settling=lambda: 0)]},
        {"watchers": [SimpleNamespace(scanned_at=1.0, settling=lambda: 1)]},
    ],
)
def test_with_something_left_it_goes_on(facts):
    run = once(**facts)
    assert not run.is_finished(0.0)
    assert not run.is_finished(10 * STUCK_SECONDS)


@pytest.mark.parametrize("facts", [{"obstacle": "No space."}, {"waits": ["cpu:0"]}])
def test_where_nothing_moves_for_a_minute_it_is_over(facts):
    run = once(due=0.0, **facts)
    assert not run.is_finished(100.0)
    assert run.is_finished(100.0 + STUCK_SECONDS)


@pytest.mark.parametrize("facts", [{"owed": True}, {"idle": 0}])
def test_while_anything_is_done_it_goes_on_though_nothing_new_is_begun(facts):
    run = once(due=0.0, obstacle="No space.", **facts)
    assert not run.is_finished(100.0)
    assert not run.is_finished(100.0 + STUCK_SECONDS)
