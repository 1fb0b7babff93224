"""What can go wrong, worded for the operator: raised where it happens, judged in retry_policy.py, logged once.

Imports nothing of ours.
"""

from __future__ import annotations

import errno

_LASTING = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_lasting(error: OSError) -> bool:
    """Whether a path stays unusable until a person acts; with any other error a disk is full or a share away."""
    return error.errno in _LASTING


class TranscribedError(Exception):
    """Raised on purpose.  `str(error)` is a sentence; `hint` says what to do about it."""

    hint = ""
    ends_process = False  # whether nothing can succeed any more in the process that met it

    def __init__(self, sentence: str, hint: str | None = None) -> None:
        super().__init__(sentence, hint)  # both in args, so that it pickles
        self.sentence = sentence
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return self.sentence


class Permanent(TranscribedError):
    """Trying again cannot help: not audio, unreadable, longer than allowed."""


class Incomplete(Permanent):
    """Unreadable as it is; if the file is young it may still be growing."""


class Withdrawn(TranscribedError):
    """The file is gone, or is another version by now: nothing is owed for this one."""


class Unavailable(TranscribedError):
    """A disk or share cannot be used now.  Nobody's fault; the work waits."""


class WorkerLost(TranscribedError):
    """A worker died or hung with this request in hand."""


class OutOfMemory(TranscribedError):
    """The device refused this batch; a smaller one may pass."""


class MemoryShortage(Unavailable):
    """The memory with which a batch was admitted has been taken by others; it was not tried."""


class DeviceLost(TranscribedError):
    """The device, or its driver, cannot be used from this process any more; another process may."""

    ends_process = True


class DeviceFaulty(Unavailable):
    """The device gives wrong answers, to a known phrase too: nobody's fault."""

    ends_process = True


class Misconfigured(TranscribedError):
    """The daemon cannot start like this.  `str(error)` may hold several lines, one per fault."""
