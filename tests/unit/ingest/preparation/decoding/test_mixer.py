"""Mixing channels: each speaker is heard, whoever else speaks, on whichever channel, however it is wired."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.ingest.preparation.decoding.mixer import FADE_SAMPLES, Downmix

SECOND = 8_000  # samples; the mixer does not know how long a second is


def voice(seed, level=0.1, samples=SECOND):
    """Noise in bursts, as speech is: unlike every other seed."""
    random = np.random.default_rng(seed)
    bursts = np.repeat(random.random(samples // 800 + 1) < 0.6, 800)[:samples]
    return (level * random.normal(size=samples) * bursts).astype(np.float32)


def power(samples):
    return float(np.square(samples, dtype=np.float64).mean())


def shares(parts, mix):
    """The factors with which unlike parts are in the mix."""
    found, *_ = np.linalg.lstsq(np.stack(parts).astype(np.float64).T, mix.astype(np.float64))
    return np.abs(found)


def mixed(rows):
    return Downmix()(np.stack(rows).astype(np.float32))[0]


channel_counts = st.integers(2, 32)
levels = st.floats(-40, 0).map(lambda decibels: 10 ** (decibels / 20))


@settings(max_examples=60, deadline=None)
@given(st.data(), channel_counts)
def test_each_single_speaker_of_each_channel_is_heard(data, channels):
    """Whoever else speaks, and however much louder: at least as in the plain mean of all channels."""
    count = data.draw(st.integers(1, channels))
    places = data.draw(st.permutations(range(channels)))[:count]
    rows = np.zeros((channels, SECOND), np.float32)
    for place in places:
        rows[place] = voice(place, 0.1 * data.draw(levels))
    assert (shares(rows[places], mixed(rows)) > 0.99 / channels).all()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 12))
def test_channels_wired_the_wrong_way_round_silence_nobody(data, channels):
    """One voice on several channels, turned over on some, and another, softer voice on the rest."""
    signs = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=channels, max_size=channels))
    both = data.draw(st.integers(1, channels - 1))
    rows = [sign * voice(1) for sign in signs[:both]] + [voice(2, 0.03) for _ in signs[both:]]
    one, other = shares([voice(1), voice(2, 0.03)], mixed(rows))
    assert one > 0.99 * both / channels
    assert other > 0.99 * (channels - both) / channels


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 32])
def test_one_speaker_is_as_loud_as_on_the_only_microphone(channels):
    rows = [np.zeros(SECOND, np.float32)] * (channels - 1) + [voice(1)]
    np.testing.assert_allclose(mixed(rows), voice(1), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 32])
def test_channels_that_are_all_alike_are_one_of_them(channels):
    np.testing.assert_allclose(mixed([voice(1)] * channels), voice(1), atol=1e-5)


def test_dialogue_in_the_centre_is_heard_under_louder_surround():
    rows = [voice(seed, 0.18) for seed in range(5)] + [voice(9)]
    assert shares(rows, mixed(rows))[-1] > 1 / 6


def test_the_mix_is_as_loud_as_the_loudest_channel():
    rows = [voice(seed, 0.05 + 0.01 * seed) for seed in range(8)]
    assert power(mixed(rows)) == pytest.approx(max(map(power, rows)), rel=0.05)


def test_factors_change_smoothly_from_block_to_block():
    """A constant on the first channel, and a second that falls silent, leave no step behind."""
    downmix = Downmix()
    hum = np.full(SECOND, 0.1, np.float32)
    first = downmix(np.stack([hum, hum]))[0]
    second = downmix(np.stack([hum, np.zeros(SECOND, np.float32)]))[0]
    assert abs(second[0] - first[-1]) < 0.06  # what the silent channel took away
    assert np.abs(np.diff(second)).max() < 2 * 0.1 / FADE_SAMPLES


def test_silence_stays_silence():
    assert not mixed([np.zeros(SECOND, np.float32)] * 4).any()
