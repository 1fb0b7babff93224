"""Run one daemon from start to stop: open its resources, run the loop, close everything in reverse order.

Its parts are built in factories.py.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from transcribed.config.settings import Settings, log_folder
from transcribed.core.errors import TranscribedError
from transcribed.core.events import Event, Stop
from transcribed.core.mailbox import Mailbox
from transcribed.core.troubles import Troubles
from transcribed.daemon import factories
from transcribed.daemon.drain import DrainWatcher
from transcribed.daemon.requests import Requests
from transcribed.operations import ledger_rebuild, tasks
from transcribed.operations.alerts.monitor import AlertMonitor
from transcribed.operations.reporter import Reporter
from transcribed.operations.task_scheduler import Task, TaskScheduler
from transcribed.output.delivery import Delivery
from transcribed.pipeline.scheduling import slots
from transcribed.state import directory
from transcribed.state.ledger import Ledger
from transcribed.state.mounts import Mounts
from transcribed.system import sd_notify, temp_files
from transcribed.system.filesystems import FileId

EVERY_MINUTE, CHECK_SECONDS = "* * * * *", 60.0
POLL_SECONDS = 1.0
REMEMBER_SECONDS = 300.0
STOP_SECONDS = 10.0

log = structlog.get_logger("transcribed")


class Daemon:
    def __init__(
        self, settings: Settings, *, once: bool = False, observers: tuple[Callable[[Event], None], ...] = ()
    ) -> None:
        """Check and open the files and folders needed.  Raises Misconfigured, AlreadyRunning, Unavailable."""
        self.settings = settings
        self.mailbox = Mailbox()
        self.ready = threading.Event()
        self.troubles = Troubles()
        self._remembered_at = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.enter_context(directory.locked(settings.state_dir, settings.spool_dir))
            self.ledger = Ledger(directory.ledger_path(settings.state_dir))
            stack.callback(self.ledger.close)
            self._build(stack)
            self.pipeline.observers = (*observers, self.alert_monitor.on_event, self.reporter.on_event)
            self._drain = self._make_drain() if once else None
            self._stack = stack.pop_all()

    def _build(self, stack: contextlib.ExitStack) -> None:
        settings = self.settings
        self._owner = temp_files.TempFileOwner(directory.instance_id(settings.state_dir))
        self._mounts = Mounts(settings.state_dir)
        self.inboxes = factories.make_inboxes(settings, self._mounts, self._owner, self.ledger, self.mailbox.put)
        self.delivery = Delivery({path: inbox.outbox for path, inbox in self.inboxes.items()})
        self._remembered = slots.read(settings.state_dir)
        self.slots, monitor = factories.make_slots(settings, self._remembered, stack)
        self.pipeline = factories.make_pipeline(
            settings, self.mailbox, self.ledger, self.inboxes, self.delivery, self.slots, self._remembered, monitor
        )
        self.scheduler = TaskScheduler(
            self._make_tasks(), last=tasks.last_runs(settings.state_dir), troubles=self.troubles
        )
        self.reporter = self._make_reporter()
        self.alert_monitor = AlertMonitor(
            settings, settings.state_dir, log_folder(settings), lambda: self.reporter.status, self.troubles
        )
        self._requests = Requests(
            settings.state_dir, settings.inbox_of, self.mailbox, self.alert_monitor.send_test_alert
        )

    def _make_reporter(self) -> Reporter:
        executors = (self.pipeline.preparer, self.pipeline.dispatcher.recognizer)
        watchers = [inbox.watcher for inbox in self.inboxes.values()]
        state_dir = self.settings.state_dir
        self._cautions = factories.cautions(self.settings)
        return Reporter(
            state_dir, self.pipeline, watchers, executors, self.slots, self.troubles, self.scheduler, self._cautions
        )

    def _make_drain(self) -> DrainWatcher:
        watchers = [inbox.watcher for inbox in self.inboxes.values()]
        return DrainWatcher(self.pipeline, watchers, self.slots.names, self.settings.prepare.processes)

    def _make_tasks(self) -> list[Task]:
        return [
            *tasks.make_tasks(
                self.settings,
                owner=self._owner,
                writers=self.delivery.writers(),
                on_event=self.mailbox.put,
                inboxes=self._roots,
                status=lambda: self.reporter.status,
            ),
            Task("alerts", EVERY_MINUTE, lambda: self.alert_monitor.check(), CHECK_SECONDS),
        ]

    # --- running -------------------------------------------------------------------------------

    def run(self) -> int:
        """Work until `stop` is called, or with `once` until nothing is left.  Return how many files still wait."""
        with self._stack:
            try:
                self._start()
                self._loop()
            finally:
                self._stop()
            return sum(n for state, n in self.ledger.counts().items() if state in ("queued", "active"))

    def stop(self, *_: Any) -> None:
        """Request the loop to stop; a second call makes it stop at once.

        Safe in a signal handler, and from any thread.
        """
        self.mailbox.put(Stop())

    def _loop(self) -> None:
        poll_at = 0.0
        while not self.pipeline.is_stopping:
            happened, now = self.pipeline.step(), time.monotonic()
            if now >= poll_at:
                poll_at = now + POLL_SECONDS
                happened |= self._requests.poll()
                self.scheduler.check()
            if now - self._remembered_at >= REMEMBER_SECONDS:
                self._remember_devices(now)
            if self._drain and not happened and self._drain.is_finished(now):
                self.stop()
        self.pipeline.finish(STOP_SECONDS)

    def _remember_devices(self, now: float) -> None:
        """Save what was learned about the cards; a later start waits for those in use, should they be missing."""
        self._remembered_at = now
        with contextlib.suppress(OSError):
            slots.write(self.settings.state_dir, self.pipeline.dispatcher.remembered(self.slots, self._remembered))

    def _roots(self) -> dict[Path, FileId]:
        """Return the mounted inboxes, each with its root when a file last settled in it."""
        watchers = (inbox.watcher for path, inbox in self.inboxes.items() if self._mounts.holds(path))
        return {watcher.inbox: watcher.root for watcher in watchers if watcher.root}

    # --- starting and stopping -----------------------------------------------------------------

    def _start(self) -> None:
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # a broken read lease must not kill us
        if self.ledger.is_empty():
            self._rebuild_ledger()
        self.pipeline.recover()  # before the configuration, so that it applies to interrupted jobs, too
        self.ledger.apply_configuration(self.inboxes)
        self.ledger.keep_ballast()
        writers = self.delivery.writers()
        tasks.clean_once(writers, self._owner)
        for path, inbox in self.inboxes.items():
            writers[inbox.outbox.folder].submit(Path(), self._mounts.holds, path)  # records the inbox's mount
        self.pipeline.dispatcher.recognizer.start()
        self.pipeline.preparer.start()
        for inbox in self.inboxes.values():
            inbox.watcher.start()
        if not self._drain:
            self.scheduler.start()
        for caution in self._cautions:
            log.warning("model for demonstrations", error=caution, hint="Set `model` and `vad_model`; see the README.")
        log.info("ready", inboxes=len(self.inboxes), slots=", ".join(self.slots.names), note=self.slots.note)
        sd_notify.notify(READY=1, STATUS="ready")
        self.ready.set()

    def _stop(self) -> None:
        self.scheduler.stop()
        for inbox in self.inboxes.values():
            inbox.watcher.stop()
        self.pipeline.preparer.stop(grace=0)
        self.pipeline.dispatcher.recognizer.stop(grace=2)
        self._remember_devices(time.monotonic())
        self.delivery.stop()
        with contextlib.suppress(TranscribedError):  # a full disk: the next run counts one start too many per job
            self.ledger.recover(orderly=True)
        self.reporter.report(ending=True)
        self.alert_monitor.stop()
        log.info("stopped")

    def _rebuild_ledger(self) -> None:
        """Rebuild a ledger that was lost from the transcripts, so that nothing is transcribed twice."""
        found = ledger_rebuild.find_transcribed((path, inbox.outbox.folder) for path, inbox in self.inboxes.items())
        if adopted := self.ledger.import_done(found, time.time()):
            log.info("ledger rebuilt from transcripts", transcripts=adopted)
