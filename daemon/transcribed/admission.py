"""How much one batch may be: room in padded seconds, under a ceiling that each slot learns.  Pure arithmetic.

On a CPU the room is a fixed number.  Knows slots by name; nothing of devices.
"""

from __future__ import annotations

SMALLEST = 1.0
RECOVERY = 1.1


class Admission:
    """The ceiling of a slot halves when a batch is refused, and creeps back while batches pass."""

    def __init__(self, padded_seconds: float) -> None:
        """`padded_seconds`: what a batch may hold where nothing has been refused."""
        self.padded_seconds = padded_seconds
        self._ceilings: dict[str, float] = {}

    def room(self, slot: str) -> float:
        return self._ceilings.get(slot, self.padded_seconds)

    def refused(self, slot: str, padded_seconds: float) -> None:
        """The device had no memory for a batch of this size."""
        self._ceilings[slot] = max(SMALLEST, padded_seconds / 2)

    def passed(self, slot: str) -> None:
        if slot in self._ceilings:
            self._ceilings[slot] = min(self.padded_seconds, self._ceilings[slot] * RECOVERY)
