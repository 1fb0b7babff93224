"""Read the duration that a file's header declares, where FFmpeg does not report it, to detect truncated files.

FFmpeg clips a WAV's length to the file, and guesses an MP3's.  Knows the two headers; decodes nothing.  Sources: RIFF
WAVE (Microsoft, Multimedia Programming Interface 1.0); the Xing/Info tag (LAME's mp3 info tag revision 1).
"""

from __future__ import annotations

import struct
from typing import Protocol

STREAMED = 0x7FFFF000  # sizes from here on, and 0, come from programs that did not know the length
MAX_CHUNKS = 64
_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version bits
_SAMPLES_PER_FRAME = {3: 1152, 2: 576, 0: 576}  # layer III


class Readable(Protocol):
    """The methods of a file that the header check and FFmpeg need."""

    def read(self, count: int) -> bytes: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


def declared_seconds(file: Readable) -> float | None:
    """Return the duration that a WAV or MP3 header declares; None if there is none that can be trusted."""
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _wav_seconds(file)
    return _mp3_seconds(file, head)


def _wav_seconds(file: Readable) -> float | None:
    at, bytes_per_second = 12, 0
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
        if name == b"fmt " and size >= 16:
            (bytes_per_second,) = struct.unpack_from("<I", file.read(16).ljust(16, b"\0"), 8)
        if name == b"data":
            return size / bytes_per_second if bytes_per_second and 0 < size < STREAMED else None
        if not name.strip(b"\0"):
            return None
        at += 8 + size + size % 2
    return None


def _mp3_seconds(file: Readable, head: bytes) -> float | None:
    """Return the duration by the encoder's count of frames, if the first frame contains it."""
    start = 0
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(start)
    frame = file.read(200)
    if len(frame) < 60 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    if mark < 0 or version not in _MPEG_RATES or rate == 3 or not frame[mark + 7] & 1:
        return None
    (frames,) = struct.unpack_from(">I", frame, mark + 8)
    return float(frames * _SAMPLES_PER_FRAME[version] / _MPEG_RATES[version][rate])
