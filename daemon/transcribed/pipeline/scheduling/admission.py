"""Decide how large a batch on a slot may be now, from free memory and learned need.  Pure; the clock is passed in.

The room is the card's free memory plus what our worker's cache can reuse, less what is reserved for others.  Less room
means smaller batches, then none; nothing is ever tried in the hope that it fits.  Knows slots by name, cards by their
readings; nothing of processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transcribed.core.backoff import backoff_seconds
from transcribed.core.quantities import gib
from transcribed.core.telemetry import BatchMemorySample, Card, Footprint, Reading, WorkerProfile
from transcribed.core.types import Batch, Options
from transcribed.pipeline.scheduling.budget import OVERHEAD, BatchBudget, Refusal
from transcribed.pipeline.scheduling.gpu_policy import Policy
from transcribed.pipeline.scheduling.memory_model import MemoryModel, stored_samples
from transcribed.pipeline.scheduling.throughput import Throughput

SMALLEST = 1.0  # padded seconds
LONGEST_SEGMENT = 30.0  # seconds; a batch of one must be possible at any speed
RECOVERY = 1.1  # growth of a lowered ceiling per batch that succeeds
FORGIVEN_SECONDS = (60.0, 600.0)  # until a refusal is forgotten: after the first, and at most after many in a row
STALE_SECONDS = 10.0  # an older reading counts as none
YIELD_SECONDS = 2.0  # others busy a moment ago count as busy still: some drivers sample only once a second


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one batch, independent of memory."""

    padded_seconds: float = 120.0
    seconds: float = math.inf  # of device time at the measured speed: other batches wait that long


@dataclass(slots=True)
class _Device:
    """State of a slot's device and of the worker on it."""

    profile: WorkerProfile | None = None  # None: no worker is running
    resting_bytes: int = 0
    reserved_bytes: int = 0
    kept_bytes: int = 0  # part of the reserved bytes that a release did not free
    free_bytes: int | None = None  # available to us, reusable cache included, as last reported
    reported_at: float = -math.inf  # a reading begun earlier is outdated
    others_busy_at: float = -math.inf
    ceiling: float = math.inf  # padded seconds, since a refusal
    refusals: int = 0  # in a row
    shortages: int = 0  # in a row
    forgiven_at: float = 0.0
    memory_models: dict[str, MemoryModel] = field(default_factory=dict)  # by model


