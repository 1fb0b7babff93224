import numpy as np
import pytest

from transcribed.ingest.preparation.mixer import mix_down


def tone(power=1.0, seconds=0.1):
    at = np.arange(int(16_000 * seconds)) / 16_000
    return (8000 * power**0.5 * np.sin(2 * np.pi * 300 * at)).astype(np.int16)


def loudness(samples):
    return float(np.square(samples.astype(np.float64)).mean())


def test_two_voices_are_both_in_the_mix():
    left, right = tone(), np.roll(tone(0.5), 13)
    np.testing.assert_allclose(mix_down(np.stack([left, right])), (left.astype(float) + right) / 2, atol=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 32])
def test_the_mix_is_the_mean_to_the_last_bit(channels):
    noise = np.random.default_rng(channels).integers(-9000, 9000, (channels, 1600))
    frames = (tone() + noise).astype(np.int16)
    np.testing.assert_array_equal(mix_down(frames), frames.mean(axis=0).round().astype(np.int16))


@pytest.mark.parametrize("channels", [1, 2, 8, 16, 32])
def test_one_speaker_is_heard_however_many_microphones_are_silent(channels):
    frames = np.zeros((channels, 1600), np.int16)
    frames[-1] = tone()
    assert loudness(mix_down(frames)) >= 0.2 * loudness(tone())


def test_a_microphone_wired_the_wrong_way_round_silences_nobody():
    assert loudness(mix_down(np.stack([tone(), -tone()]))) == loudness(tone())


def test_full_scale_does_not_wrap():
    loud = np.full((2, 100), 32767, np.int16)
    assert (mix_down(loud) == 32767).all()
