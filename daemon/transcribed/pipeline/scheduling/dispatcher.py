"""Give batches to the slots that have room for them, and monitor the devices.

Workers are started when there is work and room, release memory when others need it, and idle when there is no work.
Knows slots, budgets and batches; nothing of jobs, files or ledgers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

import structlog

from transcribed.core import events
from transcribed.core.errors import MemoryShortage, OutOfMemory, Unavailable
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import Reading
from transcribed.core.types import Assignment, Batch, Options, Recognition, ReleaseMemory
from transcribed.pipeline.executors import Executor, Slot
from transcribed.pipeline.scheduling.admission import Admission
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.budget import BatchBudget, Refusal
from transcribed.pipeline.scheduling.slots import RememberedDevices, Slots

MEASURE_SECONDS = (0.5, 5.0)  # between readings of the cards: while there is work or memory to release, and otherwise
HOLD_SECONDS = 1.0  # pause after a slot could not start a batch

log = structlog.get_logger("transcribed")


class Dispatcher:
    def __init__(
        self,
        mailbox: Mailbox,
        batcher: Batcher,
        admission: Admission,
        recognizer: Executor[Assignment | ReleaseMemory, Recognition],
        monitor: Executor[frozenset[int], Reading] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monitor` reads the cards; it is None if all slots are on the CPU."""
        self.admission = admission
        self.recognizer = recognizer
        self.monitor = monitor
        self.waits: dict[str, str] = {}  # reason by slot, for slots without room
        self.unavailable: dict[str, str] = {}  # reason by slot, for slots that cannot work
        self.trouble: str | None = None  # of NVML or a card
        self._mailbox = mailbox
        self._batcher = batcher
        self._monotonic = monotonic
        self._cold = {slot.id for slot in recognizer.idle() if not slot.warm}  # to be started before there is work
        self._held: dict[str, float] = {}  # until when
        self._measured_at = -math.inf

    # --- downhill ----------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Give each idle slot a batch no larger than it has room for, the least loaded slot first."""
        self._measure()
        now = self._monotonic()
        for slot in sorted(self.recognizer.idle(), key=lambda slot: (slot.load, not slot.warm)):
            if self._held.get(slot.id, 0.0) <= now:
                (self._assign_batch if slot.warm else self._start_worker)(slot, now)

    def _start_worker(self, slot: Slot, now: float) -> None:
        wanted = len(self._batcher) or slot.id in self._cold
        obstacle = self.admission.obstacle(slot.id, now) if wanted else None
        self._set_waiting(slot.id, obstacle.reason if obstacle else None)
        if wanted and not obstacle:
            self._cold.discard(slot.id)
            self._release_memory(slot)

    def _assign_batch(self, slot: Slot, now: float) -> None:
        budgets: dict[Options, BatchBudget] = {}
        reasons: list[str] = []

        def budget(options: Options) -> BatchBudget | Refusal:
            found = self.admission.budget(slot.id, options, now)
            if isinstance(found, BatchBudget):
                budgets[options] = found
            else:
                reasons.append(found.reason)
            return found

        batch = self._batcher.next_batch(budget)
        if batch:
            self._submit(slot, batch, budgets[batch.options])
        elif not slot.load and self.admission.should_release(slot.id):
            self._release_memory(slot)
        reasons += [f"No waiting segment fits into {found} on {slot.id}." for found in budgets.values()]
        self._set_waiting(slot.id, reasons[0] if len(self._batcher) and not batch and not slot.load else None)

    def _submit(self, slot: Slot, batch: Batch, budget: BatchBudget) -> None:
        needed_bytes = budget.bytes(len(batch.segments), batch.longest_seconds)
        self._mailbox.post(
            self.recognizer.submit(slot, Assignment(batch, needed_bytes, budget.reserve_bytes)),
            partial(events.Recognized, batch, slot.id),
            partial(events.BatchFailed, batch, slot.id),
            owed=True,
        )

    def _release_memory(self, slot: Slot) -> None:
        self._mailbox.post(
            self.recognizer.submit(slot, ReleaseMemory()),
            lambda answer: events.MemoryReleased(slot.id, answer.footprint),
            lambda error: events.Wake(),  # SlotUnavailable or WorkerExited reports the failure
        )

    def _measure(self) -> None:
        now = self._monotonic()
        if self.monitor is None or now < self._measured_at + MEASURE_SECONDS[not self._needs_fresh_readings()]:
            return
        for slot in self.monitor.idle():
            self._measured_at = now
            ours = frozenset(self.recognizer.processes())
            self._mailbox.post(self.monitor.submit(slot, ours), events.Measured, events.MeasuringFailed)

    def _needs_fresh_readings(self) -> bool:
        """Return whether free memory matters now: there is work, or cached memory that others may need."""
        kept = any(self.admission.holds_cache(slot.id) for slot in self.recognizer.idle())
        return bool(len(self._batcher) or self._mailbox.outstanding or kept)

    def _set_waiting(self, slot: str, reason: str | None) -> None:
        """Record why a slot waits, or that it no longer does.  Log when the wait begins, not as its figures change."""
        if reason is None:
            self.waits.pop(slot, None)
            return
        if slot not in self.waits:
            log.info("waiting for room", slot=slot, reason=reason)
        self.waits[slot] = reason

    def speed(self, slot: str | None = None) -> float | None:
        """Return how many seconds of audio a slot, or all slots, recognize per second; None before it is measured."""
        throughput = self.admission.throughput
        return (throughput.total() or None) if slot is None else throughput.speed(slot)

    def remembered(self, slots: Slots, before: RememberedDevices) -> RememberedDevices:
        """Return the state for a later run: the cards in use (or those used before), and the memory batches needed."""
        cards = tuple(name for name in slots.names if self.admission.card(name)) or before.cards
        return RememberedDevices(cards, self.admission.learned())

    def handle(self, event: Event) -> bool:
        """Handle an event that concerns only slots and cards; return False for any other."""
        match event:
            case events.MemoryReleased():
                self.on_memory_released(event)
            case events.WorkerReady():
                self.on_worker_ready(event)
            case events.WorkerExited():
                self.on_worker_exited(event)
            case events.SlotUnavailable():
                self.on_slot_unavailable(event)
            case events.Measured():
                self.on_measured(event)
            case events.MeasuringFailed():
                self.on_measuring_failed(event)
            case _:
                return False
        return True

    # --- events ------------------------------------------------------------------------------------

    def on_recognized(self, event: events.Recognized) -> None:
        answer = event.recognition
        self.admission.on_success(event.slot, event.batch, answer.seconds, answer.footprint)

    def on_memory_released(self, event: events.MemoryReleased) -> None:
        if event.footprint:
            self.admission.on_memory_released(event.slot, event.footprint)

    def on_batch_failed(self, event: events.BatchFailed) -> None:
        """Adjust the slot's admission to the failure; the pipeline decides about jobs."""
        now = self._monotonic()
        match event.error:
            case OutOfMemory():
                self.admission.on_out_of_memory(event.slot, event.batch.padded_seconds, now)
            case MemoryShortage():
                self.admission.on_shortage(event.slot, event.batch.padded_seconds, now)
                self._measured_at = -math.inf
            case Unavailable():
                self._held[event.slot] = now + HOLD_SECONDS

    def on_worker_ready(self, event: events.WorkerReady) -> None:
        if event.profile:
            self.admission.on_worker_ready(event.slot, event.profile)
        if self.unavailable.pop(event.slot, None):
            log.info("slot recovered", slot=event.slot)

    def on_worker_exited(self, event: events.WorkerExited) -> None:
        self.admission.on_worker_exit(event.slot, self._monotonic())

    def on_slot_unavailable(self, event: events.SlotUnavailable) -> None:
        if self.unavailable.get(event.slot) != event.error:
            self.unavailable[event.slot] = event.error
            log.error("slot unavailable", slot=event.slot, error=event.error)

    def on_measured(self, event: events.Measured) -> None:
        self.admission.on_reading(event.reading, self._monotonic())
        for fault in event.reading.faults:
            log.error("card fault", fault=fault)
        troubles = [
            event.reading.trouble,
            *(card.trouble and f"{card.id}: {card.trouble}" for card in event.reading.cards),
        ]
        self._report_trouble(next(filter(None, troubles), None))

    def on_measuring_failed(self, event: events.MeasuringFailed) -> None:
        self.admission.on_reading_failed()
        self._report_trouble(str(event.error))

    def _report_trouble(self, trouble: str | None) -> None:
        """Log a trouble of the cards when it begins or changes, and when it is over."""
        if trouble != self.trouble:
            self.trouble = trouble
            (log.error if trouble else log.info)("cards", state=trouble or "ok")
