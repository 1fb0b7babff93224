"""Show FFmpeg a part of a file, with a header before it or fields in it that are put right.  Knows bytes only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Readable(Protocol):
    """What is read, here and by FFmpeg."""

    def read(self, count: int) -> bytes: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


def read_at(file: Readable, offset: int, count: int) -> bytes:
    """Return `count` bytes from an offset on, fewer at the end of the file."""
    file.seek(offset)
    return file.read(count)


@dataclass(frozen=True, slots=True)
class Part:
    """One recording within a file."""

    start: int  # bytes
    stop: int
    corrections: tuple[tuple[int, bytes], ...] = ()  # offset in the file, and what should be there
    header: bytes = b""  # what should be before it
    format: str | None = None  # FFmpeg's name, where the bytes do not tell
    options: Mapping[str, str] = field(default_factory=dict)  # FFmpeg's, for this format
    told_share: float = 1.0  # the length that its header tells, as a multiple of what is there


class Seekable:
    """The position in a file of a known size."""

    size: int
    _at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


class FileView(Seekable):
    """A file object that holds a part of another, as it should be."""

    def __init__(self, file: Readable, part: Part) -> None:
        self._file, self._part = file, part
        self.format, self.options = part.format, part.options
        self.size = len(part.header) + part.stop - part.start

    def read(self, count: int = -1) -> bytes:
        count = min(count if count >= 0 else self.size, max(0, self.size - self._at))
        header = self._part.header[self._at : self._at + count]
        begin = self._part.start + max(0, self._at - len(self._part.header))
        data = read_at(self._file, begin, count - len(header))
        self._at += len(header) + len(data)
        return header + (self._corrected(data, begin) if self._part.corrections else data)

    def _corrected(self, data: bytes, begin: int) -> bytes:
        out = bytearray(data)
        for offset, right in self._part.corrections:
            for place, byte in enumerate(right, offset - begin):
                if 0 <= place < len(out):
                    out[place] = byte
        return bytes(out)
