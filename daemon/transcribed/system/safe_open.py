"""Open files below a folder and never outside it: no link is followed on the way (promise P8).

Each part of a name is opened relative to the one before, so that swapping a folder for a link between check and use
gains nothing (CWE-367).  Knows folders and names; nothing of inboxes, outboxes or a file's content.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_RENAMEAT2 = ctypes.CDLL(None, use_errno=True).renameat2
_NOREPLACE = 1  # RENAME_NOREPLACE of linux/fs.h
_NO_SUCH_CALL = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_UNKNOWN_TO_SHARES = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permissions of the files and folders we create; shares may ignore them and apply their own."""

    mode: int = 0o664
    gid: int = -1  # -1: that of the folder or the process

    def give_file(self, fd: int) -> None:
        with ignoring_unsupported():
            os.fchmod(fd, self.mode)
        self._give_group(fd)

    def give_folder(self, fd: int) -> None:
        """Set the permissions of a folder: readers of its files may enter it; an inherited setgid bit stays."""
        with ignoring_unsupported():
            os.fchmod(fd, os.fstat(fd).st_mode & 0o7777 | self.mode | (self.mode & 0o444) >> 2)
        self._give_group(fd)

    def _give_group(self, fd: int) -> None:
        if self.gid != -1:
            with ignoring_unsupported():
                os.fchown(fd, -1, self.gid)


DEFAULT_PERMISSIONS = Permissions()


@contextmanager
def ignoring_unsupported() -> Iterator[None]:
    """Suppress the errors of shares that support neither modes nor syncing of folders; other errors propagate."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNKNOWN_TO_SHARES:
            raise


def sync(folder: int) -> None:
    """Flush a folder's entries to disk.  Raises OSError."""
    with ignoring_unsupported():
        os.fsync(folder)


@contextmanager
def open_parent(root: Path, name: str, *, create: Permissions | None = None) -> Iterator[int]:
    """Open the folder that holds `name`, below `root`, and yield its descriptor; create missing folders with `create`.

    Raises OSError, with ELOOP or ENOTDIR if a part is a link, and ValueError for a name that leads out of `root`.
    """
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in _parts(name)[:-1]:
            made = create is not None and _make_folder(part, here)
            below = os.open(part, _FOLDER, dir_fd=here)
            if create and made:
                create.give_folder(below)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def open_file(root: Path, name: str) -> int:
    """Return a read-only descriptor of `root/name`; never blocks on a FIFO.  Raises as `open_parent` does."""
    with open_parent(root, name) as parent:
        return os.open(_parts(name)[-1], _FILE, dir_fd=parent)


def may_enter(folder: int) -> bool:
    """Return True if what an open folder holds can be opened too: reading its names alone is not enough."""
    try:
        os.stat(".", dir_fd=folder)
    except PermissionError:
        return False
    return True


@contextmanager
def opened(name: str, folder: int) -> Iterator[int]:
    """Open a file of a folder for reading, and yield its descriptor; never blocks on a FIFO.  Raises OSError."""
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def rename(old: str, new: str, folder: int, target: int) -> None:
    """Rename a file, and never over another one: raise FileExistsError if the name is taken, OSError if it fails.

    Where the file system lacks rename without replacing (renameat2(2)), an empty file reserves the name; only a kill at
    that very moment leaves it behind.
    """
    if _RENAMEAT2(folder, os.fsencode(old), target, os.fsencode(new), _NOREPLACE) == 0:
        return
    error = ctypes.get_errno()
    if error not in _NO_SUCH_CALL:
        raise OSError(error, os.strerror(error), old)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
    try:
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=target)
        raise


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePath(name).parts
    if not parts or ".." in parts or PurePath(name).is_absolute():
        raise ValueError(f"{name!r} is not a name below a folder")
    return parts


def _make_folder(part: str, here: int) -> bool:
    """Create a folder; return False if it already exists."""
    try:
        os.mkdir(part, 0o777, dir_fd=here)
    except FileExistsError:
        return False
    sync(here)  # the new folder's name must survive a power cut, as its content will
    return True
