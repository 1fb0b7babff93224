"""Errors worded for the operator: raised where they happen, judged in retry_policy.py, logged once.

What they repeat of files, names and settings is escaped and bounded here, once for ledger, notes, logs and terminal.
"""

from __future__ import annotations

import errno

from transcribed.core.text import bounded

_LASTING = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_lasting(error: OSError) -> bool:
    """Return True if the path stays unusable until a person acts; any other error is a full disk or a lost share."""
    return error.errno in _LASTING


MAX_FAULT = 2000  # characters of a line about the configuration: the operator's own, and it names several paths


class TranscribedError(Exception):
    """Base class of the errors raised on purpose.  `str(error)` is a sentence; `hint` says what to do about it."""

    hint = ""
    ends_process = False  # True if nothing can succeed any more in the process that raised it

    def __init__(self, sentence: str, hint: str | None = None) -> None:
        super().__init__(sentence, hint)  # both in args, so that it pickles
        self.sentence = self._bounded(sentence)
        if hint is not None:
            self.hint = self._bounded(hint)

    @staticmethod
    def _bounded(sentence: str) -> str:
        return bounded(sentence)

    def __str__(self) -> str:
        return self.sentence


class Permanent(TranscribedError):
    """A failure that a retry cannot fix: not audio, unreadable, longer than allowed."""


class Incomplete(Permanent):
    """An unreadable file; a young one may still be growing."""


class Withdrawn(TranscribedError):
    """The file is gone or has been replaced by another version: this one will not be transcribed."""


class Unavailable(TranscribedError):
    """A disk or share cannot be used now.  No file is to blame; the work waits."""


class SlowStart(Unavailable):
    """A worker made no progress while it started: the machine is busy, or a disk is slow.  It is tried again."""


class SandboxOutdated(Unavailable):
    """What this process may read has been replaced, as by a mount; another process, confined anew, may succeed."""

    ends_process = True


class Obstructed(TranscribedError):
    """One name cannot be written, though its folder can: the work that needs it waits, and stops nothing else."""


class WorkerLost(TranscribedError):
    """A worker died or hung while it processed this request."""


class AudioLost(TranscribedError):
    """The prepared audio cannot be read from the spool: the file is prepared again, and not to blame."""


class OutOfMemory(TranscribedError):
    """The device has too little memory for this batch; a smaller one may fit."""


class MemoryShortage(Unavailable):
    """Other programs have taken the memory with which a batch was admitted; the batch was not tried."""


class DeviceLost(TranscribedError):
    """The device or its driver can no longer be used from this process; another process may succeed."""

    ends_process = True


class DeviceFaulty(Unavailable):
    """The device gives wrong answers, even for a known phrase.  No file is to blame."""

    ends_process = True


class Misconfigured(TranscribedError):
    """The daemon cannot start with this configuration.  `str(error)` may hold several lines, one per fault."""

    @staticmethod
    def _bounded(sentence: str) -> str:
        return "\n".join(bounded(line, MAX_FAULT) for line in sentence.split("\n"))
