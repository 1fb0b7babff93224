"""Whether somebody has a file open for writing, where the kernel tells.  Knows one descriptor."""

from __future__ import annotations

import fcntl


def being_written(fd: int) -> bool:
    """Whether it is open for writing anywhere on this host, in this process too: a read lease is refused then.

    fcntl(2), F_SETLEASE.  Not told for files of another user and on most network file systems: False.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
