"""Determine the kind and the free space of a path's file system, and whether a file is open for writing.

inotify sees only changes made on this host, so everything not known to be local is polled; and SQLite's write-ahead
log needs shared memory, which network file systems lack (sqlite.org/wal.html).  Knows mount points; nothing of inboxes
or ledgers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

from transcribed.core.quantities import gib, of_total
from transcribed.system.timeout import call_with_timeout

RESOLVE_SECONDS = 5.0

FileId = tuple[int, int]
"""Device and inode of a file or folder; those of a folder change if a disk is mounted on it or unmounted."""

LOCAL = frozenset(
    [
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "jfs",
        "reiserfs",
        "bcachefs",
        "tmpfs",
        "ramfs",
        "overlay",
        "vfat",
        "exfat",
        "ntfs",
        "ntfs3",
        "fuseblk",
    ]
)


FSTAB = Path("/etc/fstab")


def kind_of(path: Path) -> str:
    """Return the kernel's name of the file system ("ext4", "nfs4", "fuse.sshfs"); "unknown" if none is found."""
    try:
        real = call_with_timeout(RESOLVE_SECONDS, path.resolve)
    except TimeoutError:  # a share that hangs
        real = path
    mounts = _mounts()
    return next((mounts[p] for p in (real, *real.parents) if p in mounts), "unknown")


def is_local(path: Path) -> bool:
    return kind_of(path) in LOCAL


@dataclass(frozen=True, slots=True)
class Space:
    """The space of a disk; a file system that does not count inodes has `total_inodes` 0."""

    free_bytes: int
    total_bytes: int
    free_inodes: int
    total_inodes: int
    is_read_only: bool


def space_of(folder: Path) -> Space:
    """Return the space of the folder's disk, as available to this user.  Raises OSError; may block for ever."""
    disk = os.statvfs(folder)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return Space(free, total, disk.f_favail, disk.f_files, bool(disk.f_flag & os.ST_RDONLY))


def lack_of_space(folder: Path, least: float) -> str | None:
    """Return a sentence if the folder's disk has fewer bytes free than `least`; below 1, `least` is a share of it."""
    try:
        space = space_of(folder)
    except OSError as error:
        return f"Paused: {folder} cannot be used: {error.strerror}."
    if space.free_bytes >= of_total(least, space.total_bytes):
        return None
    return f"Paused: only {gib(space.free_bytes)} free on the disk of {folder}."


def awaited(path: Path, fstab: Path = FSTAB) -> Path | None:
    """Return the nearest of `path` and its parents that is a mount point in fstab(5) but not mounted, or None."""
    with contextlib.suppress(OSError):
        fields = [line.split() for line in fstab.read_text().splitlines() if not line.lstrip().startswith("#")]
        points = {Path(_decoded(line[1])) for line in fields if len(line) > 2 and line[1].startswith("/")}
        real = path.resolve()
        return next((point for point in (real, *real.parents) if point in points - _mounts().keys()), None)
    return None


def identity_of(path: Path) -> FileId | None:
    """Return the identity of a file or folder, that of its target for a link; None if it cannot be read."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _mounts() -> dict[Path, str]:
    return {Path(m.mountpoint): m.fstype for m in psutil.disk_partitions(all=True)}  # a later mount hides an earlier


def _decoded(field: str) -> str:
    r"""Decode a field of fstab(5), where blanks are written in octal, "\040"."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def is_open_for_writing(fd: int) -> bool:
    """Return True if the file is open for writing anywhere on this host, in this process too.

    Tries a read lease, which is refused then (fcntl(2), F_SETLEASE).  False if the kernel grants no leases: for files
    of another user and on most network file systems.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
