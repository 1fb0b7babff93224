"""Run a worker process: start up, then serve one request after another until the pipe closes.

One thread reads the pipe, and fetches the data of a request while the one before it runs.  The messages on the pipe
are defined here too.  Knows a pipe; nothing of the requests that come over it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from transcribed.core.errors import TranscribedError
from transcribed.system import sandbox

HEARTBEAT_SECONDS = 0.5  # more often would only load the pipe
_END = object()


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker is ready for its first request."""

    profile: Any  # the worker's description of itself


@dataclass(frozen=True, slots=True)
class StartupFailed:
    """The worker could not be built; the process exits."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of progress within a request, or between the steps of the start."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A log record for the parent, the only process that writes logs."""

    level: int
    event: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    answer: Any
    leaving: bool  # the process has served its number of requests and exits


@dataclass(frozen=True, slots=True)
class Raised:
    error: BaseException
    leaving: bool


def run_worker(
    pipe: Connection[Any, Any], make: Callable[[str, Callable[[], None]], Any], name: str, recycle_after: int
) -> None:
    """Run the process of the slot `name` from start to exit."""
    sandbox.die_with_parent()
    os.umask(0o077)  # what a worker writes, audio in the spool, is for ourselves alone
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the terminal's and systemd's signals are for the daemon
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # a clean exit, which releases devices
    say = WorkerChannel(pipe)
    logging.basicConfig(handlers=[_PipeHandler(say)], level=logging.WARNING, force=True)
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            work = make(name, say.heartbeat)
        except Exception as error:
            say(StartupFailed(f"{name} cannot start: {error or type(error).__name__}"))
            os._exit(1)
        say(Ready(getattr(work, "profile", None)))
        _serve(work, _requests(pipe, getattr(work, "fetch", lambda request: request)), say, recycle_after)


def _requests(pipe: Connection[Any, Any], fetch: Callable[[Any], Any]) -> queue.SimpleQueue[Any]:
    """Return a queue of requests, read and fetched by a thread of its own.

    A request that could not be fetched is represented by its exception.
    """
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                request = pipe.recv()
                try:
                    requests.put(fetch(request))
                except Exception as error:
                    requests.put(error)
        except (EOFError, OSError):
            requests.put(_END)

    threading.Thread(target=read, name="requests", daemon=True).start()
    return requests


def _serve(work: Any, requests: queue.SimpleQueue[Any], say: WorkerChannel, recycle_after: int) -> None:
    done = 0
    while (request := requests.get()) is not _END:
        done += 1
        answer = _attempt(work, request, say, last=done == recycle_after)
        say(answer)
        if answer.leaving:
            sys.exit(int(isinstance(answer, Raised)))


def _attempt(work: Any, request: Any, say: WorkerChannel, last: bool) -> Answered | Raised:
    try:
        if isinstance(request, Exception):
            raise request
        return Answered(work(request, say.heartbeat), last)
    except TranscribedError as error:
        return Raised(error.with_traceback(None), last or error.ends_process)
    except Exception as error:  # the request's fault, not the worker's, which goes on
        return Raised(RuntimeError(f"{type(error).__name__}: {error}"), last)  # a library's own error may not pickle


class WorkerChannel:
    """The sending end of the pipe to the parent; logging may use it from any thread."""

    def __init__(self, pipe: Connection[Any, Any]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._last_heartbeat_at = 0.0

    def __call__(self, message: Any) -> None:
        with self._lock:
            self._pipe.send(message)

    def heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._last_heartbeat_at >= HEARTBEAT_SECONDS:
            self._last_heartbeat_at = now
            self(Heartbeat())


class _PipeHandler(logging.Handler):
    def __init__(self, say: WorkerChannel) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._say(Logged(record.levelno, record.getMessage()[:2000], {"library": record.name}))
