import io
import struct

import numpy as np
import pytest

from transcribed.ingest.preparation import header_duration
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


def wav(data_size, rate=16_000, extra=b""):
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return io.BytesIO(b"RIFF\0\0\0\0WAVE" + extra + form + b"data" + struct.pack("<I", data_size) + b"\0" * 100)


def test_a_wav_says_how_long_it_is_even_if_it_is_cut():
    assert header_duration.declared_seconds(wav(32_000 * 60)) == 60.0
    assert header_duration.declared_seconds(wav(32_000 * 60, extra=b"LIST\x05\0\0\0hello\0")) == 60.0


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_by_one_who_did_not_know_its_length_says_nothing(size):
    assert header_duration.declared_seconds(wav(size)) is None


def test_an_mp3_says_how_long_it_is_if_its_encoder_did():
    header = bytes([0xFF, 0xFB, 0x90, 0x00]) + bytes(32)  # MPEG 1 layer III at 44,100 Hz
    tagged = header + b"Info" + struct.pack(">II", 1, 2297) + bytes(200)
    assert header_duration.declared_seconds(io.BytesIO(tagged)) == pytest.approx(60.0, abs=0.1)
    id3 = b"ID3\x03\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    assert header_duration.declared_seconds(io.BytesIO(id3 + tagged)) == pytest.approx(60.0, abs=0.1)
    assert header_duration.declared_seconds(io.BytesIO(header + bytes(300))) is None


@pytest.mark.parametrize(
    "data", [b"", b"R", b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3\xff\xff\xff\xff\xff\xff\xff", bytes(300)]
)
def test_what_has_no_header_says_nothing(data):
    assert header_duration.declared_seconds(io.BytesIO(data)) is None
