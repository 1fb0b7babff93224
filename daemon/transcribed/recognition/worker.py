"""What runs beside the device: batches in, hypotheses out, as many as there were segments, with marks where wanted.

A known phrase, the canary, is recognized every hour and when an answer looks wrong; and once before a worker takes
work (worker_factory.py).  Knows recognizers, the device's memory and the spool; nothing of jobs or files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from transcribed.core.errors import DeviceFaulty, DeviceLost, MemoryShortage, OutOfMemory
from transcribed.core.telemetry import WorkerProfile
from transcribed.core.types import Assignment, Hypothesis, Options, Recognition, ReleaseMemory, Segment
from transcribed.recognition import device as devices
from transcribed.recognition.device import DeviceMemory
from transcribed.recognition.hotwords.corrector import correct

if TYPE_CHECKING:  # the daemon imports this module, and must stay without numpy
    import numpy as np
    import numpy.typing as npt

Samples: TypeAlias = "npt.NDArray[np.int16]"

CANARY_SECONDS = 3600.0


class Recognizer(Protocol):
    dtype: str

    def recognize(self, samples: Sequence[Samples], options: Options) -> list[Hypothesis]: ...


class Punctuator(Protocol):
    def punctuate(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]: ...


@dataclass(frozen=True, slots=True)
class Model:
    recognizer: Recognizer
    check: Callable[[], None]  # raises Misconfigured unless its canary is recognized
    takes_hotwords: bool = False  # it can be told what to expect; else what sounds like a hotword is replaced by it


class Worker:
    """Called with what `fetch` made of a request, and a function to beat with."""

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
        """Reads the spool; called from another thread, while the batch before is recognized."""
        return request, [read(s) for s in request.batch.segments] if isinstance(request, Assignment) else []

    def __call__(
        self, fetched: tuple[Assignment | ReleaseMemory, list[Samples]], heartbeat: Callable[[], None]
    ) -> Recognition:
        """Raises OutOfMemory if the device refuses the batch, MemoryShortage if it is not tried, DeviceLost or
        DeviceFaulty if this process is of no use any more, and whatever else the recognizer raises.
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
        """Memory may have been taken by others since the batch was admitted."""
        if self._memory.spare_bytes() < request.need_bytes + request.reserve_bytes:
            self._memory.release()
            raise MemoryShortage("Others have taken the memory that this batch was to use.")

    def _answer(self, hypotheses: list[Hypothesis], seconds: float, reserve_bytes: int) -> Recognition:
        footprint = self._memory.footprint()
        if footprint and footprint.free < reserve_bytes and footprint.reserved > footprint.resting:
            self._memory.release()
            kept = self._memory.footprint() or footprint
            footprint = replace(kept, peak=footprint.peak)
        return Recognition(tuple(hypotheses), seconds, footprint)

    def _recognize(self, samples: list[Samples], options: Options) -> list[Hypothesis]:
        try:
            model = self._models[options.model]
            wished = replace(options, hotwords=()) if model.takes_hotwords else options
            hypotheses = [correct(h, wished) for h in model.recognizer.recognize(samples, options)]
            if options.punctuation:
                hypotheses = self._punctuation[options.punctuation].punctuate(hypotheses)
        except Exception as error:
            failure = error.with_traceback(None)  # with its frames, tensors would be kept
        else:
            if len(hypotheses) == len(samples):
                return hypotheses
            failure = RuntimeError(f"{options.model} gave {len(hypotheses)} answers for {len(samples)} segments")
        sentence = (str(failure) or type(failure).__name__).splitlines()[0]
        if devices.is_out_of_memory(failure):
            self._memory.release()
            raise OutOfMemory(f"The device has no room for {len(samples)} segments: {sentence}")
        if devices.is_lost(failure):
            raise DeviceLost(f"The device failed: {sentence}")
        self._check()  # is it the batch, or everything?
        raise failure

    def _check(self) -> None:
        """Raise DeviceFaulty unless every canary is recognized still."""
        try:
            for model in self._models.values():
                model.check()
        except Exception as error:
            if devices.is_out_of_memory(error):
                raise MemoryShortage("Others have taken the memory that the test phrase was to use.") from None
            raise DeviceFaulty(f"The device does not give right answers any more: {error}") from None
        self._checked_at = self._clock()


def read(segment: Segment) -> Samples:
    """The samples of a segment, from the spool.  Raises EOFError where they are not all there."""
    import numpy as np

    samples = np.fromfile(segment.audio.path, "<i2", segment.stop - segment.start, offset=2 * segment.start)
    if len(samples) != segment.stop - segment.start:
        raise EOFError("the spooled audio is shorter than it was")
    return samples
