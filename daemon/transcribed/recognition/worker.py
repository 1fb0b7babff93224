"""Recognize batches on the device: as many hypotheses as segments, punctuated on request.

A known phrase, the canary, is recognized every hour and when an answer looks wrong, and once before a worker takes
work (worker_factory.py).  Knows recognizers, the device's memory and the spool; nothing of jobs or files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from transcribed.core.errors import AudioLost, DeviceFaulty, DeviceLost, MemoryShortage, OutOfMemory
from transcribed.core.telemetry import WorkerProfile
from transcribed.core.types import Assignment, Hypothesis, Options, Recognition, ReleaseMemory, Segment
from transcribed.recognition import device as devices
from transcribed.recognition.device import DeviceMemory
from transcribed.recognition.hotwords.corrector import correct

if TYPE_CHECKING:  # the daemon imports this module, and must not load numpy
    import numpy as np
    import numpy.typing as npt

Samples: TypeAlias = "npt.NDArray[np.int16]"

CANARY_SECONDS = 3600.0


class Recognizer(Protocol):
    dtype: str
    word_lag_seconds: float  # a word may begin this much before the time that is given for it

    def recognize(self, samples: Sequence[Samples], options: Options) -> list[Hypothesis]: ...


class Punctuator(Protocol):
    def punctuate(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]: ...


@dataclass(frozen=True, slots=True)
class Model:
    recognizer: Recognizer
    check: Callable[[], None]  # raises Misconfigured unless its canary is recognized
    takes_hotwords: bool = False  # natively; otherwise text that sounds like a hotword is replaced


class Worker:
    """The worker: called with the result of `fetch` for a request, and a function that sends a heartbeat."""

    def __init__(
        self,
        models: Mapping[str, Model],
        memory: DeviceMemory,
        profile: WorkerProfile,
        clock: Callable[[], float] = time.monotonic,
        punctuation: Mapping[str, Punctuator] | None = None,
    ) -> None:
        self.profile = profile
        self._models = models
        self._punctuation = punctuation or {}
        self._memory = memory
        self._clock = clock
        self._checked_at = clock()

    def fetch(self, request: Assignment | ReleaseMemory) -> tuple[Assignment | ReleaseMemory, list[Samples]]:
        """Read a request's audio from the spool; called from another thread while the previous batch is recognized.

        Raise AudioLost if it cannot be read.
        """
        if isinstance(request, ReleaseMemory):
            return request, []
        try:
            return request, [read(segment) for segment in request.batch.segments]
        except (OSError, EOFError) as error:
            raise AudioLost(f"The prepared audio cannot be read: {error}.", "Check the disk of the spool.") from error

    def __call__(
        self, fetched: tuple[Assignment | ReleaseMemory, list[Samples]], heartbeat: Callable[[], None]
    ) -> Recognition:
        """Recognize a batch, or release memory.

        Raise OutOfMemory if the device has no memory for the batch, MemoryShortage if it is not tried, DeviceLost or
        DeviceFaulty if this process has become useless, and any other error of the recognizer.
        """
        request, samples = fetched
        if isinstance(request, ReleaseMemory):
            self._memory.release()
            return Recognition((), 0.0, self._memory.footprint())
        if self._clock() - self._checked_at >= CANARY_SECONDS:
            self._check()
        heartbeat()
        self._admit(request)
        self._memory.begin()
        started = self._clock()
        hypotheses = self._recognize(samples, request.batch.options)
        return self._answer(hypotheses, self._clock() - started, request.reserve_bytes)

    def _admit(self, request: Assignment) -> None:
        """Raise MemoryShortage if others have taken memory since the batch was admitted."""
        if self._memory.spare_bytes() < request.need_bytes + request.reserve_bytes:
            self._memory.release()
            raise MemoryShortage("Other processes have taken the memory for this batch.")

    def _answer(self, hypotheses: list[Hypothesis], seconds: float, reserve_bytes: int) -> Recognition:
        footprint = self._memory.footprint()
        if footprint and footprint.free < reserve_bytes and footprint.reserved > footprint.resting:
            self._memory.release()
            kept = self._memory.footprint() or footprint
            footprint = replace(kept, peak=footprint.peak)
        return Recognition(tuple(hypotheses), seconds, footprint)

    def _recognize(self, samples: list[Samples], options: Options) -> list[Hypothesis]:
        from transcribed.recognition.word_times import with_times_heard  # here: it imports numpy

        try:
            model = self._models[options.model]
            wished = replace(options, hotwords=()) if model.takes_hotwords else options
            found = model.recognizer.recognize(samples, options)
            found = with_times_heard(found, samples, model.recognizer.word_lag_seconds)
            if options.punctuation:  # before corrections: a mark in one is none of the recognizer's
                found = self._punctuation[options.punctuation].punctuate(found)
            hypotheses = [correct(hypothesis, wished) for hypothesis in found]
        except Exception as error:
            failure = error.with_traceback(None)  # its frames would keep tensors alive
        else:
            if len(hypotheses) == len(samples):
                return hypotheses
            failure = RuntimeError(f"{options.model} returned {len(hypotheses)} answers for {len(samples)} segments")
        sentence = (str(failure) or type(failure).__name__).splitlines()[0]
        if devices.is_out_of_memory(failure):
            self._memory.release()
            raise OutOfMemory(f"The device has no memory for {len(samples)} segments: {sentence}")
        if devices.is_lost(failure):
            raise DeviceLost(f"The device failed: {sentence}")
        self._check()  # finds out whether only this batch fails, or everything
        raise failure

    def _check(self) -> None:
        """Raise DeviceFaulty unless every canary is still recognized."""
        try:
            for model in self._models.values():
                model.check()
        except Exception as error:
            if devices.is_out_of_memory(error):
                raise MemoryShortage("Other processes have taken the memory for the test phrase.") from None
            raise DeviceFaulty(f"The device no longer gives correct results: {error}") from None
        self._checked_at = self._clock()


def read(segment: Segment) -> Samples:
    """Read the samples of a segment from the spool.  Raise EOFError if some are missing."""
    import numpy as np

    samples = np.fromfile(segment.audio.path, "<i2", segment.stop - segment.start, offset=2 * segment.start)
    if len(samples) != segment.stop - segment.start:
        raise EOFError("the audio in the spool is incomplete")
    return samples
