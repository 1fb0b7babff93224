"""Which slots there are, one per card that is to be used or one on the CPU; and what is remembered of devices.

The CPU only where it is asked for, or where nothing of NVIDIA's is on the machine and never was: a card that is away
is waited for.  Knows cards by what NVML tells, and one file in the state directory; nothing of processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from transcribed.core.telemetry import Reading
from transcribed.system import files

CPU = "cpu:0"
FILE = "devices.json"
CONTEXT_BYTES = 2**30  # of a CUDA process, before it holds anything; 107 to 843 MB have been seen (pytorch#86493)


@dataclass(frozen=True, slots=True)
class RememberedDevices:
    """What an earlier run found out."""

    cards: tuple[str, ...] = ()  # that it used
    needs: dict[str, Any] = field(default_factory=dict)  # of memory; for admission.py


@dataclass(frozen=True, slots=True)
class Slots:
    names: tuple[str, ...]
    note: str | None = None  # what an operator should know of the choice

    @property
    def on_cpu(self) -> bool:
        return self.names == (CPU,)


def choose_slots(device: str, reading: Reading, remembered: Sequence[str]) -> Slots:
    """`device` as configured, `remembered` the cards used before."""
    if device == "cpu":
        return Slots((CPU,))
    if device not in ("auto", "cuda"):
        return Slots((device,))
    if reading.cards:
        return Slots(tuple(card.id for card in reading.cards))
    if device == "auto" and reading.absent and not remembered:
        return Slots((CPU,), "There is no NVIDIA device; recognizing on the CPU.")
    note = f"{reading.trouble or 'There is no card.'}  Work waits for the card."
    return Slots(tuple(remembered) or ("cuda:0",), note)


def boot_bytes(models: Iterable[Path]) -> int:
    """What a worker may take of a card's memory while it comes up: its context, and the weights twice over."""
    weights = (directory / "model.pt" for directory in models)
    return CONTEXT_BYTES + 2 * sum(path.stat().st_size for path in weights if path.is_file())


def read(state_dir: Path) -> RememberedDevices:
    """What is remembered; nothing, where nothing can be read: it is learned anew."""
    try:
        found = json.loads((state_dir / FILE).read_text())
        return RememberedDevices(tuple(map(str, found["cards"])), dict(found["needs"]))
    except (OSError, ValueError, KeyError, TypeError):
        return RememberedDevices()


def write(state_dir: Path, known: RememberedDevices) -> None:
    """Whole or not at all.  Raises OSError."""
    files.write_json(state_dir / FILE, asdict(known))
