"""Choose the slots, one per card in use or one on the CPU, and keep a record of devices between runs.

The CPU is chosen only on request, or if the machine has no NVIDIA device and never had one: work waits for a card that
is missing.  Knows cards by their NVML readings, and one file in the state directory; nothing of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from transcribed.core.telemetry import Reading
from transcribed.system import atomic_write, documents

CPU = "cpu:0"
FILE = "devices.json"
LIBRARIES_BYTES = 3 * 2**27  # of PyTorch and FunASR on the CPU, with what a batch needs
CONTEXT_BYTES = 2**30  # of an empty CUDA process; 107 to 843 MB have been seen (pytorch#86493)

CardId = Annotated[str, Meta(pattern=r"^cuda:[0-9]{1,3}$")]


@dataclass(frozen=True, slots=True)
class RememberedDevices:
    """Findings of an earlier run."""

    cards: tuple[CardId, ...] = ()  # the cards it used
    needs: dict[str, Any] = field(default_factory=dict)  # measured memory, for admission.py


@dataclass(frozen=True, slots=True)
class Slots:
    names: tuple[str, ...]
    note: str | None = None  # a remark on the choice, for the operator

    @property
    def on_cpu(self) -> bool:
        return self.names == (CPU,)


def choose_slots(device: str, reading: Reading, remembered: Sequence[str]) -> Slots:
    """Choose the slots for `device` as configured; `remembered` are the cards used before."""
    if device == "cpu":
        return Slots((CPU,))
    if device not in ("auto", "cuda"):
        return Slots((device,))
    if reading.cards:
        return Slots(tuple(card.id for card in reading.cards))
    if device == "auto" and reading.absent and not remembered:
        return Slots((CPU,), "No NVIDIA device was found; recognition runs on the CPU.")
    note = f"{reading.trouble or 'No card was found.'}  Work waits for the card."
    return Slots(tuple(remembered) or ("cuda:0",), note)


def boot_bytes(models: Iterable[Path], *, on_cpu: bool = False) -> int:
    """Return how much memory a starting worker may need: of its card, or on the CPU of the host.

    On a card, its context, the weights, and as much again for the batches by which it is calibrated.  On the CPU, where
    the weights are mapped, the libraries and the weights: with SenseVoiceSmall at full size, 893 MiB, 1,162 MiB were
    measured at the peak of the start and 1,270 after the first batch (docs/performance.md).
    """
    paths = (directory / "model.pt" for directory in models)
    weights = sum(path.stat().st_size for path in paths if path.is_file())
    return LIBRARIES_BYTES + weights if on_cpu else CONTEXT_BYTES + 2 * weights


def read(state_dir: Path) -> RememberedDevices:
    """Read the record of devices; an empty one if it cannot be read, as everything in it can be learned again."""
    return documents.recall(state_dir / FILE, RememberedDevices) or RememberedDevices()


def write(state_dir: Path, known: RememberedDevices) -> None:
    """Write the record of devices atomically.  Raise OSError."""
    atomic_write.write_json(state_dir / FILE, asdict(known), mode=0o600)
