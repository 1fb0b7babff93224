"""The load is the same from hundred to hundred, is held back by what waits, and removes what it has dropped."""

import itertools
import random
from collections import Counter

import pytest

from tests.soak.load import AGAIN_SECONDS, ANSWER_SECONDS, KEPT_SECONDS, MIX, Drop, Load, deck, put, remove
from tests.soak.place import Place
from tests.soak.recordings import Recording, Recordings
from tests.support.fakes import Clock
from tests.support.patience import patient

RATE = 60.0  # files per minute


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def load(place, clock, tmp_path):
    """A load of recordings that hold nothing, and nobody answers."""
    path = tmp_path / "recording.wav"
    path.write_bytes(b"RIFF")
    recordings = Recordings(*[(Recording(path, "one"),)] * 5)
    return Load(place, recordings, RATE, random.Random(1), clock)


def advance(load, clock, seconds):
    until = clock.now + seconds
    while clock.now < until:
        clock.now += max(load.step(), 0.01)


def test_each_hundred_files_hold_the_same_mix():
    kinds = deck(random.Random(1))
    assert sum(MIX.values()) == 100
    for _ in range(3):
        assert Counter(itertools.islice(kinds, 100)) == MIX


def test_files_come_at_the_rate_that_was_asked_for(load, clock):
    advance(load, clock, 10)
    assert load.account.dropped.total() == pytest.approx(10, abs=1)


def test_unanswered_files_hold_the_load_back(load, clock):
    advance(load, clock, 60)
    assert load.account.dropped.total() == pytest.approx(20, abs=1)
    assert load.account.held_back_seconds == pytest.approx(40, abs=2)


def test_a_file_without_an_answer_is_counted_and_removed(load, clock, place):
    advance(load, clock, patient(ANSWER_SECONDS) + KEPT_SECONDS + AGAIN_SECONDS + 30)
    assert load.account.unanswered.total() >= 20
    left = [path for box in place.boxes for path in box.inbox.rglob("*0000001*")]
    assert left == []


def test_everything_about_a_file_is_removed_with_it(place, tmp_path):
    (recording := tmp_path / "a.wav").write_bytes(b"RIFF")
    drop = Drop("folder", place.boxes[0], "folder-1/0000001.wav", Recording(recording))
    put(recording, drop.path)
    output = drop.box.outbox / drop.name
    output.parent.mkdir()
    output.with_name(f"{output.name}.json").write_text("{}")
    remove(drop)
    assert [path for folder in drop.box.folders() for path in folder.iterdir()] == []
