"""What kind of file system holds a path.  Knows mount points; nothing of inboxes or ledgers.

Events reach inotify only for changes made on this host, so everything that is not known to be local is polled; and
SQLite's write-ahead log needs shared memory that network file systems lack (sqlite.org/wal.html).
"""

from __future__ import annotations

from pathlib import Path

import psutil

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


def kind_of(path: Path) -> str:
    """The file system's name as the kernel says it ("ext4", "nfs4", "fuse.sshfs"); "unknown" where none is found."""
    real = path.resolve()
    mounts = {Path(m.mountpoint): m.fstype for m in psutil.disk_partitions(all=True)}  # a later mount hides an earlier
    return next((mounts[p] for p in (real, *real.parents) if p in mounts), "unknown")


def is_local(path: Path) -> bool:
    return kind_of(path) in LOCAL
