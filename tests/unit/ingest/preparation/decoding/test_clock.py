import math

import pytest

from transcribed.ingest.preparation.decoding.clock import Clock

FRAME = 0.02


def place_all(clock, timestamps):
    """Place a frame of 20 ms at each timestamp; where they belong, and which come after a gap."""
    following = [*timestamps[1:], None]
    placed = [clock.place(at, FRAME, after) for at, after in zip(timestamps, following, strict=True)]
    return [p.seconds for p in placed], [n for n, p in enumerate(placed) if p.after_gap]


def steady(start, count, step=FRAME):
    return [start + n * step for n in range(count)]


def test_frames_in_a_row_have_no_gap():
    places, gaps = place_all(Clock(10.0), steady(10.0, 100))
    assert places == pytest.approx(steady(0.0, 100))
    assert gaps == []


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_a_frame_without_a_timestamp_follows_the_one_before(unknown):
    places, gaps = place_all(Clock(0.0), [0.0, unknown, unknown, 0.06])
    assert places == pytest.approx([0.0, 0.02, 0.04, 0.06])
    assert gaps == []


@pytest.mark.parametrize("lead", [0.1, 4.0, 3600.0])
def test_sound_that_begins_later_than_the_file_comes_after_a_gap(lead):
    places, gaps = place_all(Clock(1.8), steady(1.8 + lead, 3))
    assert places == pytest.approx(steady(lead, 3))
    assert gaps == [0]


@pytest.mark.parametrize("missing", [0.1, 0.4, 20.0])
def test_what_follows_a_gap_keeps_its_time(missing):
    places, gaps = place_all(Clock(0.0), [*steady(0.0, 50), *steady(1.0 + missing, 50)])
    assert places[50:] == pytest.approx(steady(1.0 + missing, 50))
    assert gaps == [50]


def test_differences_too_small_for_a_gap_add_up_to_one():
    """Half of all frames are lost, one at a time: more than the resampler can make up for by stretching."""
    places, gaps = place_all(Clock(0.0), steady(0.0, 500, 2 * FRAME))
    assert places == pytest.approx(steady(0.0, 500, 2 * FRAME))
    assert len(gaps) == pytest.approx(500 * (FRAME - 0.1 * FRAME) / 0.1, rel=0.1)


@pytest.mark.parametrize("share", [-0.09, -0.03, -0.0001, 0.0001, 0.03, 0.09])
def test_a_slow_or_fast_clock_makes_no_gap(share):
    timestamps = steady(0.0, 5000, FRAME * (1 + share))
    places, gaps = place_all(Clock(0.0), timestamps)
    assert places == pytest.approx(timestamps)
    assert gaps == []


@pytest.mark.parametrize("to", [0.0, 3.0, 7200.0, 1e9])
def test_a_clock_that_begins_anew_changes_nothing(to):
    places, gaps = place_all(Clock(0.0), [*steady(0.0, 200), *steady(to, 50)])
    assert places == pytest.approx(steady(0.0, 250))
    assert gaps == []


def test_one_timestamp_that_makes_no_sense_is_passed_over():
    timestamps = steady(0.0, 100)
    timestamps[40], timestamps[60] = 2168.7, 0.0
    places, gaps = place_all(Clock(0.0), timestamps)
    assert places == pytest.approx(steady(0.0, 100))
    assert gaps == []


def test_frames_that_the_reader_had_not_counted_are_kept():
    clock = Clock(0.0)
    place_all(clock, [*steady(0.0, 50), *[None] * 10])
    clock.expect_less()
    places, gaps = place_all(clock, steady(1.0, 50))
    assert places == pytest.approx(steady(1.2, 50))
    assert gaps == []


def test_a_second_part_begins_where_the_first_ended():
    places, _ = place_all(Clock(30.0, 12.5), steady(30.0, 3))
    assert places == pytest.approx(steady(12.5, 3))
