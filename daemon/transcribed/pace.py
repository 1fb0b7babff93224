"""How fast the slots have been of late, and so when work will be done.  Pure; knows numbers, not devices."""

from __future__ import annotations

HALF = 10.0  # seconds of work after which an old speed counts half


class Pace:
    def __init__(self) -> None:
        self._slots: dict[str, tuple[float, float, float]] = {}  # audio, padded audio, device seconds; all fading

    def passed(self, slot: str, audio_seconds: float, padded_seconds: float, seconds: float) -> None:
        """A batch took `seconds` of the device."""
        seconds = max(seconds, 1e-6)
        fade = 0.5 ** (seconds / HALF)
        audio, padded, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        self._slots[slot] = (audio * fade + audio_seconds, padded * fade + padded_seconds, taken * fade + seconds)

    def speed(self, slot: str) -> float | None:
        """Seconds of audio per second of the device; None before it has done anything."""
        audio, _, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        return audio / taken if taken else None

    def padded_speed(self, slot: str) -> float | None:
        """The same, with the padding that a batch holds counted as audio."""
        _, padded, taken = self._slots.get(slot, (0.0, 0.0, 0.0))
        return padded / taken if taken else None

    def total(self) -> float:
        """Of all slots together."""
        return sum(self.speed(slot) or 0.0 for slot in self._slots)