class Admission:
    def __init__(
        self,
        limits: BatchLimits,
        policy: Callable[[], Policy] = Policy,
        *,
        boot_bytes: int = 0,
        throughput: Throughput | None = None,
        remembered: Mapping[str, Any] | None = None,
    ) -> None:
        """`boot_bytes`: memory a starting worker needs; `remembered`: the result of `learned` in an earlier run."""
        self.throughput = throughput or Throughput()
        self._limits = limits
        self._policy = policy
        self._boot_bytes = boot_bytes
        self._memory: dict[str, Any] = dict(remembered or {})
        self._devices: dict[str, _Device] = {}
        self._reading: Reading | None = None
        self._read_at = -math.inf

    # --- queries -----------------------------------------------------------------------------------

    def budget(self, slot: str, options: Options, now: float) -> BatchBudget | Refusal:
        """Return the budget of a batch with these options on a slot whose worker is running, or why there is none."""
        device = self._device(slot)
        if is_cpu(slot):
            return BatchBudget(self._padded(slot, device, math.inf, now), overhead_seconds=self._overhead(slot))
        free = self._free_bytes(slot, now)
        if isinstance(free, Refusal):
            return free
        card, bytes = free
        memory_model = device.memory_models.get(options.model)
        if device.profile is None or memory_model is None:
            return Refusal(f"The worker on {slot} has not started yet.")
        padded = self._padded(slot, device, max(LONGEST_SEGMENT, memory_model.extrapolation_limit_seconds), now)
        return BatchBudget(
            padded, bytes, self._policy().reserve_bytes(card.total_bytes), memory_model, self._overhead(slot)
        )

    def obstacle(self, slot: str, now: float) -> Refusal | None:
        """Return why a worker cannot start now, given its weights and one small batch; None if it can."""
        if is_cpu(slot):
            return None
        free = self._free_bytes(slot, now)
        if isinstance(free, Refusal) or free[1] >= self._boot_bytes:
            return free if isinstance(free, Refusal) else None
        return Refusal(f"{slot} has {gib(free[1])} of free memory; a worker needs {gib(self._boot_bytes)}.")

    def reserve_bytes(self, slot: str) -> int:
        """Return how many bytes must stay free for others on the slot's card."""
        card = self.card(slot)
        return self._policy().reserve_bytes(card.total_bytes) if card else 0

    def should_release(self, slot: str) -> bool:
        """Return whether our worker caches memory that others need now."""
        card = self.card(slot)
        if card is None or card.trouble:
            return False
        return self.holds_cache(slot) and card.free_bytes < self.reserve_bytes(slot)

    def holds_cache(self, slot: str) -> bool:
        """Return whether our worker has cached memory that it could release."""
        device = self._device(slot)
        return device.profile is not None and device.reserved_bytes > max(device.kept_bytes, device.resting_bytes)

    def _padded(self, slot: str, device: _Device, trusted: float, now: float) -> float:
        if now >= device.forgiven_at:
            device.ceiling = math.inf
        speed = self.throughput.padded_speed(slot)
        timely = max(LONGEST_SEGMENT, speed * self._limits.seconds) if speed else math.inf
        return min(self._limits.padded_seconds, trusted, timely, device.ceiling)

    def _overhead(self, slot: str) -> float:
        measured = self.throughput.overhead(slot)
        return OVERHEAD if measured is None else measured

    def _free_bytes(self, slot: str, now: float) -> tuple[Card, float] | Refusal:
        """Return the slot's card and the bytes that we may use on it, reusable cache included."""
        if self._reading is None or now - self._read_at > STALE_SECONDS:
            return Refusal("Free memory is unknown: NVML does not answer.")
        card, policy = self.card(slot), self._policy()
        if card is None:
            return Refusal(self._reading.trouble or f"There is no card {slot}.")
        if card.trouble:
            return Refusal(f"{slot}: {card.trouble}")
        if policy.pause:
            return Refusal(f"The configuration pauses work on {slot} at this time.")
        device = self._device(slot)
        if policy.yield_to_others and now < device.others_busy_at + YIELD_SECONDS:
            return Refusal(f"Other processes are using {slot} and have precedence.")
        free = card.free_bytes if device.free_bytes is None else device.free_bytes
        share = policy.max_share * card.total_bytes - device.resting_bytes
        return card, min(free - policy.reserve_bytes(card.total_bytes), share)

    # --- reports -----------------------------------------------------------------------------------

    def on_reading(self, reading: Reading, now: float) -> None:
        """Take in a reading of the cards.

        The cache counts as the worker last reported it; a reading begun before that report does not replace it.
        """
        self._reading, self._read_at = reading, now if reading.at is None else min(now, reading.at)
        for slot, device in self._devices.items():
            card = reading.card(slot)
            if card and card.others_busy:
                device.others_busy_at = now
            if card and self._read_at >= device.reported_at:
                device.free_bytes = card.free_bytes + device.reserved_bytes - device.resting_bytes

    def on_reading_failed(self) -> None:
        """Drop the last reading: nothing is admitted until a new one succeeds."""
        self._reading = None

    def on_worker_ready(self, slot: str, profile: WorkerProfile) -> None:
        device = self._device(slot)
        device.profile = profile
        if profile.footprint:
            self.on_memory_released(slot, profile.footprint)
        for model, _ in profile.dtypes:
            device.memory_models[model] = MemoryModel(
                stored_samples(self._memory.get(_key(profile, model)), profile.version)
            )
        for model, sample in profile.samples:
            device.memory_models[model].add(sample)

    def on_worker_exit(self, slot: str, now: float) -> None:
        """Forget a worker that has exited; its memory counts as free once a later reading shows it."""
        device = self._device(slot)
        device.profile, device.resting_bytes = None, 0
        self._forget(device, now)

    def on_shortage(self, slot: str, padded_seconds: float, now: float) -> None:
        """Take in that a batch of this size was not tried: less memory was free than assumed.  The cache is empty now.

        A second shortage in a row means that NVML and the device count differently; then only smaller batches help.
        """
        device = self._device(slot)
        device.shortages += 1
        self._forget(device, now)
        if device.shortages > 1:
            self._lower(device, padded_seconds, now)

    @staticmethod
    def _forget(device: _Device, now: float) -> None:
        """Assume that no memory is free until a later reading shows it."""
        device.reserved_bytes, device.free_bytes, device.reported_at = device.resting_bytes, 0, now

    def on_success(self, slot: str, batch: Batch, seconds: float, footprint: Footprint | None) -> None:
        """Learn from a batch that was recognized in `seconds` of device time."""
        self.throughput.record(slot, sum(s.seconds for s in batch.segments), batch.padded_seconds, seconds)
        device = self._device(slot)
        device.refusals = device.shortages = 0
        device.ceiling *= RECOVERY
        if footprint and device.profile:  # an answer that was held back may outlive its worker, and its memory
            self._update(device, footprint)
            self._learn(device, batch, footprint.peak - footprint.resting)

    def on_memory_released(self, slot: str, footprint: Footprint) -> None:
        """Take in the memory of a worker that has started, or has released its cache."""
        device = self._device(slot)
        self._update(device, footprint)
        device.kept_bytes = footprint.reserved

    @staticmethod
    def _update(device: _Device, footprint: Footprint) -> None:
        device.resting_bytes, device.reserved_bytes = footprint.resting, footprint.reserved
        device.free_bytes = footprint.free + footprint.reserved - footprint.resting
        device.reported_at = footprint.at

    def on_out_of_memory(self, slot: str, padded_seconds: float, now: float) -> None:
        """Lower the ceiling after the device ran out of memory on a batch of this size."""
        device = self._device(slot)
        self._forget(device, now)
        self._lower(device, padded_seconds, now)

    @staticmethod
    def _lower(device: _Device, padded_seconds: float, now: float) -> None:
        device.ceiling = max(SMALLEST, min(device.ceiling, padded_seconds / 2))
        device.forgiven_at = now + backoff_seconds(device.refusals, *FORGIVEN_SECONDS)
        device.refusals += 1

    def _learn(self, device: _Device, batch: Batch, bytes: int) -> None:
        memory_model = device.memory_models.get(batch.options.model)
        if memory_model is None or device.profile is None or bytes <= 0:
            return
        memory_model.add(BatchMemorySample(batch.padded_seconds, batch.longest_seconds, bytes))

    # --- state to keep and to show -----------------------------------------------------------------

    def learned(self) -> dict[str, Any]:
        """Return the measured samples for a later run, per device, model and numeric type."""
        for device in self._devices.values():
            if profile := device.profile:
                for model, memory_model in device.memory_models.items():
                    samples = [[s.padded_seconds, s.longest_seconds, s.bytes] for s in memory_model.samples]
                    if samples:
                        self._memory[_key(profile, model)] = {"version": profile.version, "samples": samples}
        return self._memory

    def capacity(self, slot: str, now: float) -> list[dict[str, Any]]:
        """Return, per model, how many padded seconds fit now in rows of 5, 10 and 30 seconds, or why none do."""
        device = self._device(slot)
        models = dict(device.profile.dtypes) if device.profile else {}
        budgets = {model: self.budget(slot, Options(model), now) for model in models}
        return [
            {
                "model": model,
                "dtype": models[model],
                "waits": budget.reason if isinstance(budget, Refusal) else None,
                "fits": {
                    str(row): row * budget.rows(row) if isinstance(budget, BatchBudget) else 0 for row in (5, 10, 30)
                },
            }
            for model, budget in budgets.items()
        ]

    def card(self, slot: str) -> Card | None:
        return self._reading.card(slot) if self._reading else None

    def _device(self, slot: str) -> _Device:
        return self._devices.setdefault(slot, _Device())


def is_cpu(slot: str) -> bool:
    return slot.startswith("cpu")


def _key(profile: WorkerProfile, model: str) -> str:
    return f"{profile.device} {model} {dict(profile.dtypes)[model]}"
