"""Damaged files: what cannot be decoded costs its own milliseconds, and nothing that lies behind it."""

import functools
import itertools
import random

import numpy as np
import pytest

from tests.support.media import SAMPLE_RATE, Track, beeps, decoded, media, onsets

SECONDS = 12.0
BEHIND = (9.0, 11.0, 11.5)  # no damage comes so late
LAST = (11.0, 11.5)  # behind the cluster or page that is damaged, where FFmpeg gives up all of it
TOLERANCE = 0.15
UNTIMED = {
    "amr": 0.7,
    "latm": 0.7,
}  # neither timestamps nor a constant mark: what follows a damaged length is late, or early

# Container, codec, rate, channels, and what is heard again whatever is damaged.
CASES = [
    ("adts", "aac", 44_100, 1, BEHIND),
    ("adts", "aac", 44_100, 2, BEHIND),
    ("ipod", "aac", 44_100, 1, BEHIND),
    ("mp4", "aac", 48_000, 2, BEHIND),
    ("mpegts", "aac", 48_000, 2, BEHIND),
    ("latm", "aac", 48_000, 1, BEHIND),
    ("matroska", "aac", 48_000, 1, LAST),
    ("ipod", "alac", 44_100, 1, BEHIND),
    ("mov", "alac", 44_100, 2, BEHIND),
    ("caf", "alac", 44_100, 1, BEHIND),
    ("matroska", "alac", 44_100, 1, LAST),
    ("mp3", "libmp3lame", 44_100, 2, BEHIND),
    ("avi", "libmp3lame", 44_100, 2, BEHIND),
    ("ogg", "libopus", 48_000, 2, LAST),
    ("webm", "libopus", 48_000, 1, LAST),
    ("mp4", "libopus", 48_000, 1, BEHIND),
    ("ogg", "vorbis", 44_100, 2, LAST),
    ("flac", "flac", 44_100, 2, BEHIND),
    ("ogg", "flac", 44_100, 1, LAST),
    ("matroska", "flac", 44_100, 1, LAST),
    ("ac3", "ac3", 48_000, 2, BEHIND),
    ("eac3", "eac3", 48_000, 2, BEHIND),
    ("mp2", "mp2", 48_000, 2, BEHIND),
    ("mpeg", "mp2", 48_000, 2, BEHIND),
    ("asf", "wmav1", 44_100, 2, BEHIND),
    ("asf", "wmav2", 44_100, 2, BEHIND),
    ("wv", "wavpack", 44_100, 2, BEHIND),
    ("tta", "tta", 44_100, 2, BEHIND),
    ("amr", "libopencore_amrnb", 8_000, 1, BEHIND),
    ("wav", "adpcm_ms", 8_000, 1, BEHIND),
    ("wav", "adpcm_ima_wav", 16_000, 1, BEHIND),
    ("w64", "pcm_s24le", 48_000, 2, BEHIND),
    ("aiff", "pcm_s16be", 44_100, 2, BEHIND),
    ("au", "pcm_mulaw", 8_000, 1, BEHIND),
    ("nut", "pcm_s16le", 16_000, 1, BEHIND),
]


@functools.cache
def recording(format, codec, rate, channels):
    noise = np.random.default_rng(1).normal(0, 0.02, round(SECONDS * SAMPLE_RATE))
    samples = np.stack([beeps(SECONDS, (1, 3, 5, 7, *BEHIND)) + noise] * channels)
    bit_rate = 128_000 if codec.startswith("wma") else None
    return media([Track(samples, codec, rate, bit_rate=bit_rate)], format)


def damaged(data, seed):
    """The file with up to 256 other bytes, between a fifth and seven tenths of it; and what share of it they are."""
    draw = random.Random(seed)
    count = draw.choice([1, 4, 16, 64, 256])
    at = int(len(data) * draw.uniform(0.2, 0.7))
    return data[:at] + draw.randbytes(count) + data[at + count :], count / len(data)


def lost(case, seed):
    """The beeps behind the damage that are not heard at their time."""
    *kind, wanted = case
    data, share = damaged(recording(*kind), seed)
    tolerance = UNTIMED.get(kind[0], TOLERANCE)
    (rows,), _ = decoded(data)
    found = np.array(onsets(rows[0], 0.25))
    return [beep for beep in wanted if np.abs(found - beep).min(initial=9) > tolerance + share * SECONDS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:-1])))
def test_one_damaged_place_costs_nothing_behind_it(case):
    assert {seed: beeps for seed in range(6) if (beeps := lost(case, seed))} == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case[:-1])))
def test_none_of_many_damaged_places_costs_what_is_behind_it(case):
    """150 places each, over 5,000 in all."""
    assert {seed: beeps for seed in range(150) if (beeps := lost(case, seed))} == {}


def spoilt(is_noise):
    """A minute of beeps, one a second, in numbered packets, some of which are noise."""
    numbers = itertools.count(1)

    def edit(packet):
        if is_noise(next(numbers)):
            packet.update(random.Random(1).randbytes(packet.size))

    return media([Track(beeps(60, np.arange(0.5, 60)), "aac", 44_100)], "ipod", edit)


def test_more_damaged_places_than_a_number_are_passed_over():
    """One in fifty of the packets: what counts is their share."""
    (rows,), decoder = decoded(spoilt(lambda number: number % 50 == 0))
    heard = onsets(rows[0], 0.25)
    assert len(heard) >= 55
    assert rows.shape[1] / SAMPLE_RATE == pytest.approx(60, abs=0.2)
    assert "damaged places were skipped" in decoder.damage().sentence
    assert not decoder.damage().cut_short


def test_a_file_that_is_mostly_damaged_is_kept_as_if_it_were_cut_short():
    """What of it is left may be anything: whoever has it may still have better."""
    _, decoder = decoded(spoilt(lambda number: number % 5))
    assert decoder.damage().cut_short
    assert "could not be decoded" in decoder.damage().sentence
