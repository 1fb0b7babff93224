"""Build everything, in order; stop it in the reverse order.  The only module that knows the configuration and all the
others.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings, log_folder
from transcribed.core.errors import TranscribedError
from transcribed.core.events import Event, Measured, RetryRequested, Settled, Stop, Wake
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import Reading
from transcribed.core.types import Job, Outcome, Source
from transcribed.daemon import factories
from transcribed.daemon.drain import DrainWatcher
from transcribed.ingest.scanner import Root
from transcribed.ingest.stability import StabilityTracker
from transcribed.ingest.watcher import InboxWatcher
from transcribed.operations import ledger_rebuild, tasks
from transcribed.operations.alerts.monitor import AlertMonitor
from transcribed.operations.reporter import Reporter
from transcribed.operations.task_scheduler import Task, TaskScheduler
from transcribed.output import outbox, source_actions
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.ports import Places
from transcribed.pipeline.retry_policy import RetryPolicy
from transcribed.pipeline.scheduling import slots
from transcribed.state import checkpoint, control_files, directory, spool
from transcribed.state.ledger import Ledger
from transcribed.state.mounts import Mounts
from transcribed.system import filesystems, sd_notify, temp_files
from transcribed.system.striped_executor import StripedExecutor

INCOMPLETE_WINDOWS = 10  # an unreadable file may still be growing for so many quiet windows
QUIET_SECONDS = (20.0, 5.0)  # by default on a share, on a local disk
REQUEST_SECONDS = 1.0
EVERY_MINUTE, LOOK_SECONDS = "* * * * *", 60.0
STOP_SECONDS = 10.0

log = structlog.get_logger("transcribed")


class Daemon:
    """One daemon, from start to stop."""

    def __init__(
        self, settings: Settings, *, once: bool = False, observers: tuple[Callable[[Event], None], ...] = ()
    ) -> None:
        """Checks and opens what is needed on disk.  Raises Misconfigured, AlreadyRunning, Unavailable."""
        self.settings = settings
        self.mailbox = Mailbox()
        self._rejected: str | None = None
        self.ready = threading.Event()
        with contextlib.ExitStack() as stack:
            stack.enter_context(directory.locked(settings.state_dir, settings.spool_dir))
            self.ledger = Ledger(settings.state_dir / "ledger.db")
            stack.callback(self.ledger.close)
            self._inboxes = {inbox.path: inbox for inbox in settings.inbox}
            self._local = {inbox.path: filesystems.is_local(inbox.path) for inbox in settings.inbox}
            self._quiet_seconds = {
                inbox.path: inbox.quiet_seconds or QUIET_SECONDS[self._local[inbox.path]] for inbox in settings.inbox
            }
            self._owner = temp_files.TempFileOwner(directory.instance_id(settings.state_dir))
            self._mounts = Mounts(settings.state_dir)
            self._outboxes = {
                inbox.path: factories.make_outbox(inbox, self._mounts, self._owner) for inbox in settings.inbox
            }
            self._writers = {inbox.path: StripedExecutor(f"outbox {inbox.outbox}") for inbox in settings.inbox}
            self.watchers = {inbox.path: self._make_watcher(inbox) for inbox in settings.inbox}
            self._known = slots.read(settings.state_dir)
            self._monitor = factories.make_monitor() if settings.recognize.device != "cpu" else None
            if self._monitor:
                self._monitor.start()
                stack.callback(self._monitor.stop, grace=0)
            reading = factories.first_reading(self._monitor) if self._monitor else Reading()
            self.slots = slots.choose_slots(settings.recognize.device, reading, self._known.cards)
            if self._monitor and self.slots.on_cpu:
                self._monitor.stop(grace=0)
            self.pipeline = self._make_pipeline()
            self.reporter = self._make_reporter()
            self.alert_monitor = AlertMonitor(
                settings, settings.state_dir, log_folder(settings), lambda: self.reporter.status
            )
            self.pipeline.observers = (*observers, self.alert_monitor.on_event, self._observe, self.reporter.on_event)
            self.scheduler = TaskScheduler(self._make_tasks(), last=tasks.last_runs(settings.state_dir))
            self._stack = stack.pop_all()
        self._asked_at = 0.0
        processes = settings.prepare.processes
        self._once = (
            DrainWatcher(self.pipeline, list(self.watchers.values()), self.slots.names, processes) if once else None
        )

    def run(self) -> int:
        """Work until told to stop, or with `once` until nothing is left.  Returns how many files still wait."""
        with self._stack:
            try:
                self._start()
                self.pipeline.run(STOP_SECONDS)
            finally:
                self._stop()
            return self._left()

    def stop(self, *_: Any) -> None:
        """Ask the loop to leave; asked twice, to leave now.  Safe in a signal handler, and from any thread."""
        self.mailbox.put(Stop())

    def configuration_rejected(self, sentence: str) -> None:
        """New settings were not taken, and why: to be told until it ends."""
        self._rejected = sentence

    def configuration_accepted(self) -> None:
        """The settings on disk are those in use."""
        self._rejected = None

    # --- building ------------------------------------------------------------------------------

    def _make_pipeline(self) -> Pipeline:
        batcher = factories.make_batcher(self.settings, self.slots)
        return Pipeline(
            mailbox=self.mailbox,
            ledger=self.ledger,
            places=Places(
                {inbox.path: inbox.rank for inbox in self.settings.inbox},
                self._deliver,
                self._tidy,
                self._discard,
                self._forget,
                self._obstacle,
                partial(checkpoint.append, self.settings.spool_dir),
                partial(checkpoint.drop, self.settings.spool_dir),
                lambda source: self._inboxes[source.inbox].output_name(source),
            ),
            preparer=factories.make_preparer(self.settings, self.mailbox.put),
            batcher=batcher,
            dispatcher=factories.make_dispatcher(
                self.settings, self.slots, self._known, self.mailbox, batcher, self._monitor
            ),
            retry_policy=RetryPolicy(grace_period_of=self._patience_of),
            max_active=16 * self.settings.prepare.processes + 48,
        )

    def _make_reporter(self) -> Reporter:
        executors = (self.pipeline.preparer, self.pipeline.dispatcher.recognizer)
        watchers = list(self.watchers.values())
        return Reporter(
            self.settings.state_dir, self.pipeline, watchers, executors, self.slots, self._known, lambda: self._more()
        )

    def _make_watcher(self, inbox: Inbox) -> InboxWatcher:
        local = self._local[inbox.path]
        events = local if inbox.watch == "auto" else inbox.watch == "events"
        return InboxWatcher(
            inbox.path,
            tracker=StabilityTracker(self._quiet_seconds[inbox.path]),
            settled=lambda source: self.mailbox.put(Settled(source)),
            known=self.ledger.sources(inbox.path),
            ignore=inbox.ignore,
            events=events,
            local=local,
            rescan_seconds=inbox.rescan_seconds or (60.0 if events else 10.0),
        )

    def _make_tasks(self) -> list[Task]:
        found = tasks.make_tasks(
            self.settings,
            owner=self._owner,
            writers=self._writers_by_outbox(),
            tell=self.mailbox.put,
            inboxes=self._settled_in,
        )
        return [*found, Task("alerts", EVERY_MINUTE, self.alert_monitor.check, LOOK_SECONDS)]

    def _writers_by_outbox(self) -> dict[Path, StripedExecutor]:
        return {self._outboxes[path].folder: writers for path, writers in self._writers.items()}

    def _settled_in(self) -> dict[Path, Root]:
        watchers = (watcher for watcher in self.watchers.values() if self._mounts.holds(watcher.inbox))
        return {watcher.inbox: watcher.root for watcher in watchers if watcher.root}

    # --- starting and stopping -----------------------------------------------------------------

    def _start(self) -> None:
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # breaking our read lease must not end us
        if self.ledger.is_empty():
            self._rebuild_ledger()
        self.pipeline.recover()  # before what is agreed, so that it counts for what was in hand, too
        self.ledger.apply_configuration(inbox.path for inbox in self.settings.inbox)
        self.ledger.keep_ballast()
        tasks.clean_once(self._writers_by_outbox(), self._owner)
        for inbox, writers in self._writers.items():
            writers.submit(Path(), self._mounts.holds, inbox)  # it is remembered where the inbox lies
        self.pipeline.dispatcher.recognizer.start()
        self.pipeline.preparer.start()
        for watcher in self.watchers.values():
            watcher.start()
        if not self._once:
            self.scheduler.start()
        log.info("ready", inboxes=len(self.watchers), slots=", ".join(self.slots.names), note=self.slots.note)
        sd_notify.notify(READY=1, STATUS="ready")
        self.ready.set()

    def _stop(self) -> None:
        self.scheduler.stop()
        for watcher in self.watchers.values():
            watcher.stop()
        self.pipeline.preparer.stop(grace=0)
        self.pipeline.dispatcher.recognizer.stop(grace=2)
        self.reporter.remember_devices()
        for writers in self._writers.values():
            writers.stop()
        with contextlib.suppress(TranscribedError):  # a full disk: the next run counts one start too many
            self.ledger.recover(orderly=True)
        self.reporter.report(ending=True)
        self.alert_monitor.stop()
        log.info("stopped")

    def _rebuild_ledger(self) -> None:
        """A ledger that was lost is rebuilt from the transcripts, so that nothing is transcribed twice."""
        found = ledger_rebuild.find_transcribed((inbox.path, inbox.outbox) for inbox in self.settings.inbox)
        if adopted := self.ledger.import_done(found, time.time()):
            log.info("ledger rebuilt from transcripts", transcripts=adopted)

    # --- what the pipeline asks ------------------------------------------------------------------

    def _patience_of(self, source: Source) -> float:
        return INCOMPLETE_WINDOWS * self._quiet_seconds[source.inbox]

    def _deliver(self, outcome: Outcome) -> Future[None]:
        source = outcome.job.source
        return self._writers[source.inbox].submit(source.path, outbox.deliver, outcome, self._outboxes[source.inbox])

    def _tidy(self, job: Job) -> Future[None]:
        box = self._outboxes.get(job.source.inbox)
        if box is None or box.source_action.after == "keep":
            return _nothing_to_do()
        return self._writers[job.source.inbox].submit(
            job.source.path, source_actions.apply_action, job.source, box.source_action
        )

    def _obstacle(self) -> str | None:
        return filesystems.lack_of_space(self.settings.spool_dir, self.settings.prepare.min_free)

    def _discard(self, job_id: int) -> None:
        spool.discard(self.settings.spool_dir, job_id)

    def _forget(self, source: Source) -> None:
        self.watchers[source.inbox].forget(source.path)

    # --- around the loop -------------------------------------------------------------------------

    def _observe(self, event: Event) -> None:
        idle, now = isinstance(event, Wake | Measured), time.monotonic()  # cards are measured without work, too
        asked = now - self._asked_at >= REQUEST_SECONDS and self._take_requests()
        if self._once and idle and not asked and self._once.is_finished(now):
            self.stop()

    def _take_requests(self) -> bool:
        """Whether anybody asked for anything."""
        self._asked_at, asked = time.monotonic(), False
        self.scheduler.check()
        with contextlib.suppress(OSError):
            for path, done in control_files.take_requests(self.settings.state_dir):
                inbox = next((box for box in self.settings.inbox if box.path in path.parents), None)
                if inbox:
                    self.mailbox.put(RetryRequested(path, done))
                    asked = True
        return asked

    def _more(self) -> tuple[list[str], dict[str, Any]]:
        """For the status document."""
        rejected = [self._rejected] if self._rejected else []
        troubles = [*rejected, *self.alert_monitor.outbox_troubles, *self.scheduler.troubles()]
        return troubles, {"housekeeping": self.scheduler.status(), "rejected": self._rejected}

    def _left(self) -> int:
        return sum(n for state, n in self.ledger.counts().items() if state in ("queued", "active"))


def _nothing_to_do() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future
