from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.ingest.preparation.segmentation import (
    COMFORTABLE,
    LEAD,
    LONGEST,
    OVERLAP,
    TAIL,
    find_regions,
    merge,
    pad,
    quietest_point,
    split,
)


def flags(*runs):
    """`flags((100, False), (50, True))`: 100 frames of silence, 50 of speech."""
    return np.concatenate([np.full(count, value) for count, value in runs])


def test_speech_is_found_where_it_is():
    ((start, stop),) = find_regions(flags((100, False), (80, True), (100, False)))
    assert abs(start - 100) <= 2
    assert abs(stop - 180) <= 2


def test_a_click_is_no_speech():
    assert find_regions(flags((100, False), (10, True), (100, False))) == []


def test_silence_has_no_region():
    assert find_regions(flags((1000, False))) == []
    assert find_regions(np.zeros(0, np.bool_)) == []


@pytest.mark.parametrize(("gap", "count"), [(40, 1), (60, 1), (90, 2), (300, 2)])
def test_only_a_long_silence_ends_a_region(gap, count):
    assert len(find_regions(flags((50, False), (50, True), (gap, False), (50, True), (50, False)))) == count


def test_margins_are_kept_but_never_overlap():
    assert pad([(100, 200), (220, 300), (500, 600)], 610) == [(80, 210), (210, 315), (480, 610)]
    assert pad([(5, 100)], 1000) == [(0, 100 + TAIL)]


def test_short_neighbours_share_a_segment_and_far_ones_do_not():
    assert merge([(0, 100), (150, 250), (2000, 2100)]) == [(0, 250), (2000, 2100)]


def test_speech_longer_than_thirty_seconds_is_cut_where_it_is_quietest():
    levels = np.full(5000, 10.0, np.float32)
    levels[2000:2040] = 1.0
    assert split([(0, 5000)], levels) == [(0, 2010), (2010, 5000)]
    assert quietest_point(levels) in range(2000, 2040)


def test_a_cut_without_a_pause_gives_both_sides_the_second_around_it():
    levels = np.full(7000, 10.0, np.float32)
    levels[2700:2720] = 8.5  # not quiet enough to be a pause
    first, second, *rest = split([(0, 7000)], levels)
    assert (first, second[0]) == ((0, 2710 + OVERLAP // 2), 2710 - OVERLAP // 2)
    assert all(stop - start <= LONGEST for start, stop in (first, second, *rest))


region_lists = st.lists(st.tuples(st.integers(0, 500), st.integers(20, 9000)), max_size=20)


@given(region_lists, st.integers(0, 1000))
def test_no_frame_of_speech_is_dropped_or_given_twice_but_at_a_cut(steps, rest):
    regions, at = [], 0
    for gap, length in steps:
        regions.append((at + gap, at + gap + length))
        at += gap + length + 1
    frames = at + rest
    levels = np.random.default_rng(0).random(frames + 1, np.float32)
    out = split(merge(pad(regions, frames)), levels)
    covered = np.zeros(frames + 1, np.int32)
    for start, stop in out:
        assert 0 <= start < stop <= frames
        assert stop - start <= max(LONGEST, COMFORTABLE)
        covered[start:stop] += 1
    assert covered.max(initial=0) <= 2
    cuts = [(a, b) for (_, a), (b, _) in pairwise(out) if a > b]
    assert all(stop - start == OVERLAP for stop, start in cuts)
    assert (covered == 2).sum() == OVERLAP * len(cuts)
    assert all(covered[start:stop].all() for start, stop in regions)
    assert LEAD > 0
