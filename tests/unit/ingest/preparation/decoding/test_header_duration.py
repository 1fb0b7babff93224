import io
import struct

import pytest

from transcribed.ingest.preparation.decoding.header_duration import mp3_seconds


def test_an_mp3_says_how_long_it_is_if_its_encoder_did():
    header = bytes([0xFF, 0xFB, 0x90, 0x00]) + bytes(32)  # MPEG 1 layer III at 44,100 Hz
    tagged = header + b"Info" + struct.pack(">II", 1, 2297) + bytes(200)
    assert mp3_seconds(io.BytesIO(tagged)) == pytest.approx(60.0, abs=0.1)
    id3 = b"ID3\x03\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    assert mp3_seconds(io.BytesIO(id3 + tagged)) == pytest.approx(60.0, abs=0.1)
    assert mp3_seconds(io.BytesIO(header + bytes(300))) is None


@pytest.mark.parametrize("data", [b"", b"R", b"ID3\xff\xff\xff\xff\xff\xff\xff", bytes(300)])
def test_what_has_no_header_says_nothing(data):
    assert mp3_seconds(io.BytesIO(data)) is None
