"""Receive file events of one inbox through watchdog, and rebuild its observer whenever events stop.

watchdog loses threads and watches silently; the walk in watcher.py finds what it misses.  Knows folders and watchdog;
nothing of files that settle.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

# Not FileModifiedEvent: a writer causes thousands, and the stability check looks twice anyway.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]

REFUSED_SECONDS = 600.0  # until the next attempt after the system refused to deliver events

log = structlog.get_logger("transcribed.watch")


class FileEventObserver(FileSystemEventHandler):
    """A watchdog observer on one inbox, rebuilt whenever it has silently lost its threads or watches."""

    def __init__(
        self,
        inbox: Path,
        notify: Callable[[Path], None],
        forget: Callable[[Path], None],
        rescan: Callable[[], None],
    ) -> None:
        """Call `notify` for what appears or is closed, `forget` for files that vanish, `rescan` if events were lost."""
        self._inbox = inbox
        self._notify = notify
        self._forget = forget
        self._root: tuple[int, int] | None = None
        self._retry_at = 0.0  # earliest next attempt after a refusal
        self._observer: BaseObserver | None = None
        self._failure: str | None = None  # why there are no events
        self._overflow = _OverflowHandler(rescan)
        logging.getLogger("watchdog.observers").addHandler(self._overflow)
        logging.getLogger("watchdog.observers").setLevel(logging.WARNING)  # whatever the level of our own log

    def ensure_running(self) -> None:
        """Make sure that events arrive.  Raise OSError if the inbox cannot be read."""
        status = os.stat(self._inbox)
        root = (status.st_dev, status.st_ino)
        if self._observer and root == self._root and _is_healthy(self._observer):
            return
        if root == self._root and time.monotonic() < self._retry_at:
            return
        self._stop()
        self._root, observer = root, None
        try:
            observer = Observer()
            observer.schedule(self, str(self._inbox), recursive=True, event_filter=_EVENTS)
            observer.start()
            self._observer, self._failure = observer, None
        except (OSError, RecursionError) as error:  # out of watches or instances: the walk still finds everything
            if str(error) != self._failure:
                log.warning("file events unavailable; periodic scans only", inbox=str(self._inbox), error=str(error))
            self._failure, self._retry_at = str(error), time.monotonic() + REFUSED_SECONDS
            _stop_observer(observer)

    def on_any_event(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileDeletedEvent | FileMovedEvent):
            self._forget(Path(os.fsdecode(event.src_path)))
        if not isinstance(event, FileDeletedEvent):
            self._notify(Path(os.fsdecode(event.dest_path or event.src_path)))

    def close(self) -> None:
        logging.getLogger("watchdog.observers").removeHandler(self._overflow)
        self._stop()

    def _stop(self) -> None:
        _stop_observer(self._observer)
        self._observer = None


def _is_healthy(observer: BaseObserver) -> bool:
    threads = [observer, *observer.emitters, getattr(observer, "_inotify_fd", observer)]
    return all(thread.is_alive() for thread in threads)


def _stop_observer(observer: BaseObserver | None) -> None:
    """Stop an observer, even if it was not started: its inotify descriptor has a thread of its own from the start."""
    if observer:
        with contextlib.suppress(RuntimeError, OSError):
            observer.stop()
            reader = getattr(observer, "_inotify_fd", None)
            if reader:
                reader.stop()


class _OverflowHandler(logging.Handler):
    """Request a rescan on a kernel queue overflow, which watchdog only logs (inotify_c.py, `_handle_event`)."""

    def __init__(self, rescan: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._rescan = rescan

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._rescan()
