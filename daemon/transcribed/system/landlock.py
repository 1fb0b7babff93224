"""Confine this process to a few folders, and keep it from reaching others' processes, by Landlock (landlock(7)).

It cannot be undone, and holds for all that is started later; threads that run already are not affected.  Knows Linux;
nothing of what the folders hold.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1  # linux/landlock.h
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _MAKE_SYM = (1 << bit for bit in (4, 5, 7, 8, 12))
_TRUNCATE = 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many there are, by version; 16 from 5 on
_TCP = 0b11  # bind and connect, from version 4 on
_SCOPES = 0b11  # abstract sockets and signals, from version 6 on

SIGNALS_SINCE = 6  # the version that keeps signals within the confined processes

READ = _READ_FILE | _READ_DIR
RUN = READ | _EXECUTE
WRITE = READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return which version of Landlock the kernel offers; 0 if none, or if it is switched off."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)))


def confine(allowed: Iterable[tuple[Path, int]]) -> int:
    """Allow this thread, and all that it starts, only what is listed: READ, RUN or WRITE below each path.

    Paths that cannot be opened allow nothing, also if they appear later.  Return the version used; 0 if the kernel
    offers none: nothing is confined then.  Raises OSError.
    """
    if not (offered := version()):
        return 0
    handled = (1 << _FILE_RIGHTS.get(offered, 16)) - 1
    attributes = struct.pack("QQQ", handled, _TCP if offered >= 4 else 0, _SCOPES if offered >= 6 else 0)
    size = ctypes.c_size_t(8 if offered < 4 else 16 if offered < 6 else 24)
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, attributes, size, 0))
    try:
        for path, rights in allowed:
            _allow(ruleset, path, rights & handled)
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return offered


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= -1 if stat.S_ISDIR(os.fstat(fd).st_mode) else _OF_FILES
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0))
    finally:
        os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
