"""One card, looked at again and again from outside, by NVML.  Knows a card; nothing of who uses it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pynvml


@dataclass(frozen=True)
class Look:
    at: float  # time.monotonic()
    used_bytes: int
    busy: float  # share of the last moments in which the card computed


@dataclass
class Looks:
    all: list[Look] = field(default_factory=list)

    def since(self, moment: float) -> list[Look]:
        return [look for look in self.all if look.at >= moment]


class Gauge:
    """Tells of the card with this UUID; of a CPU, that nothing is used and that it is always busy."""

    def __init__(self, uuid: str) -> None:
        self._handle = None
        if uuid != "cpu":
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def used_bytes(self) -> int:
        return int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used) if self._handle else 0

    def total_bytes(self) -> int:
        return int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).total) if self._handle else 0

    def busy(self) -> float:
        """NaN where the card does not tell, as parts of one do not."""
        try:
            return pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100 if self._handle else 1.0
        except pynvml.NVMLError_NotSupported:
            return float("nan")

    @contextmanager
    def watching(self, seconds: float) -> Iterator[Looks]:
        """Look every so many seconds, from a thread, until the end of the block."""
        looks, over = Looks(), threading.Event()

        def watch() -> None:
            while not over.wait(seconds):
                looks.all.append(Look(time.monotonic(), self.used_bytes(), self.busy()))

        thread = threading.Thread(target=watch, name="gauge", daemon=True)
        thread.start()
        try:
            yield looks
        finally:
            over.set()
            thread.join()


def used_by_card() -> dict[str, int]:
    """Bytes in use on every card, by UUID."""
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    return {_text(pynvml.nvmlDeviceGetUUID(h)): int(pynvml.nvmlDeviceGetMemoryInfo(h).used) for h in handles}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
