import io
import struct

import pytest

from transcribed.ingest.preparation import header_duration


def wav(data_size, rate=16_000, extra=b""):
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return io.BytesIO(b"RIFF\0\0\0\0WAVE" + extra + form + b"data" + struct.pack("<I", data_size) + b"\0" * 100)


def test_a_wav_says_how_long_it_is_even_if_it_is_cut():
    assert header_duration.declared_seconds(wav(32_000 * 60)) == 60.0
    assert header_duration.declared_seconds(wav(32_000 * 60, extra=b"LIST\x05\0\0\0hello\0")) == 60.0


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_whose_writer_did_not_know_its_length_says_nothing(size):
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
