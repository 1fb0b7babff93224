"""Inspect a folder, and try in it what the daemon does there: create, sync, rename and remove a hidden file.

Runs in a separate process, as the service's user if possible (isolated_call.py), because a share may hang.  Knows
folders; judges nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transcribed.system import filesystems
from transcribed.system.temp_files import TEMPORARY

MAX_ENTRIES = 200_000  # scanned below an inbox; more would only take time
MAX_FILES = 1000  # whose permissions are checked


@dataclass(frozen=True, slots=True)
class FolderReport:
    kind: str  # of its file system
    missing: str | None = None  # why it cannot be used as a folder
    unread: str | None = None  # why it cannot be listed
    awaited: Path | None = None  # a mount point in /etc/fstab with nothing mounted
    free_bytes: int = 0
    free_inodes: int | None = None  # None where the file system does not count them
    trial: WriteTrial | None = None  # None if no write was tried
    closed_files: int = 0  # recordings that this user cannot read
    closed_folders: int = 0  # folders that this user cannot enter
    folders: int = 0


@dataclass(frozen=True, slots=True)
class WriteTrial:
    """The result of writing."""

    refused: str | None = None  # why a file could not be created, synced, renamed or removed
    moved: str | None = None  # why a file could not be renamed into the other folder
    keeps_mode: bool = True
    keeps_group: bool = True
    group: int = 0  # of the folder
    knows_case: bool = True


def inspect(folder: Path, *, mode: int | None = None, onto: Path | None = None) -> FolderReport:
    """Inspect a folder, which may be a link.

    With `mode`, try to write a file of that mode; with `onto`, also try to rename it into that folder.
    """
    kind, awaited = filesystems.kind_of(folder), filesystems.awaited(folder)
    try:
        group = os.stat(f"{folder}/.").st_gid  # needs the right to enter
        space = filesystems.space_of(folder)
    except OSError as error:
        return FolderReport(kind, missing=_reason(error), awaited=awaited)
    try:
        contents = _contents(folder)
    except OSError as error:
        contents = {"unread": _reason(error)}
    return FolderReport(
        kind,
        awaited=awaited,
        free_bytes=space.free_bytes,
        free_inodes=space.free_inodes if space.total_inodes else None,
        trial=None if mode is None else _try(folder, group, mode, onto),
        **contents,
    )


def _contents(folder: Path) -> dict[str, Any]:
    """Count the unreadable files, the folders, itself included, and those that cannot be entered.  Raises OSError."""
    os.listdir(folder)
    files = closed_files = closed_folders = 0
    folders = 1
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            folders += 1
            closed_folders += not os.access(entry.path, os.R_OK | os.X_OK)
        elif files < MAX_FILES and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
            files += 1
            closed_files += not os.access(entry.path, os.R_OK)
    return {"closed_files": closed_files, "closed_folders": closed_folders, "folders": folders}


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    left, waiting = MAX_ENTRIES, [os.fspath(folder)]
    while waiting and left > 0:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as found:
            for entry in found:
                left -= 1
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _try(folder: Path, group: int, mode: int, onto: Path | None) -> WriteTrial:
    first, second = (folder / f"{TEMPORARY}{secrets.token_hex(4)}-doctor-{n}" for n in "ab")
    with contextlib.ExitStack() as left:
        for path in (first, second):
            left.callback(_remove, path)
        try:
            made = _write(first, mode)
            os.rename(first, second)
            knows_case = not (folder / second.name.upper()).exists()
            moved = _move(second, onto) if onto else None
            second.unlink(missing_ok=onto is not None)
        except OSError as error:
            return WriteTrial(refused=_reason(error))
    return WriteTrial(None, moved, made.st_mode & 0o777 == mode, made.st_gid == group, group, knows_case)


def _write(path: Path, mode: int) -> os.stat_result:
    """Create and sync a file; return its status.  Works on its own descriptor, never on another user's file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, b"transcribed doctor\n")
        with contextlib.suppress(OSError):  # some shares have no modes
            os.fchmod(fd, mode)
        os.fsync(fd)
        return os.fstat(fd)
    finally:
        os.close(fd)


def _move(path: Path, onto: Path) -> str | None:
    try:
        os.rename(path, onto / path.name)
        (onto / path.name).unlink()
    except OSError as error:
        return _reason(error)
    return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
