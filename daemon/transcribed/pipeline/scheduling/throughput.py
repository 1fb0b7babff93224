"""Measure how fast the slots are, to estimate when work will be done.  Pure; knows numbers, not devices."""

from __future__ import annotations

from dataclasses import astuple, dataclass

HALF = 10.0  # seconds of work after which an old speed counts half
KEPT = 0.98  # factor on the weight of older batches at each new one, where sizes are compared
ALIKE = 0.1  # deviation of sizes over their mean, below which the cost of size cannot be inferred


class Throughput:
    def __init__(self) -> None:
        self._slots: dict[str, tuple[float, float, float]] = {}  # audio, padded audio, device seconds; all fading
        self._sizes: dict[str, _Sizes] = {}
        self._overheads: dict[str, float] = {}

    def record(self, slot: str, audio_seconds: float, padded_seconds: float, seconds: float) -> None:
        """Record a batch that took `seconds` of device time."""
        seconds = max(seconds, 1e-6)
        fade = 0.5 ** (seconds / HALF)
        audio, padded, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        self._slots[slot] = (audio * fade + audio_seconds, padded * fade + padded_seconds, taken * fade + seconds)
        self._sizes[slot] = self._sizes.get(slot, _Sizes()).with_one(padded_seconds, seconds)
        if (overhead := self._sizes[slot].overhead()) is not None:
            self._overheads[slot] = overhead

    def speed(self, slot: str) -> float | None:
        """Return seconds of audio per second of device time; None before the first batch."""
        audio, _, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        return audio / taken if taken else None

    def padded_speed(self, slot: str) -> float | None:
        """Return the same as `speed`, with the padding in a batch counted as audio."""
        _, padded, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        return padded / taken if taken else None

    def overhead(self, slot: str) -> float | None:
        """Return the fixed cost of a batch, in padded seconds that could be done meanwhile; None if unknown."""
        return self._overheads.get(slot)

    def total(self) -> float:
        """Return the speed of all slots together."""
        return sum(self.speed(slot) or 0.0 for slot in self._slots)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Fading sums over the batches' sizes (padded seconds) and times, for a regression of time on size."""

    count: float = 0.0
    size: float = 0.0
    squares: float = 0.0
    time: float = 0.0
    products: float = 0.0

    def with_one(self, padded_seconds: float, seconds: float) -> _Sizes:
        new = (1.0, padded_seconds, padded_seconds**2, seconds, padded_seconds * seconds)
        return _Sizes(*(KEPT * old + more for old, more in zip(astuple(self), new, strict=True)))

    def overhead(self) -> float | None:
        """Return where the regression line meets the axis; None if sizes are too alike or larger batches are faster."""
        mean = self.size / self.count
        variance = self.squares / self.count - mean**2
        slope = (self.products / self.count - mean * self.time / self.count) / max(variance, 1e-9)
        if variance < (ALIKE * mean) ** 2 or slope <= 0:
            return None
        return max(0.0, self.time / self.count / slope - mean)
