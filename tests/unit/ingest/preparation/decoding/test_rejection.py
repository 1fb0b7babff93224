import struct

import pytest

from transcribed.ingest.preparation.decoding.rejection import is_text, unreadable

ERROR = ValueError("odd")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.4", "document"),
        (b"<!DOCTYPE html>", "document"),
        (b"PK\x03\x04sheet", "archive"),
        (b"folder/".ljust(257, b"\0") + b"ustar\x0000" + bytes(200), "archive"),
        (b"#EXTM3U\n", "playlist"),
        (bytes(512), "begins with zeros"),
        (b"RIFF", "never finished"),
        (b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt ", "never finished"),
        (struct.pack(">I", 32) + b"ftypM4A " + bytes(100), "never finished"),
        (b"dear all,\n", "text"),
        (b"\x8f\x00\x01" * 100, "damaged, or not audio"),
    ],
)
def test_what_is_no_recording_is_called_what_it_is(head, words):
    assert words in str(unreadable(head, "a.wav", ERROR))


def test_sound_without_a_header_is_told_how_to_be_named():
    error = unreadable(b"\x8f\x00\x01" * 100, "call.RAW", ERROR)
    assert "has no header" in str(error)
    assert ".sln16" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "plain words\n",
        "会议录音，请转写。\n" * 20,
        "Größe und Maß, dazu noch mehr Wörter mit Umlauten\n" * 20,
        "tab\tand return\r\n",
        '{"json": [1, 2]}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "latin-1"])
def test_text_is_text_in_any_encoding(text, encoding):
    try:
        head = text.encode(encoding)[:512]
    except UnicodeEncodeError:
        return
    assert is_text(head)


def test_telephone_sound_is_no_text():
    """Silence of G.711 holds no control character; speech of it no valid text."""
    ulaw_silence, alaw_silence = b"\xff\x7f" * 256, b"\xd5\x55" * 256
    speech = bytes((200 + 30 * n * n) % 256 for n in range(512))
    assert not any(map(is_text, (ulaw_silence, alaw_silence, speech, b"")))
