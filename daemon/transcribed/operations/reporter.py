"""What the daemon says of itself, every few seconds: status.json, and STATUS and WATCHDOG of systemd.

An observer of the pipeline: called by the loop, so that a loop that hangs says nothing.  Changes nothing that the loop
depends on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from transcribed.core.events import Event, Measured, Wake
from transcribed.ingest.watcher import InboxWatcher
from transcribed.operations.liveness import Thread, first_stalled_thread
from transcribed.operations.status import document
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling import slots
from transcribed.state import control_files
from transcribed.system import sd_notify

SECONDS, IDLE_SECONDS = 1.0, 5.0
REMEMBER_SECONDS = 300.0

log = structlog.get_logger("transcribed")


class Reporter:
    def __init__(
        self,
        state_dir: Path,
        pipeline: Pipeline,
        watchers: Sequence[InboxWatcher],
        threads: Sequence[Thread],
        slots: slots.Slots,
        known: slots.RememberedDevices,
        more: Callable[[], tuple[list[str], dict[str, Any]]] = lambda: ([], {}),
    ) -> None:
        """`more` gives further troubles, and further parts of the status document."""
        self.status: dict[str, Any] | None = None  # as it was told last
        self._state_dir = state_dir
        self._pipeline = pipeline
        self._watches = watchers
        self._threads = threads
        self._slots = slots
        self._known = known
        self._more = more
        self._started_at = time.time()
        self._reported_at = 0.0
        self._remembered_at = time.monotonic()
        self._stalled: str | None = None

    def on_event(self, event: Event) -> None:
        idle, now = isinstance(event, Wake | Measured), time.monotonic()  # cards are measured without work, too
        if now - self._reported_at >= (IDLE_SECONDS if idle else SECONDS):
            self.report()
        if now - self._remembered_at >= REMEMBER_SECONDS:
            self.remember_devices()

    def report(self, *, ending: bool = False) -> None:
        self._reported_at = time.monotonic()
        stall = None if ending else self._check_stall()
        troubles, parts = self._more()
        troubles = [*([stall] if stall else []), *troubles]
        status = document(self._pipeline, self._watches, self._slots, self._started_at, time.time(), troubles)
        self.status = status | parts
        with contextlib.suppress(OSError):  # a full disk is already told of
            control_files.write_status(self._state_dir, self.status)
        ping = {"WATCHDOG": 1} if sd_notify.watchdog_seconds() and not stall else {}
        sd_notify.notify(STATUS=status["summary"], **ping)

    def remember_devices(self) -> None:
        """What was learned of the devices; the cards in use are waited for from now on, should they be away."""
        self._remembered_at = time.monotonic()
        admission = self._pipeline.dispatcher.admission
        cards = tuple(name for name in self._slots.names if admission.card(name)) or self._known.cards
        with contextlib.suppress(OSError):
            slots.write(self._state_dir, slots.RememberedDevices(cards, admission.learned()))

    def _check_stall(self) -> str | None:
        stall = first_stalled_thread(self._watches, self._threads, time.monotonic())
        if stall and stall != self._stalled:
            log.critical("stalled", error=stall, hint="The watchdog of systemd restarts the service.")
        self._stalled = stall
        return stall
