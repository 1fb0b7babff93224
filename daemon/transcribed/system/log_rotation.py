"""Rotate log files: rename a full one with a number, compress it later, keep the newest few.

`NAME` becomes `NAME.000041`, then `NAME.000041.gz`; the highest number is the newest, whatever the clock says.  Knows
files; nothing of their content, nor of when to rotate.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transcribed.core.errors import Unavailable
from transcribed.system import filesystems

_PART = ".part"


@dataclass(frozen=True, slots=True)
class Rotation:
    max_bytes: int = 50 * 2**20
    keep: int = 7  # rotated files
    external: bool = False  # another program rotates; we only reopen the file


def rotate(path: Path, keep: int, at_least_bytes: int = 1) -> None:
    """Rename a log file with the next number, so that its next line starts a new one; keep only the newest `keep`.

    A file smaller than `at_least_bytes` stays; a missing one is ignored.  Raises OSError.
    """
    try:
        if path.stat().st_size < at_least_bytes:
            return
    except FileNotFoundError:
        return
    newest = max(_numbered(path), default=(0, path))[0]
    os.rename(path, path.with_name(f"{path.name}.{newest + 1:06d}"))
    _prune(path, keep)


def compress(path: Path) -> None:
    """Compress the rotated files of a log: each whole or not at all, also after a crash.

    A file still open for writing is left for the next time: not a line of it may be lost.  Only one thread may call
    this.  Raises Unavailable if the disk is full; nothing is lost then either.
    """
    for half in path.parent.glob(f".{path.name}.*{_PART}"):  # left by a crash: nobody else compresses
        half.unlink(missing_ok=True)
    try:
        for number, plain in sorted(_numbered(path)):
            if plain.suffix != ".gz":
                _replace(plain, path.with_name(f"{path.name}.{number:06d}.gz"))
    except FileNotFoundError:  # pruned meanwhile
        return
    except OSError as error:
        raise Unavailable(f"{path} cannot be compressed: {error.strerror}.", "Free space on its disk.") from error


def _numbered(path: Path) -> Iterator[tuple[int, Path]]:
    pattern = re.compile(rf"{re.escape(path.name)}\.(\d+)(\.gz)?")
    for name in os.listdir(path.parent):
        if match := pattern.fullmatch(name):
            yield int(match[1]), path.with_name(name)


def _prune(path: Path, keep: int) -> None:
    files = sorted(_numbered(path))
    kept = {*sorted({number for number, _ in files})[-keep:]}
    for number, file in files:
        if number not in kept:
            file.unlink(missing_ok=True)


def _replace(plain: Path, target: Path) -> None:
    """Replace `plain` with `target`, its compressed form."""
    with plain.open("rb") as file:
        if filesystems.is_open_for_writing(file.fileno()):
            return
        if not target.exists():
            _write(file.fileno(), target)
    plain.unlink()


def _write(source: int, target: Path) -> None:
    half = target.with_name(f".{target.name}{_PART}")
    try:
        with half.open("wb") as raw, open(source, "rb", closefd=False) as lines:
            with gzip.GzipFile("", "wb", fileobj=raw) as packed:
                shutil.copyfileobj(lines, packed)
            raw.flush()
            status = os.fstat(source)
            os.fchmod(raw.fileno(), status.st_mode & 0o777)
            os.utime(raw.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))  # people search by date
            os.fsync(raw.fileno())
        os.rename(half, target)
        _sync(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink()
        raise


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
