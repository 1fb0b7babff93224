"""Give batches to the slots that have room for them, and keep an eye on the devices.

Workers are brought up when there is work and room, are asked to give memory back when others need it, and rest when
there is none.  Knows slots, rooms and batches; nothing of jobs, files or ledgers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from transcribed.core import events
from transcribed.core.errors import NoRoom, OutOfMemory, Unavailable
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import Reading
from transcribed.core.types import Assignment, Batch, Options, Recognition, Rest
from transcribed.pipeline.executors import Executor, Slot
from transcribed.pipeline.scheduling.admission import Admission
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.budget import Room, Wait

MEASURE_SECONDS = (0.5, 5.0)  # between readings of the cards: with work in hand or memory to give back, without
HOLD_SECONDS = 1.0  # after a slot could not begin what it was given

log = structlog.get_logger("transcribed")


class Dispatcher:
    def __init__(
        self,
        mailbox: Mailbox,
        batcher: Batcher,
        admission: Admission,
        recognizer: Executor[Assignment | Rest, Recognition],
        monitor: Executor[frozenset[int], Reading] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monitor` reads the cards; there is none where all slots are on the CPU."""
        self.admission = admission
        self.recognizer = recognizer
        self.monitor = monitor
        self.waits: dict[str, str] = {}  # slots that have no room, and why
        self.benched: dict[str, str] = {}  # slots that cannot work, and why
        self.trouble: str | None = None  # of NVML or a card
        self._mailbox = mailbox
        self._batcher = batcher
        self._monotonic = monotonic
        self._cold = {slot.id for slot in recognizer.idle() if not slot.warm}  # to be brought up before there is work
        self._held: dict[str, float] = {}  # until when
        self._measured_at = -math.inf

    # --- downhill ----------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Idle slots pull batches, each no larger than the slot has room for; the least loaded first."""
        self._measure()
        now = self._monotonic()
        for slot in sorted(self.recognizer.idle(), key=lambda slot: (slot.load, not slot.warm)):
            if self._held.get(slot.id, 0.0) <= now:
                (self._give if slot.warm else self._bring_up)(slot, now)

    def _bring_up(self, slot: Slot, now: float) -> None:
        wanted = len(self._batcher) or slot.id in self._cold
        obstacle = self.admission.obstacle(slot.id, now) if wanted else None
        self._waits(slot.id, obstacle.reason if obstacle else None)
        if wanted and not obstacle:
            self._cold.discard(slot.id)
            self._rest(slot)

    def _give(self, slot: Slot, now: float) -> None:
        rooms: dict[Options, Room] = {}
        reasons: list[str] = []

        def room(options: Options) -> Room | Wait:
            there = self.admission.room(slot.id, options, now)
            if isinstance(there, Room):
                rooms[options] = there
            else:
                reasons.append(there.reason)
            return there

        batch = self._batcher.next_batch(room)
        if batch:
            self._assign(slot, batch, rooms[batch.options])
        elif not slot.load and self.admission.owes(slot.id):
            self._rest(slot)
        reasons += [f"Nothing that waits fits into {there} on {slot.id}." for there in rooms.values()]
        self._waits(slot.id, reasons[0] if len(self._batcher) and not batch and not slot.load else None)

    def _assign(self, slot: Slot, batch: Batch, room: Room) -> None:
        need = room.bytes(len(batch.segments), batch.longest_seconds)
        self._mailbox.post(
            self.recognizer.submit(slot, Assignment(batch, need, room.reserve_bytes)),
            partial(events.Recognized, batch, slot.id),
            partial(events.BatchFailed, batch, slot.id),
            owed=True,
        )

    def _rest(self, slot: Slot) -> None:
        self._mailbox.post(
            self.recognizer.submit(slot, Rest()),
            lambda answer: events.Rested(slot.id, answer.footprint),
            lambda error: events.Wake(),  # what there is to say of it, SlotUnfit or SlotDown says
        )

    def _measure(self) -> None:
        now = self._monotonic()
        if self.monitor is None or now < self._measured_at + MEASURE_SECONDS[not self._has_a_stake()]:
            return
        for slot in self.monitor.idle():
            self._measured_at = now
            ours = frozenset(self.recognizer.processes())
            self._mailbox.post(self.monitor.submit(slot, ours), events.Measured, events.MeasureFailed)

    def _has_a_stake(self) -> bool:
        """Whether it matters what the cards have free: to work in hand, or to others, where we could give back."""
        kept = any(self.admission.keeps(slot.id) for slot in self.recognizer.idle())
        return bool(len(self._batcher) or self._mailbox.owed or kept)

    def _waits(self, slot: str, reason: str | None) -> None:
        """Told in the log when it begins, not as its figures change."""
        if reason is None:
            self.waits.pop(slot, None)
            return
        if slot not in self.waits:
            log.info("waiting for room", slot=slot, reason=reason)
        self.waits[slot] = reason

    def handlers(self) -> dict[type[Event], Callable[[Any], object]]:
        """Of the events that concern slots and cards alone."""
        return {
            events.Rested: self.rested,
            events.SlotUp: self.slot_up,
            events.SlotDown: self.slot_down,
            events.SlotUnfit: self.slot_unfit,
            events.Measured: self.measured,
            events.MeasureFailed: self.measure_failed,
        }

    # --- what is told ------------------------------------------------------------------------------

    def recognized(self, event: events.Recognized) -> None:
        answer = event.recognition
        self.admission.passed(event.slot, event.batch, answer.seconds, answer.footprint)

    def rested(self, event: events.Rested) -> None:
        if event.footprint:
            self.admission.rested(event.slot, event.footprint)

    def failed(self, event: events.BatchFailed) -> None:
        """What a failure says about the slot; what it says about jobs is not known here."""
        now = self._monotonic()
        match event.error:
            case OutOfMemory():
                self.admission.refused(event.slot, event.batch.padded_seconds, now)
            case NoRoom():
                self.admission.short(event.slot, event.batch.padded_seconds, now)
                self._measured_at = -math.inf
            case Unavailable():
                self._held[event.slot] = now + HOLD_SECONDS

    def slot_up(self, event: events.SlotUp) -> None:
        if event.profile:
            self.admission.came_up(event.slot, event.profile)
        if self.benched.pop(event.slot, None):
            log.info("slot works again", slot=event.slot)

    def slot_down(self, event: events.SlotDown) -> None:
        self.admission.went(event.slot, self._monotonic())

    def slot_unfit(self, event: events.SlotUnfit) -> None:
        if self.benched.get(event.slot) != event.error:
            self.benched[event.slot] = event.error
            log.error("slot cannot work", slot=event.slot, error=event.error)

    def measured(self, event: events.Measured) -> None:
        self.admission.measured(event.reading, self._monotonic())
        for fault in event.reading.faults:
            log.error("fault of a card", fault=fault)
        troubles = [
            event.reading.trouble,
            *(card.trouble and f"{card.id}: {card.trouble}" for card in event.reading.cards),
        ]
        self._tell_trouble(next(filter(None, troubles), None))

    def measure_failed(self, event: events.MeasureFailed) -> None:
        self.admission.unmeasured()
        self._tell_trouble(str(event.error))

    def _tell_trouble(self, trouble: str | None) -> None:
        """Once, and when it is over."""
        if trouble != self.trouble:
            self.trouble = trouble
            (log.error if trouble else log.info)("cards", state=trouble or "all well")
