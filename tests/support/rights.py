"""Give up, for a while, root's power over other people's files, so that modes count.  Knows capabilities; no files."""

from __future__ import annotations

import contextlib
import ctypes
import os

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_FOWNER = 1, 2, 3  # linux/capability.h
_VERSION_3 = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextlib.contextmanager
def modes_count():
    """Have this thread, and those that it starts, judged by the modes of files, as anybody is (capset(2))."""
    if os.geteuid() != 0:
        yield
        return
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    _check(_LIBC.capget(ctypes.byref(header), data))
    before = data[0].effective
    data[0].effective &= ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH | 1 << _CAP_FOWNER)
    _check(_LIBC.capset(ctypes.byref(header), data))
    try:
        yield
    finally:
        data[0].effective = before
        _check(_LIBC.capset(ctypes.byref(header), data))


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "capset")
