"""Events that a full disk kept from the ledger: held in order, tried again when due, and said once."""

import pytest

from tests.support.fakes import Clock
from transcribed.core.errors import Unavailable
from transcribed.core.events import CheckpointLedger, SpoolListed, Wake
from transcribed.pipeline.held_events import RETRY_SECONDS, HeldEvents

FIRST, SECOND = SpoolListed(frozenset({1})), SpoolListed(frozenset({2}))


class Disk:
    """The ledger's disk as held_events.py knows it: full or not."""

    def __init__(self):
        self.full, self.trouble = False, None
        self.tried, self.handled = [], []
        self.ballasts = 0

    def handle(self, event):
        self.tried.append(event)
        self.trouble = "The disk is full" if self.full else None
        if self.full:
            raise Unavailable("The disk is full.")
        self.handled.append(event)

    def keep_ballast(self):
        self.ballasts += 1


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def held(disk, clock):
    return HeldEvents(disk, disk.handle, clock)


def test_events_wait_in_their_order_and_are_not_tried_before_it_is_time(held, disk, clock):
    disk.full = True
    held.handle(FIRST)
    held.handle(SECOND)
    assert held.is_blocked
    assert disk.tried == [FIRST]
    held.replay()
    assert disk.tried == [FIRST]
    clock.now += RETRY_SECONDS
    held.replay()
    assert disk.tried == [FIRST, FIRST]
    disk.full = False
    held.replay()
    assert disk.handled == []
    clock.now += RETRY_SECONDS
    held.replay()
    assert disk.handled == [FIRST, SECOND]
    assert not held.is_blocked


def test_a_pause_and_its_end_are_said_once_and_the_ballast_is_laid_again(held, disk, clock, capsys):
    held.handle(FIRST)
    held.handle(CheckpointLedger())
    assert capsys.readouterr().out == ""
    assert disk.ballasts == 0
    disk.full = True
    held.handle(FIRST)
    for _ in range(3):
        clock.now += RETRY_SECONDS
        held.replay()
    disk.full = False
    clock.now += RETRY_SECONDS
    held.replay()
    held.handle(SECOND)
    said = capsys.readouterr().out
    assert (said.count("intake paused"), said.count("intake resumed")) == (1, 1)
    assert disk.ballasts == 1


def test_an_event_that_asks_for_nothing_is_not_held(held, disk, clock):
    disk.full = True
    held.handle(FIRST)
    held.handle(Wake())
    disk.full = False
    clock.now += RETRY_SECONDS
    held.replay()
    assert disk.handled == [FIRST]
