"""Define the budget of one batch on a slot.  Pure; knows numbers, not devices."""

from __future__ import annotations

import math
from bisect import bisect
from dataclasses import dataclass

from transcribed.core.quantities import gib
from transcribed.pipeline.scheduling.memory_model import MemoryModel

OVERHEAD = 16.0  # padded seconds, until it is measured


@dataclass(frozen=True, slots=True)
class BatchBudget:
    padded_seconds: float
    free_bytes: float = math.inf
    reserve_bytes: int = 0  # of the device's memory, kept free for others
    memory_model: MemoryModel | None = None
    overhead_seconds: float = OVERHEAD  # fixed cost of a batch, in padded seconds

    def __str__(self) -> str:
        memory = f"{gib(self.free_bytes)} and " if self.memory_model else ""
        return f"{memory}{self.padded_seconds:.0f} s of audio"

    def bytes(self, rows: int, longest_seconds: float) -> float:
        """Return the memory that a batch of `rows` rows needs; 0 on a device without memory of its own."""
        return self.memory_model.bytes(rows, longest_seconds) if self.memory_model else 0.0

    def rows(self, seconds: float) -> int:
        """Return how many rows of `seconds` seconds fit."""
        return bisect(range(1, int(self.padded_seconds / seconds) + 1), 0, key=lambda n: not self.fits(n, seconds))

    def fits(self, rows: int, longest_seconds: float) -> bool:
        return rows * longest_seconds <= self.padded_seconds and self.bytes(rows, longest_seconds) <= self.free_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why there is no room, as a sentence for people."""

    reason: str
