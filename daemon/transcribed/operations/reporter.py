"""Publish the daemon's status every few seconds: status.json, and systemd's STATUS and WATCHDOG.

An observer of the pipeline: called by the loop, so that a hung loop stays silent.  Changes nothing that the loop
depends on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from transcribed.core.events import Event, Measured, Wake
from transcribed.core.troubles import CONFIGURATION, Troubles
from transcribed.ingest.watcher import InboxWatcher
from transcribed.operations.liveness import Thread, first_stalled_thread
from transcribed.operations.status import DaemonStatus, take_status
from transcribed.operations.task_scheduler import TaskScheduler
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.state import control_files
from transcribed.system import sd_notify

SECONDS, IDLE_SECONDS = 1.0, 5.0

log = structlog.get_logger("transcribed")


class Reporter:
    def __init__(
        self,
        state_dir: Path,
        pipeline: Pipeline,
        watchers: Sequence[InboxWatcher],
        threads: Sequence[Thread],
        slots: Slots,
        troubles: Troubles,
        scheduler: TaskScheduler,
        cautions: Sequence[str],
    ) -> None:
        self.status: DaemonStatus | None = None  # as last reported
        self._state_dir = state_dir
        self._pipeline = pipeline
        self._watchers = watchers
        self._threads = threads
        self._slots = slots
        self._troubles = troubles
        self._scheduler = scheduler
        self._cautions = cautions
        self._started_at = time.time()
        self._reported_at = 0.0
        self._stalled: str | None = None

    def on_event(self, event: Event) -> None:
        idle = isinstance(event, Wake | Measured)  # cards are measured even when there is no work
        if time.monotonic() - self._reported_at >= (IDLE_SECONDS if idle else SECONDS):
            self.report()

    def report(self, *, ending: bool = False) -> None:
        self._reported_at = time.monotonic()
        stall = None if ending else self._check_stall()
        self.status = take_status(
            self._pipeline,
            self._watchers,
            self._slots,
            self._started_at,
            time.time(),
            [*([stall] if stall else []), *self._troubles.sentences()],
            self._scheduler.status(),
            self._troubles.get(CONFIGURATION),
            self._cautions,
        )
        with contextlib.suppress(OSError):  # a full disk is reported already
            control_files.write_status(self._state_dir, self.status.document())
        ping = {"WATCHDOG": 1} if sd_notify.watchdog_seconds() and not stall else {}
        sd_notify.notify(STATUS=self.status.summary, **ping)

    def _check_stall(self) -> str | None:
        stall = first_stalled_thread(self._watchers, self._threads, time.monotonic())
        if stall and stall != self._stalled:
            log.critical("stalled", error=stall, hint="The systemd watchdog restarts the service.")
        self._stalled = stall
        return stall
