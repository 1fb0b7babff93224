"""Where a part runs: a card, or the CPU for a rehearsal; with what model, on what sound, for how long.

Knows devices and folders; nothing of what is measured.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.gpu import works
from tests.gpu.findings import Finding, equal, told
from tests.gpu.gauge import Gauge
from tests.support.loop import Loop
from transcribed.core.events import BatchFailed
from transcribed.core.types import SAMPLE_RATE, Audio, Batch, Options, Segment
from transcribed.daemon import factories
from transcribed.pipeline.scheduling import slots
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits, is_cpu
from transcribed.pipeline.scheduling.gpu_policy import Policy
from transcribed.recognition import model_store, nvml, worker_factory

FOLDER = Path(os.environ.get("TRANSCRIBED_GPU_FOLDER", "build/gpu"))
MODEL = "sensevoice"
OPTIONS = Options(MODEL)
SOUND_SECONDS = 120
BATCH_SECONDS = 1.0  # as configured by default
REHEARSED_WAITING = 64

Make = Callable[..., object]  # called with a plan, a folder and the slot


def lacking() -> str | None:
    """Why nothing can be measured here; None where there is a card that PyTorch can use."""
    reading = nvml.CardMonitor()(frozenset(), lambda: None)
    if not reading.cards:
        return f"There is no NVIDIA card: {reading.trouble}"
    if not torch.backends.cuda.is_built():
        return f"This PyTorch, {torch.__version__}, was built without CUDA."
    return None


@dataclass(frozen=True)
class Place:
    slot: str = "cuda:0"
    folder: Path = FOLDER
    rounds: int = 50
    seconds: float = 480.0  # after which a part begins nothing new

    @property
    def is_card(self) -> bool:
        return not is_cpu(self.slot)

    @functools.cached_property
    def uuid(self) -> str:
        return nvml.uuid_of(self.slot) if self.is_card else "cpu"

    @functools.cached_property
    def sound(self) -> Audio:
        """Two minutes of fluent speech, spooled."""
        from tests.benchmarks.preparation import speech

        path = self.folder / "speech.pcm"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            (speech(SOUND_SECONDS).clip(-1, 1) * 32767).astype("<i2").tofile(new)
            new.rename(path)
        return Audio(path, path.stat().st_size // 2)

    def samples(self, seconds: float, count: int) -> list[np.ndarray]:
        """So many pieces of it, so long each: float32 in [-1, 1]."""
        pcm = np.fromfile(self.sound.path, "<i2").astype(np.float32) / 32768
        return list(np.resize(pcm, (count, int(seconds * SAMPLE_RATE))))

    @functools.cached_property
    def full_size(self) -> Path:
        """A model as large as the public one; in a rehearsal, the small one that is shipped."""
        if not self.is_card:
            return self.small
        from tests.benchmarks import full_size

        return full_size.build(self.folder / "models") / "sensevoice"

    @property
    def small(self) -> Path:
        return model_store.locate(model_store.DEMO, self.folder)

    def gauge(self) -> Gauge:
        return Gauge(self.uuid)

    @contextmanager
    def loop(
        self, model: Path, make: Make = works.telling, batch_seconds: float = BATCH_SECONDS, **options: Any
    ) -> Iterator[Loop]:
        """As the daemon builds it, around a worker that `make` makes."""
        plan = worker_factory.WorkerPlan({MODEL: model}, os.cpu_count() or 1, "auto", factories.PHRASES)
        admission = Admission(
            BatchLimits(factories.PADDED_SECONDS[self.is_card], batch_seconds),
            Policy,
            boot_bytes=slots.boot_bytes([model]),
        )
        loop = Loop(
            self.sound.path,
            functools.partial(make, plan, self.folder),
            admission,
            slot=self.slot,
            options=OPTIONS,
            max_segments=factories.MAX_SEGMENTS[self.is_card],
            patience=120.0,
            **options,
        )
        try:
            yield loop
        finally:
            loop.stop(grace=10.0)

    def facts(self) -> dict[str, str]:
        """What the last worker told of itself."""
        return works.facts(self.folder)

    def timer(self) -> Callable[[], bool]:
        """Whether there is time for more."""
        until = time.monotonic() + self.seconds
        return lambda: time.monotonic() < until


class Backlog:
    """Segments without end, each of them another, cut out of one sound; at least `waiting` of them always wait."""

    def __init__(self, place: Place, loop: Loop, waiting: int = 0, lengths: tuple[float, float] = (5.0, 10.0)) -> None:
        self.loop = loop
        self.given: list[Segment] = []
        self.dice = random.Random(0)
        self._sound = place.sound
        self._waiting = waiting if place.is_card else min(waiting, REHEARSED_WAITING)
        self._lengths = lengths

    def until(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """The loop goes on; fails after so many seconds."""

        def supplied() -> object:
            if len(self.loop.batcher) < self._waiting:
                self.add(self._waiting)
            return condition()

        self.loop.until(supplied, seconds)

    def run(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= over, seconds + 60)

    def pass_batches(self, count: int) -> None:
        wanted = len(self.loop.batches()) + count
        self.until(lambda: len(self.loop.batches()) >= wanted)

    def end(self) -> None:
        """Nothing is added any more, and all is answered."""
        self.loop.until(lambda: len(self.loop.answers) == len(self.given), 300)

    def add(self, count: int) -> None:
        self.loop.batcher.add(OPTIONS, [self._segment(self.dice.uniform(*self._lengths)) for _ in range(count)])

    def batch(self, rows: int, longest_seconds: float) -> Batch:
        """One row is the longest, the others are anything up to it."""
        shorter = (self.dice.uniform(min(0.3, longest_seconds), longest_seconds) for _ in range(rows - 1))
        return Batch(OPTIONS, tuple(self._segment(seconds) for seconds in (longest_seconds, *shorter)))

    def judged(self) -> list[Finding]:
        answers = self.loop.answers
        return [
            told("segments", len(self.given)),
            equal("... that were not answered", sum(answers[segment] == 0 for segment in self.given), 0),
            equal("... that were answered twice", sum(count > 1 for count in answers.values()), 0),
        ]

    def failures(self, *expected: type[Exception]) -> list[Finding]:
        """Of batches, apart from what was to be expected."""
        errors = [event.error for event in self.loop.of(BatchFailed) if not isinstance(event.error, expected)]
        first = [told("... the first of them", f"{type(errors[0]).__name__}: {errors[0]}")] if errors else []
        return [equal("failures of another kind", len(errors), 0), *first]

    def _segment(self, seconds: float) -> Segment:
        samples = min(int(seconds * SAMPLE_RATE), self._sound.samples)
        start = self.dice.randint(0, self._sound.samples - samples)
        self.given.append(Segment(len(self.given), 0, self._sound, start, start + samples, samples))
        return self.given[-1]
