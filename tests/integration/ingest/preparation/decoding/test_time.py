"""Words stand where a player plays them, whatever the file's clock does."""

import functools
import io

import numpy as np
import pytest

from tests.support.media import Track, beeps, heard, media, onsets, remuxed
from transcribed.ingest.preparation.decoding.decoder import Decoder

BEEPS = (1.0, 3.0, 5.0, 7.0)

# Container, codec, rate.
TIMED = [
    ("matroska", "aac", 48_000),
    ("matroska", "pcm_f32le", 16_000),
    ("webm", "libopus", 48_000),
    ("mp4", "aac", 44_100),
    ("mov", "pcm_s16be", 16_000),
    ("mpegts", "aac", 48_000),
    ("flv", "aac", 44_100),
    ("nut", "libopus", 48_000),
]
WITH_PICTURES = [case for case in TIMED if case[0] not in ("webm", "flv", "nut")]


def track(seconds, at, codec, rate, start=0.0):
    samples = beeps(seconds, at)
    return Track(np.stack([samples, samples]) if codec == "aac" and rate == 44_100 else samples, codec, rate, start)


def retimed(clock):
    """Give every packet the time that `clock` says instead, in seconds."""

    def edit(packet):
        at = round(clock(float(packet.pts * packet.time_base)) / packet.time_base)
        packet.pts = packet.dts = at

    return edit


@pytest.mark.parametrize("case", WITH_PICTURES, ids=lambda case: f"{case[0]} {case[1]}")
def test_sound_that_begins_later_than_the_picture_keeps_its_time(case):
    format, codec, rate = case
    found, decoder = heard(media([track(4, (0.5, 2.5), codec, rate, start=4.0)], format, pictures=8))
    assert found == pytest.approx([4.5, 6.5], abs=0.06)
    assert decoder.damage() is None


def test_channels_of_a_late_sound_stay_beside_each_other():
    both = np.stack([beeps(4, (0.5,)), beeps(4, (2.5,))])
    with_picture = media([Track(both, "pcm_s16le", 16_000, start=4.0)], "matroska", pictures=8)
    with Decoder(io.BytesIO(with_picture)) as decoder:
        rows = np.concatenate([rows for _, rows in decoder.blocks(apart=True)], axis=1)
    assert [onsets(row, 0.2) for row in rows] == [pytest.approx([4.5], abs=0.06), pytest.approx([6.5], abs=0.06)]


@pytest.mark.parametrize("case", TIMED, ids=lambda case: f"{case[0]} {case[1]}")
def test_a_file_that_begins_at_an_offset_counts_from_its_beginning(case):
    format, codec, rate = case
    found, decoder = heard(media([track(8, BEEPS, codec, rate)], format, retimed(lambda at: at + 10)))
    assert found == pytest.approx(BEEPS, abs=0.06)
    assert decoder.damage() is None


def dropping(first, seconds, every=1.0):
    """Leave out what lies within `seconds` after each of these times: the timestamps of the rest stay."""

    def edit(packet):
        at = float(packet.pts * packet.time_base)
        return not (at >= first and (at - first) % every < seconds)

    return edit


@pytest.mark.parametrize("case", TIMED, ids=lambda case: f"{case[0]} {case[1]}")
def test_lost_packets_move_nothing_that_follows(case):
    """An eighth to two fifths of a second is lost in each pause."""
    format, codec, rate = case
    for seconds in (0.12, 0.25, 0.4):
        found, _ = heard(media([track(8, BEEPS, codec, rate)], format, dropping(1.4, seconds, 2.0)))
        assert found == pytest.approx(BEEPS, abs=0.1), seconds


def test_a_gap_of_seconds_is_told_with_its_place():
    found, decoder = heard(media([track(8, BEEPS, "libopus", 48_000)], "webm", dropping(3.7, 3.0, 100.0)))
    assert found == pytest.approx((1.0, 3.0, 7.0), abs=0.06)
    assert decoder.damage().sentence == "Nothing is recorded from 0:00:04 to 0:00:07."


def test_gaps_too_short_to_matter_are_not_told():
    _, decoder = heard(media([track(8, BEEPS, "libopus", 48_000)], "webm", dropping(1.4, 0.2, 100.0)))
    assert decoder.damage() is None


HOUR = 3600
IN_AN_HOUR = np.arange(100.0, HOUR - 60, 500.0)


@functools.cache
def hour():
    return media([Track(beeps(HOUR, IN_AN_HOUR), "flac", 16_000)], "matroska")


@pytest.mark.parametrize(
    "share", [0.03, *(pytest.param(more, marks=pytest.mark.slow) for more in (-0.06, 0.001, 0.06))]
)
def test_an_hour_of_a_slow_or_fast_clock_ends_in_time(share):
    """The clock by which the sound is played counts more, or less, than there are samples."""
    found, decoder = heard(remuxed(hour(), "matroska", retimed(lambda at: at * (1 + share))))
    assert np.array(found) == pytest.approx(IN_AN_HOUR * (1 + share), abs=0.1)
    assert decoder.damage() is None


def test_hundreds_of_short_gaps_leave_an_hour_in_time():
    """300 of them of 0.4 s: two minutes in all."""
    found, _ = heard(remuxed(hour(), "matroska", dropping(7.0, 0.4, 12.0)))
    assert np.array(found) == pytest.approx(IN_AN_HOUR, abs=0.1)


def test_a_damaged_timestamp_makes_no_gap():
    def edit(packet):
        if 4.0 <= float(packet.dts * packet.time_base) < 4.02:
            packet.pts += round(2000 / packet.time_base)

    found, decoder = heard(media([track(8, BEEPS, "aac", 48_000)], "mpegts", edit))
    assert found == pytest.approx(BEEPS, abs=0.06)
    assert decoder.damage() is None


def test_a_clock_that_begins_anew_midway_loses_nothing():
    """Two parts of a broadcast, joined."""
    part = media([track(8, BEEPS, "aac", 48_000)], "mpegts")
    found, decoder = heard(part + part)
    assert found == pytest.approx([*BEEPS, *(8 + beep for beep in BEEPS)], abs=0.15)
    assert decoder.damage() is None
