"""Read JSON into a declared shape, whatever it holds: what we stored, a disk or a stranger may have changed since.

A shape is a type with annotations: a dataclass, a TypedDict, a list of them, with limits by `msgspec.Meta`.  Knows JSON
and files; nothing of what they mean.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

MAX_BYTES = 4 * 2**20  # of a file of ours; parsed, a hostile one takes twenty times as much memory

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
UnixTime = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
"""Seconds since the epoch, until the year 5138: Python's calendar cannot show what is far beyond."""

Shape = TypeVar("Shape")


def parse(data: str | bytes, shape: type[Shape]) -> Shape | None:
    """Return the value that a JSON text describes; None if it is not JSON, or of another shape.

    Names that are not UTF-8 are stored as lone surrogates, which only the standard library's parser takes.
    """
    try:
        return fit(json.loads(data, parse_float=_finite, parse_constant=_finite), shape)
    except (ValueError, RecursionError):
        return None


def fit(value: object, shape: type[Shape]) -> Shape | None:
    """Return a parsed value as one of this shape, without what the shape does not name; None if it does not fit."""
    try:
        return msgspec.convert(value, shape)
    except (ValueError, RecursionError):  # ValidationError is one, and what a lone surrogate causes
        return None


def skim(data: bytes, shape: type[Shape]) -> Shape | None:
    """Do the same for a text of any size: only what the shape names is built, so memory does not grow with the rest.

    Larger ones than MAX_BYTES must not hold names that are not UTF-8.
    """
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError):
        return parse(data, shape) if len(data) <= MAX_BYTES else None


def read(path: Path, shape: type[Shape], most: int = MAX_BYTES) -> Shape | None:
    """Return the value in a file; None if it cannot be read, is larger than `most` bytes, or of another shape."""
    data = read_bytes(path, most)
    return None if data is None else parse(data, shape)


def recall(path: Path, shape: type[Shape]) -> Shape | None:
    """Read what an earlier run of the daemon remembered; log it if the file is there and cannot be read."""
    found = read(path, shape)
    if found is None and os.path.lexists(path):
        import structlog  # here: most commands read, and have nothing to log

        log = structlog.get_logger("transcribed")
        log.warning("unreadable file ignored", file=str(path), hint="It is written anew.")
    return found


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes | None:
    """Return the content of a regular file of at most `most` bytes; None of anything else, a pipe or a link too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError:
        return None
    finally:
        os.close(fd)
    return data if len(data) <= most else None


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number")
    return number
