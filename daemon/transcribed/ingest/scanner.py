"""Walk a folder, and observe single files closely.

Follows no link, never blocks, and never writes.  Knows nothing of when to look, or of how the findings are used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from transcribed.core.types import Source
from transcribed.ingest.ignore import is_ignored
from transcribed.ingest.stability import Observation
from transcribed.system import filesystems, safe_open

MAX_DEPTH = 32
MAX_ENTRIES = 2_000_000
SAMPLE_BYTES = 4096
BLANK_BYTES = 2**16  # a file that ends in so many zeros looks preallocated; fewer are silence

Root = tuple[int, int]  # device and inode of a folder; they change if a disk is mounted on it or unmounted

log = structlog.get_logger("transcribed.scan")


def walk(folder: Path, ignore: Sequence[str] = (), root: Path | None = None) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the regular files below `folder`; no links, no ignored names, never deeper than MAX_DEPTH.

    Raise OSError if `folder` itself cannot be read; unreadable folders below it are skipped until the next walk.
    """
    root = root or folder
    level, entries = [os.fspath(folder)], 0
    for depth in range(MAX_DEPTH + 1):
        below: list[str] = []
        for place in level:
            for entry in _entries(place, must=depth == 0):
                entries += 1
                if entries > MAX_ENTRIES:
                    log.error("inbox has too many entries; the rest is ignored", inbox=str(root), limit=MAX_ENTRIES)
                    return
                if is_ignored(os.path.relpath(entry.path, root), ignore):
                    continue
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        below.append(entry.path)
                    elif stat.S_ISREG(status.st_mode):
                        yield Path(entry.path), status
        level = below
    if level:
        log.warning("folders are nested too deeply; deeper ones are ignored", inbox=str(root), depth=MAX_DEPTH)


def _entries(place: str, *, must: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return list(found)
    except OSError:
        if must:
            raise
        return []


def root_of(folder: Path) -> Root | None:
    """Return the identity of a folder; None if it cannot be read."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def source_of(inbox: Path, path: Path, status: os.stat_result, *, inodes: bool = True) -> Source:
    """Return the version of a file that `status` shows; without its inode if the file system invents inodes."""
    return Source(inbox, path, status.st_size, status.st_mtime_ns, status.st_ino if inodes else 0)


def observe(inbox: Path, path: Path, *, inodes: bool = True) -> Observation | None:
    """Stat and sample a file through one descriptor; return None if it is gone or no longer a regular file."""
    try:
        fd = safe_open.open_file(inbox, str(path.relative_to(inbox)))
    except PermissionError:  # it counts as stable by its status alone; preparing it will report the error
        return _observe_unreadable(inbox, path, inodes)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        last = max(0, status.st_size - SAMPLE_BYTES)
        head, middle, tail = (os.pread(fd, SAMPLE_BYTES, at) for at in (0, last // 2, last))
        blank = not any(tail) and _ends_blank(fd, status.st_size)
        digest = hashlib.blake2b(head + middle + tail, digest_size=16).digest()
        being_written = filesystems.is_open_for_writing(fd)
        return Observation(source_of(inbox, path, status, inodes=inodes), digest, blank, being_written)
    except OSError:  # a locked range or a bad sector in one file must not stop the observation of others
        return _observe_unreadable(inbox, path, inodes)
    finally:
        os.close(fd)


def _ends_blank(fd: int, size: int) -> bool:
    return size > BLANK_BYTES and not any(os.pread(fd, BLANK_BYTES, size - BLANK_BYTES))


def _observe_unreadable(inbox: Path, path: Path, inodes: bool) -> Observation | None:
    with contextlib.suppress(OSError):
        return Observation(source_of(inbox, path, path.lstat(), inodes=inodes), b"", False, False)
    return None
