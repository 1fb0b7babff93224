"""Value types for device measurements: the input of dispatch and admission.

Frozen and picklable, like those of types.py.  Imports nothing of ours and queries no device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Footprint:
    """Device memory around one batch, as measured by the worker; all in bytes."""

    resting: int  # allocated before it: the weights
    peak: int  # most allocated during it
    reserved: int  # kept by the worker's allocator after it: allocated memory and its reusable cache
    free: int  # on the whole device after it
    at: float = field(default=-math.inf, compare=False)  # time.monotonic() of the measurement


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, or a part of one (MIG), as reported by NVML."""

    id: str  # "cuda:0": numbered as visible to us; MIG parts take the place of their card
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int
    used_bytes: int
    reserved_bytes: int | None = None  # by the driver
    utilization: float | None = None  # 0..1, over the last sampling period
    celsius: int | None = None
    others_bytes: int | None = None  # held by processes that are not ours; None if the driver does not report it
    others_busy: bool | None = None  # True if any of them computed since the last reading
    trouble: str | None = None  # a sentence if the card cannot be used; the numbers are meaningless then


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of all cards at one moment."""

    cards: tuple[Card, ...] = ()
    driver: str | None = None
    trouble: str | None = None  # a sentence if no card can be read
    absent: bool = False  # True if this machine has neither NVIDIA hardware nor its driver
    faults: tuple[str, ...] = ()  # a sentence per fault that the driver reported since the last reading
    at: float | None = field(default=None, compare=False)  # time.monotonic() when the reading began; None: now

    def card(self, id: str) -> Card | None:
        """Return the card with this number or UUID, or None."""
        return next((card for card in self.cards if id in (card.id, card.uuid)), None)


@dataclass(frozen=True, slots=True)
class BatchMemorySample:
    """Memory that one batch took; the need of later batches is learned from such samples."""

    padded_seconds: float
    longest_seconds: float
    bytes: int  # beyond the weights


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """A worker's report about itself when it starts."""

    device: str  # its UUID, or "cpu"
    dtypes: tuple[tuple[str, str], ...] = ()  # model, numeric type
    version: str = ""  # of everything that its memory need depends on: driver, PyTorch, models
    footprint: Footprint | None = None  # while idle
    samples: tuple[tuple[str, BatchMemorySample], ...] = ()  # model, memory that a batch of it took
