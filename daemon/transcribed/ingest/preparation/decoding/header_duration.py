"""Read how long an MP3 is by its encoder's count of frames, to detect truncated files: FFmpeg guesses.

Knows one header; decodes nothing.  Source: the Xing/Info tag (LAME's mp3 info tag revision 1).
"""

from __future__ import annotations

import struct

from transcribed.ingest.preparation.decoding.file_view import Readable, read_at

_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version bits
_SAMPLES_PER_FRAME = {3: 1152, 2: 576, 0: 576}  # layer III


def mp3_seconds(file: Readable) -> float | None:
    """Return the duration that the first frame of an MP3 declares; None if there is none."""
    head = read_at(file, 0, 10)
    start = 0
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    frame = read_at(file, start, 200)
    if len(frame) < 60 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, rate = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    if mark < 0 or version not in _MPEG_RATES or rate == 3 or not frame[mark + 7] & 1:
        return None
    (frames,) = struct.unpack_from(">I", frame, mark + 8)
    return float(frames * _SAMPLES_PER_FRAME[version] / _MPEG_RATES[version][rate])
