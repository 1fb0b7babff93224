"""Find the recordings in a file by its outer structure: several may be joined, and FFmpeg reads only the first.

Knows which formats can be joined, and the boxes of ISO base media (ISO/IEC 14496-12) and pages of Ogg (RFC 3533);
nothing of what is in them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from transcribed.ingest.preparation.decoding.chunks import GRAMMARS, au_part, avi_part, chunked_part
from transcribed.ingest.preparation.decoding.file_view import Part, Readable, read_at

MAX_PARTS = 1000
_RESTARTS = {
    "flv": re.compile(rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09"),
    "amr": re.compile(rb"#!AMR(-WB)?\n"),
    "tta": re.compile(rb"TTA1"),
    "voc": re.compile(rb"Creative Voice File\x1a"),
    "wv": re.compile(rb"wvpk"),
}
_LONGEST_RESTART = 32  # bytes
_OGG, _OGG_HEADER_BYTES, _BEGINS_STREAM = b"OggS", 27, 2
_SEARCH_BYTES = 2**16
_SUFFICIENT_BOXES = {b"moov", b"mdat"}


def parts_of(file: Readable, size: int) -> list[Part]:
    """Return the recordings in a file of `size` bytes, in order; all of it as one if its structure is not known."""
    head = read_at(file, 0, 64)
    if head.startswith(_OGG):
        return _between(_ogg_links(file, size), size)
    if head[4:8] == b"ftyp":
        return _between(_movies(file, size), size)
    parts = [_part_at(file, 0, size)]
    while parts[-1].stop < size and len(parts) < MAX_PARTS:
        parts.append(_part_at(file, parts[-1].stop, size))
    return parts


def restart(file: Readable, format: str, start: int, stop: int) -> Part | None:
    """Return the rest of a file that can be read anew where FFmpeg's reader of the `format` has ended, or None.

    It ends where another file was joined, or where it has lost its way.
    """
    if format not in _RESTARTS:
        return None
    for at in range(start, stop, _SEARCH_BYTES):
        if found := _RESTARTS[format].search(read_at(file, at, _SEARCH_BYTES + _LONGEST_RESTART)):
            return Part(at + found.start(), stop)
    return None


def _part_at(file: Readable, start: int, size: int) -> Part:
    head = read_at(file, start, 64)
    if head.startswith(b".snd"):
        return au_part(file, start, size)
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return avi_part(file, start, size)
    grammar = next((known for known in GRAMMARS if known.magic.match(head)), None)
    return chunked_part(file, start, size, grammar) if grammar else Part(start, size)


def _between(starts: Iterator[int], size: int) -> list[Part]:
    """Return the parts that begin at each of the offsets, as long as there are not too many."""
    begins = [start for start, _ in zip(starts, range(MAX_PARTS), strict=False)] or [0]
    return [Part(start, stop) for start, stop in zip(begins, [*begins[1:], size], strict=True)]


def _movies(file: Readable, size: int) -> Iterator[int]:
    """Yield where each movie begins: at a file type box, after one that is whole."""
    at, seen = 0, _SUFFICIENT_BOXES
    while at + 8 <= size:
        length, name = struct.unpack(">I4s", read_at(file, at, 8).ljust(8, b"\0"))
        if length == 1:
            (length,) = struct.unpack(">Q", read_at(file, at + 8, 8).ljust(8, b"\0"))
        if name == b"ftyp" and seen >= _SUFFICIENT_BOXES:
            yield at
            seen = set()
        if length < 8:  # 0: to the end of the file
            return
        seen = seen | {name}
        at += length


def _ogg_links(file: Readable, size: int) -> Iterator[int]:
    """Yield where each link of a chain begins: at a page that begins a stream, after one that does not."""
    at, within = 0, True
    while at + _OGG_HEADER_BYTES <= size:
        head = read_at(file, at, _OGG_HEADER_BYTES + 255)
        if not head.startswith(_OGG + b"\0"):
            at = _next_page(file, at + 1, size)
            continue
        begins = bool(head[5] & _BEGINS_STREAM)
        if begins and within:
            yield at
        within = not begins
        segments = head[_OGG_HEADER_BYTES - 1]
        at += _OGG_HEADER_BYTES + segments + sum(head[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + segments])


def _next_page(file: Readable, start: int, size: int) -> int:
    for at in range(start, size, _SEARCH_BYTES):
        found = read_at(file, at, _SEARCH_BYTES + len(_OGG)).find(_OGG + b"\0")
        if found >= 0:
            return at + found
    return size
