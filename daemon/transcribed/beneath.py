"""Open things below a folder and never outside it: no link is followed on the way (promise P8).

Knows folders and names; nothing of inboxes, outboxes or what is in a file.  Each part of a name is opened relative to
the one before, so that swapping a folder for a link between check and use gains nothing (CWE-367).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextmanager
def folder(root: Path, name: str, *, create: bool = False) -> Iterator[int]:
    """A descriptor of the folder that holds `name`, below `root`; missing folders are made if `create`.

    Raises OSError, with ELOOP or ENOTDIR where a part is a link, and ValueError for a name that climbs out.
    """
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in _parts(name)[:-1]:
            if create:
                _make_folder(part, here)
            below = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def open_file(root: Path, name: str) -> int:
    """A read-only descriptor of `root/name`; never blocks on a FIFO.  Raises as `folder` does."""
    with folder(root, name) as parent:
        return os.open(_parts(name)[-1], _FILE, dir_fd=parent)


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePath(name).parts
    if not parts or ".." in parts or PurePath(name).is_absolute():
        raise ValueError(f"{name!r} is not a name below a folder")
    return parts


def _make_folder(part: str, here: int) -> None:
    try:
        os.mkdir(part, 0o777, dir_fd=here)
    except FileExistsError:
        return
    os.fsync(here)  # the new folder's name must survive a power cut as its content will
