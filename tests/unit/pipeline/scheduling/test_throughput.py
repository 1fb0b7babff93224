"""What batches tell of a device's speed, against devices whose law is known to the test alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.pipeline.scheduling.throughput import Throughput

SLOT = "cuda:0"


def paced(fixed_seconds, speed, sizes, noise=()):
    pace = Throughput()
    for n, size in enumerate(sizes):
        pace.record(SLOT, 0.9 * size, size, (fixed_seconds + size / speed) * (noise[n % len(noise)] if noise else 1.0))
    return pace


def test_nothing_is_known_of_a_device_that_has_done_nothing():
    pace = Throughput()
    assert (pace.speed(SLOT), pace.padded_speed(SLOT), pace.overhead(SLOT), pace.total()) == (None, None, None, 0)


def test_speed_is_audio_by_time_and_padding_counts_apart():
    pace = paced(0.0, 50.0, [100.0] * 5)
    assert pace.padded_speed(SLOT) == pytest.approx(50.0)
    assert pace.speed(SLOT) == pytest.approx(45.0)


def test_an_old_speed_is_forgotten():
    pace = paced(0.0, 10.0, [100.0] * 5)
    for _ in range(100):
        pace.record(SLOT, 100.0, 100.0, 1.0)
    assert pace.speed(SLOT) == pytest.approx(100.0, rel=0.01)


sizes = st.lists(st.floats(10.0, 1000.0), min_size=20, max_size=60).filter(lambda s: max(s[-10:]) > 1.5 * min(s[-10:]))


@given(st.floats(0.0, 0.1), st.floats(10.0, 20_000.0), sizes)
def test_the_fixed_cost_of_a_batch_is_learned_from_many_sizes(fixed_seconds, speed, sizes):
    overhead = paced(fixed_seconds, speed, sizes).overhead(SLOT)
    assert overhead is not None
    assert overhead == pytest.approx(fixed_seconds * speed, rel=0.01, abs=0.1)


def test_batches_all_of_one_size_tell_nothing_of_it():
    assert paced(0.05, 100.0, [100.0, 101.0, 99.0] * 20, noise=(0.9, 1.1)).overhead(SLOT) is None


def test_what_was_learned_of_it_is_kept_while_batches_are_alike():
    pace = paced(0.05, 1000.0, [100.0, 200.0, 400.0] * 10)
    learned = pace.overhead(SLOT)
    for _ in range(500):
        pace.record(SLOT, 300.0, 300.0, 0.35)
    assert pace.overhead(SLOT) == pytest.approx(learned, rel=0.2)


def test_a_device_slower_with_small_batches_by_chance_promises_no_negative_cost():
    pace = paced(0.0, 100.0, [100.0, 200.0], noise=(0.8, 1.2))
    assert pace.overhead(SLOT) == 0.0
