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
from typing import NamedTuple

import structlog

from transcribed.core.types import Source
from transcribed.ingest.ignore import IN_PROGRESS, is_ignored
from transcribed.ingest.stability import Observation
from transcribed.system import filesystems, safe_open

MAX_DEPTH = 32
MAX_ENTRIES = 2_000_000
SAMPLE_BYTES = 4096
BLANK_BYTES = 2**16  # a file that ends in so many zeros looks preallocated; fewer are silence

log = structlog.get_logger("transcribed.scan")


class Found(NamedTuple):
    """What a walk found: a regular file, or a folder; `error` says why a folder could not be read."""

    path: Path
    status: os.stat_result
    error: OSError | None = None


def walk(folder: Path, ignore: Sequence[str] = (), root: Path | None = None) -> Iterator[Found]:
    """Yield the regular files and the folders below `folder`, a folder before its content, never deeper than MAX_DEPTH.

    No links, no ignored names.  A folder that can be read only in part is yielded twice, the second time with the
    error.  Raise OSError if `folder` itself cannot be read.
    """
    root = root or folder
    level, entries = [Found(folder, os.stat(folder))], 0
    for depth in range(MAX_DEPTH + 1):
        below: list[Found] = []
        for place in level:
            try:
                listed = _entries(place.path)
            except OSError as error:
                if depth == 0:
                    raise
                yield place._replace(error=error)
                continue
            yield place
            entries += len(listed)
            if entries > MAX_ENTRIES:
                log.error("inbox has too many entries; the rest is ignored", inbox=str(root), limit=MAX_ENTRIES)
                return
            for found in _wanted(place, listed, root, ignore):
                if stat.S_ISDIR(found.status.st_mode) and not found.error:
                    below.append(found)
                else:
                    yield found
        level = below
    if level:
        log.warning("folders are nested too deeply; deeper ones are ignored", inbox=str(root), depth=MAX_DEPTH)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return list(found)


def _wanted(place: Found, entries: Sequence[os.DirEntry[str]], root: Path, ignore: Sequence[str]) -> Iterator[Found]:
    """Yield the files and folders among the entries, and `place` itself if it does not show what one of them is."""
    failed: OSError | None = None
    for entry in entries:
        if is_ignored(os.path.relpath(entry.path, root), ignore):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed = failed or error
            continue
        if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            yield Found(Path(entry.path), status)
    if failed:
        yield place._replace(error=failed)


def source_of(inbox: Path, path: Path, status: os.stat_result, *, inodes: bool = True) -> Source:
    """Return the version of a file that `status` shows; without its inode if the file system invents inodes."""
    return Source(inbox, path, status.st_size, status.st_mtime_ns, status.st_ino if inodes else 0)


def observe(inbox: Path, path: Path, *, inodes: bool = True) -> Observation | None:
    """Stat and sample a file through one descriptor; return None if it is gone or no longer a regular file.

    A folder that may not be entered counts as a file that may not be read.
    """
    try:
        fd = safe_open.open_file(inbox, str(path.relative_to(inbox)))
    except PermissionError:  # it counts as stable by its status alone; preparing it will report the error
        return _observe_unreadable(inbox, path, inodes)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode) and not safe_open.may_enter(fd):
            return _observe_unreadable(inbox, path, inodes)
        if not stat.S_ISREG(status.st_mode):
            return None
        last = max(0, status.st_size - SAMPLE_BYTES)
        head, middle, tail = (os.pread(fd, SAMPLE_BYTES, at) for at in (0, last // 2, last))
        blank = not any(tail) and _ends_blank(fd, status.st_size)
        digest = hashlib.blake2b(head + middle + tail, digest_size=16).digest()
        being_written = filesystems.is_open_for_writing(fd) or in_progress(path) is not None
        return Observation(source_of(inbox, path, status, inodes=inodes), digest, blank, being_written)
    except OSError:  # a locked range or a bad sector in one file must not stop the observation of others
        return _observe_unreadable(inbox, path, inodes)
    finally:
        os.close(fd)


def in_progress(path: Path) -> Path | None:
    """Return the file beside `path` by which a program shows that it is still writing it; None if there is none."""
    beside = (path.with_name(path.name + suffix) for suffix in IN_PROGRESS)
    return next((one for one in beside if os.path.lexists(one)), None)


def _ends_blank(fd: int, size: int) -> bool:
    return size > BLANK_BYTES and not any(os.pread(fd, BLANK_BYTES, size - BLANK_BYTES))


def _observe_unreadable(inbox: Path, path: Path, inodes: bool) -> Observation | None:
    with contextlib.suppress(OSError):
        return Observation(source_of(inbox, path, path.lstat(), inodes=inodes), b"", False, False)
    return None
