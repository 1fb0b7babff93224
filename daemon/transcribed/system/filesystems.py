"""What kind of file system holds a path.  Knows mount points; nothing of inboxes or ledgers.

Events reach inotify only for changes made on this host, so everything that is not known to be local is polled; and
SQLite's write-ahead log needs shared memory that network file systems lack (sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import psutil

from transcribed.system.timeout import call_with_timeout

RESOLVE_SECONDS = 5.0

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
    """The file system's name as the kernel says it ("ext4", "nfs4", "fuse.sshfs"); "unknown" where none is found."""
    try:
        real = call_with_timeout(RESOLVE_SECONDS, path.resolve)
    except TimeoutError:  # a share that hangs
        real = path
    mounts = _mounts()
    return next((mounts[p] for p in (real, *real.parents) if p in mounts), "unknown")


def is_local(path: Path) -> bool:
    return kind_of(path) in LOCAL


def lack_of_space(folder: Path, least: float) -> str | None:
    """A sentence where its disk has fewer bytes free than `least`; below 1, that is a share of it."""
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return f"No file is begun: {folder} cannot be used: {error.strerror}."
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    if free >= (least * total if least < 1 else least):
        return None
    return f"No file is begun: the disk of {folder} has only {free / 2**30:.1f} GiB free."


def awaited(path: Path, fstab: Path = FSTAB) -> Path | None:
    """The folder above `path`, or itself, that fstab(5) names as a mount point and nothing is mounted on."""
    with contextlib.suppress(OSError):
        fields = [line.split() for line in fstab.read_text().splitlines() if not line.lstrip().startswith("#")]
        points = {Path(_decoded(line[1])) for line in fields if len(line) > 2 and line[1].startswith("/")}
        real = path.resolve()
        return next((point for point in (real, *real.parents) if point in points - _mounts().keys()), None)
    return None


def _mounts() -> dict[Path, str]:
    return {Path(m.mountpoint): m.fstype for m in psutil.disk_partitions(all=True)}  # a later mount hides an earlier


def _decoded(field: str) -> str:
    r"""Blanks are written in octal there, "\040"."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
