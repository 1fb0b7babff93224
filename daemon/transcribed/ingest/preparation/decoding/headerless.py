"""Tell what a headerless file holds, by the suffix of its name: the sound of telephone systems, as it was on the wire.

The suffixes are those of Asterisk's format modules and of FreeSWITCH's mod_native_file, except `.raw` and `.pcm`, which
mean something else to everybody.  Knows names and the first bytes of files; decodes nothing.
"""

from __future__ import annotations

import struct
from pathlib import PurePath

from transcribed.ingest.preparation.decoding.file_view import Part
from transcribed.ingest.preparation.decoding.rejection import is_text

_UNTIL_THE_END = 0xFFFFFFFF
_MULAW, _ALAW, _PCM, _DIALOGIC = 7, 6, 1, 0x17  # format tags of RIFF WAVE (RFC 2361)


def _wav(tag: int, rate: int = 8000, bits: int = 8) -> Part:
    """Describe sound that needs only the header of a WAV."""
    bytes_per_second = rate * bits // 8
    form = struct.pack("<HHIIHHH", tag, 1, rate, bytes_per_second, max(1, bits // 8), bits, 0)
    head = b"RIFF" + struct.pack("<I", _UNTIL_THE_END) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
    return Part(0, 0, header=head + b"data" + struct.pack("<I", _UNTIL_THE_END))


def _raw(format: str, **options: str) -> Part:
    """Describe sound that FFmpeg reads without a header, if it is told which."""
    return Part(0, 0, format=format, options=options)


_SUFFIXES = {
    **dict.fromkeys((".ulaw", ".ulw", ".ul", ".mu", ".pcmu"), _wav(_MULAW)),
    **dict.fromkeys((".alaw", ".alw", ".al", ".pcma"), _wav(_ALAW)),
    **{f".sln{rate or ''}": _wav(_PCM, (rate or 8) * 1000, 16) for rate in (0, 12, 16, 24, 32, 48, 96, 192)},
    ".sln44": _wav(_PCM, 44_100, 16),
    ".vox": _wav(_DIALOGIC, bits=4),
    ".g722": _raw("g722"),
    **{f".g726-{kbits}": _raw("g726le", code_size=str(kbits // 8)) for kbits in (16, 24, 32, 40)},  # packed as RFC 3551
    **dict.fromkeys((".g723", ".g723sf"), _raw("g723_1")),
    ".g729": _raw("g729", bit_rate="8000"),
    ".gsm": _raw("gsm"),
    ".ilbc": Part(0, 0, header=b"#!iLBC30\n"),  # RFC 3952; Asterisk writes frames of 30 ms
    **dict.fromkeys((".sbc", ".msbc"), _raw("sbc")),
    ".aptx": _raw("aptx"),
}

# First bytes of files that have a header after all, whatever they are called.
_HEADERS = (b"RIFF", b"RF64", b"OggS", b"fLaC", b"FORM", b".snd", b"ID3", b"caff", b"#!", b"\x1a\x45\xdf\xa3", b"MThd")


def headerless(name: str, head: bytes, size: int) -> Part | None:
    """Describe the file by its suffix; None if that says nothing, or the file begins as one with a header does."""
    part = _SUFFIXES.get(PurePath(name).suffix.casefold())
    if part is None or head.startswith(_HEADERS) or head[4:8] == b"ftyp" or is_text(head):
        return None
    return Part(0, size, header=part.header, format=part.format, options=part.options)
