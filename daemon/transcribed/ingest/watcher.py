"""Notice files in one inbox and report when each has settled.

One thread per inbox does all the looking, so a hanging share does not delay the others.  Events are only hints where to
look; the walk, at least once a minute, is authoritative.  Knows folders and the stability tracker; nothing of ledgers,
jobs or audio.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from transcribed.core.events import RetryRequested, Settled
from transcribed.core.text import bounded
from transcribed.core.types import Source
from transcribed.ingest.file_events import FileEventObserver
from transcribed.ingest.ignore import is_ignored
from transcribed.ingest.reported_files import FolderId, ReportedFiles
from transcribed.ingest.scanner import Found, observe, source_of, walk
from transcribed.ingest.stability import StabilityTracker
from transcribed.system.filesystems import FileId, identity_of

log = structlog.get_logger("transcribed.watch")


class InboxWatcher:
    """The thread that watches one inbox."""

    def __init__(
        self,
        inbox: Path,
        *,
        tracker: StabilityTracker,
        post: Callable[[Settled | RetryRequested], None],
        known: Iterable[Source] = (),
        failed_at: Mapping[Path, float] | None = None,
        ignore: Sequence[str] = (),
        events: bool = True,
        local: bool = True,
        rescan_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`known` versions need no report; `failed_at` tells which of them failed, in seconds since the epoch."""
        self.inbox = inbox
        self.name = f"inbox {inbox}"
        self.last_progress_at = clock()  # when the thread last made progress
        self.mode = "events" if events else "poll"
        self.trouble: str | None = None  # why the inbox cannot be read now
        self.scanned_at: float | None = None  # when the last successful walk ended
        self.root: FileId | None = None  # identity of the inbox when a file last settled in it, so it was mounted then
        self._scan_from: float | None = None  # when the last walk began, successful or not
        self._news: queue.SimpleQueue[tuple[Path, float | None]] = queue.SimpleQueue()  # path, and when it failed
        self._tracker = tracker
        self._post = post
        self._ignore = ignore
        self.local = local  # a local file system: its inode numbers are meaningful, and it does not hang
        self._rescan_seconds = rescan_seconds
        self._clock = clock
        self._reported = ReportedFiles(known, failed_at)
        self._returned: set[Path] = set()  # those of the files not settled yet that were gone before
        self._notified_paths: queue.Queue[Path] = queue.Queue(maxsize=50_000)
        self._rescan = threading.Event()
        self._rescan.set()
        self._stopping = False
        self._file_events = FileEventObserver(inbox, self.notify_path, self.forget, self.rescan) if events else None
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to exit, without waiting for it: a hung share must not delay the daemon."""
        self._stopping = True
        self.rescan()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def notify_path(self, path: Path) -> None:
        """Have `path` inspected soon; if too many paths are queued, rescan the inbox."""
        try:
            self._notified_paths.put_nowait(path)
        except queue.Full:
            self._rescan.set()

    def rescan(self) -> None:
        """Walk the whole inbox now: events were lost."""
        self._rescan.set()
        self.notify_path(self.inbox)

    def forget(self, path: Path) -> None:
        """Report the known version of this file again, as if it were new, if it is present or comes back."""
        self._news.put((path, None))

    def note_failure(self, path: Path, at: float) -> None:
        """Ask for a retry of this file once its rights change, or it is replaced; `at` in seconds since the epoch."""
        self._news.put((path, at))

    def settling(self) -> int:
        """Return how many files are still changing, or not yet known to have stopped."""
        return len(self._tracker)

    def pending(self) -> Iterator[tuple[Path, float]]:
        """Return the files that have not settled, with the seconds each has been watched."""
        now = self._clock()
        return ((path, now - since) for path, since in self._tracker.pending())

    # --- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self.last_progress_at = self._clock()
            try:
                if self._rescan_due():
                    self._scan()
                hinted = self._next_paths()
                self._take_news()
                for path in hinted:
                    self._inspect(path)
                self._check_stability()
            except OSError as error:
                self._report_problem(f"{self.inbox} cannot be read: {error.strerror or error}")
            except Exception as error:  # the worst failure would be an inbox that is silently no longer watched
                self._report_problem(f"{self.inbox} cannot be watched: {type(error).__name__}: {error}")
        if self._file_events:
            self._file_events.close()

    def _rescan_due(self) -> bool:
        late = self._scan_from is None or self._clock() - self._scan_from >= self._rescan_seconds
        return self._rescan.is_set() or late

    def _scan(self) -> None:
        self._rescan.clear()
        self._scan_from = self._clock()
        self._take_news()
        if self._file_events:
            self._file_events.ensure_running()  # before the walk, so that nothing falls between
        seen: set[str] = set()
        folders: dict[str, FolderId] = {}
        unread: list[Found] = []
        for found in walk(self.inbox, self._ignore):
            self.last_progress_at = self._clock()
            path = str(found.path)
            if found.error:
                if found.path == self.inbox and isinstance(found.error, PermissionError):
                    raise found.error
                folders.pop(path, None)
                unread.append(found)
            elif stat.S_ISDIR(found.status.st_mode):
                folders[path] = (found.status.st_dev, found.status.st_ino if self.local else 0)
                continue
            seen.add(path)
            parent = os.path.dirname(path)
            self._track(found, returned=self._reported.was_listed(parent, folders.get(parent)))
        for folder in self._reported.end_walk(seen, folders):
            self._post(RetryRequested(folder))
        self._end_scan(_trouble(self.inbox, unread))

    def _take_news(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                path, failed_at = self._news.get_nowait()
                if failed_at is None:
                    self._reported.forget(path)
                else:
                    self._reported.fail(path, failed_at)

    def _end_scan(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            log.warning("inbox read in part", inbox=str(self.inbox), error=trouble)
        elif self.trouble and not trouble:
            log.info("inbox recovered", inbox=str(self.inbox))
        self.trouble, self.scanned_at = trouble, self._clock()

    def _report_problem(self, sentence: str) -> None:
        if sentence != self.trouble:
            log.warning("inbox unavailable", inbox=str(self.inbox), error=sentence)
        self.trouble = sentence
        time.sleep(0.2)

    def _next_paths(self) -> list[Path]:
        """Sleep until something is due, and return the notified paths, each once."""
        since_scan = self._clock() - (self._scan_from or 0.0)
        rescan = max(0.0, self._rescan_seconds - since_scan)
        settle = self._tracker.next_check_in(self._clock())
        paths: dict[Path, None] = {}
        with contextlib.suppress(queue.Empty):
            paths[self._notified_paths.get(timeout=rescan if settle is None else min(rescan, settle))] = None
            while True:
                paths[self._notified_paths.get_nowait()] = None
        paths.pop(self.inbox, None)
        return list(paths)

    def _inspect(self, path: Path) -> None:
        """Look at what an event names: it has just come, and comes back if it was known."""
        try:
            if is_ignored(str(path.relative_to(self.inbox)), self._ignore):
                return
            status = path.lstat()
        except (OSError, ValueError):
            return
        if stat.S_ISREG(status.st_mode):
            self._track(Found(path, status), returned=True)
        elif stat.S_ISDIR(status.st_mode):
            with contextlib.suppress(OSError):  # the next walk reports it
                for found in walk(path, self._ignore, root=self.inbox):
                    if stat.S_ISREG(found.status.st_mode):
                        self._track(found, returned=True)

    def _track(self, found: Found, *, returned: bool) -> None:
        """Watch a file, or a folder that may not be entered, until it settles; `returned` if it was gone before."""
        if found.error and not isinstance(found.error, PermissionError):
            return
        source = source_of(self.inbox, found.path, found.status, inodes=self.local)
        if source in self._reported:
            if self._reported.has_changed_since_failure(found.path, found.status):
                self._post(RetryRequested(found.path))
            return
        if returned and found.path not in self._tracker:
            self._returned.add(found.path)
        self._tracker.track(source, self._clock())

    def _check_stability(self) -> None:
        for path in self._tracker.due(self._clock()):
            self.last_progress_at = self._clock()
            seen = observe(self.inbox, path, inodes=self.local)
            source = self._tracker.check(path, seen, self._clock())
            if source is not None:
                self._reported.add(source)
                self.root = identity_of(self.inbox)
                self._post(Settled(source, returned=path in self._returned))
            if path not in self._tracker:
                self._returned.discard(path)


def _trouble(inbox: Path, unread: Sequence[Found]) -> str | None:
    """Return a sentence about the folders that cannot be read, other than for want of rights, which get notes."""
    broken = [found for found in unread if not isinstance(found.error, PermissionError)]
    if not broken:
        return None
    first, reason = broken[0].path, getattr(broken[0].error, "strerror", None)
    return bounded(f"{len(broken)} of the folders in {inbox} cannot be read, the first {first}: {reason}.")
