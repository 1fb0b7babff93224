"""What is known of devices, as told by others: the nouns that dispatch and admission decide by.

Frozen and picklable, like those of types.py.  Imports nothing of ours and asks no device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Footprint:
    """Device memory around one batch, as the worker saw it; all in bytes."""

    resting: int  # allocated before it: the weights
    peak: int  # most allocated during it
    reserved: int  # kept by the worker's allocator after it: what is allocated and what it can use again
    free: int  # of the device after it
    at: float = field(default=-math.inf, compare=False)  # time.monotonic() then


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, or a part of one (MIG), as NVML tells of it."""

    id: str  # "cuda:0": counted as we see them, parts in place of the card they are of
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int
    used_bytes: int
    reserved_bytes: int | None = None  # by the driver
    utilization: float | None = None  # 0..1, of late
    celsius: int | None = None
    others_bytes: int | None = None  # held by processes that are not ours; None where the driver does not tell
    others_busy: bool | None = None  # whether any of them computed since the last reading
    trouble: str | None = None  # a sentence, when it cannot be used; the numbers mean nothing then


@dataclass(frozen=True, slots=True)
class Reading:
    """All cards at one moment."""

    cards: tuple[Card, ...] = ()
    driver: str | None = None
    trouble: str | None = None  # a sentence, when there are no cards to tell of
    absent: bool = False  # nothing of NVIDIA's is on this machine
    faults: tuple[str, ...] = ()  # a sentence per fault that the driver reported since the last reading
    at: float | None = field(default=None, compare=False)  # time.monotonic() when it began; None: now

    def card(self, id: str) -> Card | None:
        """By its number or its UUID."""
        return next((card for card in self.cards if id in (card.id, card.uuid)), None)


@dataclass(frozen=True, slots=True)
class BatchMemorySample:
    """What one batch took; of such, the need of others is learned."""

    padded_seconds: float
    longest_seconds: float
    bytes: int  # over what the weights hold


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """What a worker tells of itself when it comes up."""

    device: str  # its UUID, or "cpu"
    dtypes: tuple[tuple[str, str], ...] = ()  # model, numeric type
    version: str = ""  # of all that its need of memory depends on: driver, PyTorch, models
    footprint: Footprint | None = None  # with no batch in hand
    samples: tuple[tuple[str, BatchMemorySample], ...] = ()  # model, what a batch of it took
