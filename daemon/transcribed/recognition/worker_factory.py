"""Build a worker in its own process: load its models, verify them, test them with a known phrase, and calibrate.

Imports inside functions are not loaded by the daemon's process.  Knows models and devices; nothing of batches.
"""

from __future__ import annotations

import functools
import hashlib
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from transcribed.core.errors import Misconfigured
from transcribed.core.telemetry import BatchMemorySample, Reading, WorkerProfile
from transcribed.core.types import SAMPLE_RATE, Options
from transcribed.recognition import device as devices
from transcribed.recognition.model_store import MANIFEST, verify
from transcribed.recognition.models import families
from transcribed.recognition.worker import Model, Punctuator, Recognizer, Samples, Worker
from transcribed.system import documents, sandbox

if TYPE_CHECKING:
    from transcribed.recognition.device import DeviceMemory
    from transcribed.recognition.models.precision import Precision

Heartbeat = Callable[[], None]

MIN_CONFIDENCE = 0.1  # that of random weights is one in thousands of tokens
CALIBRATION = ((1, 2.0), (8, 2.0), (1, 30.0), (16, 0.5))  # rows and seconds: four unknowns, four batches


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """The configuration of a worker."""

    models: Mapping[str, Path]
    threads: int
    dtype: Precision
    phrases: Mapping[str, Path]  # by language, "en" and "zh": for models without a canary of their own
    punctuation: Mapping[str, Path] = field(default_factory=dict)


def make_worker(plan: WorkerPlan, slot: str, heartbeat: Heartbeat) -> Worker:
    """Build the worker of a slot; called in its process.  Call `heartbeat` after each step, some of which are slow.

    Raise Misconfigured, or DeviceLost if its card is missing.
    """
    device = devices.choose(slot)
    if device == "cpu":
        sandbox.restrict_calls()  # CUDA may want local sockets
    import torch

    heartbeat()
    torch.set_num_threads(plan.threads)
    memory = devices.memory_of(device)
    models = {name: _model(name, directory, device, plan, heartbeat) for name, directory in plan.models.items()}
    punctuation = {
        name: _punctuation(directory, device, plan, heartbeat) for name, directory in plan.punctuation.items()
    }
    calibrated = [] if device == "cpu" else _calibrated(models, memory, heartbeat)
    memory.begin()
    profile = WorkerProfile(
        device=devices.identity(device),
        dtypes=tuple((name, model.recognizer.dtype) for name, model in models.items()),
        version=_version((*plan.models.values(), *plan.punctuation.values()), device),
        footprint=memory.footprint(),
        samples=tuple(calibrated),
    )
    return Worker(models, memory, profile, punctuation=punctuation)


def make_monitor(slot: str, heartbeat: Heartbeat) -> Callable[[frozenset[int], Callable[[], None]], Reading]:
    """Build the monitor that queries NVML; called in its process."""
    from transcribed.recognition.nvml import CardMonitor

    cards = CardMonitor()
    cards.start()
    return cards


def _model(name: str, directory: Path, device: str, plan: WorkerPlan, heartbeat: Heartbeat) -> Model:
    verify(directory, heartbeat)
    recognizer = _recognizer(directory, device, plan)
    heartbeat()
    check = functools.partial(check_canary, name, recognizer, directory, plan.phrases[families.language_of(directory)])
    check()
    heartbeat()
    return Model(recognizer, check, families.of_recognizer(directory) in families.HOTWORDS)


def _recognizer(directory: Path, device: str, plan: WorkerPlan) -> Recognizer:
    from transcribed.recognition.models.paraformer import Paraformer
    from transcribed.recognition.models.sensevoice import SenseVoice

    family = SenseVoice if families.of_recognizer(directory) in families.SENSEVOICE else Paraformer
    return family(directory, device, plan.threads, plan.dtype)


def _punctuation(directory: Path, device: str, plan: WorkerPlan, heartbeat: Heartbeat) -> Punctuator:
    from transcribed.recognition.models.punctuation import Punctuation

    verify(directory, heartbeat)
    families.of_punctuation(directory)
    made = Punctuation(directory, device, plan.threads)
    heartbeat()
    return made


class _Canary(TypedDict):
    """A recording beside the model, and its words."""

    audio: str
    text: str


class _WithCanary(TypedDict):
    """The part of a model's manifest that names its canary."""

    canary: _Canary


def check_canary(name: str, recognizer: Recognizer, directory: Path, phrase: Path) -> None:
    """Raise Misconfigured unless a known phrase is recognized.

    A model's manifest.json may name its canary and the text expected of it.  Without one, `phrase`, plain speech, must
    give some text with at least MIN_CONFIDENCE: wrong weights or a broken device give none, or arbitrary text.
    """
    manifest = directory / MANIFEST
    found = documents.read(manifest, _WithCanary)
    canary = found["canary"] if found else None
    audio = directory / canary["audio"] if canary else phrase
    (heard,) = recognizer.recognize([_wave(audio)], Options(model=name, itn=False))
    if canary:
        wanted, known = repr(canary["text"]), heard.text == canary["text"]
    else:
        wanted, known = "confident words", bool(heard.text) and (heard.confidence or 0.0) >= MIN_CONFIDENCE
    if not known:
        raise Misconfigured(
            f"{name} does not recognize the test phrase: the result is {heard.text!r} instead of {wanted}.",
            "Check the model with `transcribed models verify`; if it is intact, check the device.",
        )


def _calibrated(
    models: Mapping[str, Model], memory: DeviceMemory, heartbeat: Heartbeat
) -> list[tuple[str, BatchMemorySample]]:
    """Measure how much device memory a few batches of each model need."""
    samples = []
    for name, model in models.items():
        for shape in CALIBRATION:
            samples.append((name, _taken(name, model.recognizer, memory, *shape)))
            heartbeat()
    return samples


def _taken(name: str, recognizer: Recognizer, memory: DeviceMemory, rows: int, seconds: float) -> BatchMemorySample:
    import numpy as np

    noise = np.random.default_rng(0).normal(0, 3000, int(seconds * SAMPLE_RATE)).astype(np.int16)
    memory.begin()
    recognizer.recognize([noise] * rows, Options(model=name))
    footprint = memory.footprint()
    assert footprint is not None, "a device without memory of its own needs no calibration"
    return BatchMemorySample(rows * seconds, seconds, footprint.peak - footprint.resting)


def _version(directories: Iterable[Path], device: str) -> str:
    """Return the version that memory use depends on; samples learned with another version do not count."""
    digest = hashlib.sha256()
    for directory in directories:
        for name in (MANIFEST, "config.yaml"):
            path = directory / name
            digest.update(path.read_bytes() if path.is_file() else b"")
    return f"{devices.versions(device)}, models {digest.hexdigest()[:12]}"


def _wave(path: Path) -> Samples:
    import numpy as np

    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").copy()  # torch warns if read-only
