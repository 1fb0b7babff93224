"""The life of a worker process: boot, then one request after another, until its pipe ends.

What is said over the pipe is here too.  Knows a pipe; nothing of what is asked over it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from transcribed import sandbox

BEAT_SECONDS = 0.5  # more often would only load the pipe


@dataclass(frozen=True, slots=True)
class Booted:
    """Ready for the first request."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """It cannot work here; the process leaves."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Still at it."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A log record: only the parent writes logs."""

    level: int
    event: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    answer: Any
    leaving: bool  # the process has done its share and goes


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException
    leaving: bool


def live(pipe: Connection[Any, Any], make: Callable[[str], Any], name: str, recycle_after: int) -> None:
    """The whole life of a process in the slot `name`."""
    sandbox.die_with_parent()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the terminal's and systemd's signals are for the daemon
    say = _Mouth(pipe)
    logging.basicConfig(handlers=[_PipeHandler(say)], level=logging.WARNING, force=True)
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            work = make(name)
        except Exception as error:
            say(Unfit(f"{name} cannot start: {error or type(error).__name__}"))
            os._exit(1)
        say(Booted())
        done = 0
        while not recycle_after or done < recycle_after:
            request = pipe.recv()
            done += 1
            say(_attempt(work, request, say, leaving=done == recycle_after))


def _attempt(work: Any, request: Any, say: _Mouth, leaving: bool) -> Answered | Raised:
    try:
        return Answered(work(request, say.beat), leaving)
    except Exception as error:  # the request's fault, not the worker's: it lives on
        return Raised(_portable(error), leaving)


def _portable(error: Exception) -> Exception:
    """The error without what cannot cross a pipe: its cause, and what other libraries hung on it."""
    from transcribed.errors import TranscribedError

    if isinstance(error, TranscribedError):
        return error.with_traceback(None)
    return RuntimeError(f"{type(error).__name__}: {error}")


class _Mouth:
    """The one end from which this process speaks; logging may do so from any thread."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._beaten_at = 0.0

    def __call__(self, message: Any) -> None:
        with self._lock:
            self._pipe.send(message)

    def beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten_at >= BEAT_SECONDS:
            self._beaten_at = now
            self(Beat())


class _PipeHandler(logging.Handler):
    def __init__(self, say: _Mouth) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._say(Logged(record.levelno, record.getMessage()[:2000], {"library": record.name}))
