"""What runs beside the device: batches in, hypotheses out, as many as there were segments.

Before it takes work it recognizes a known phrase, the canary.  Knows recognizers and the spool; nothing of jobs or
files.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from transcribed import sandbox
from transcribed.core import Batch, Hypotheses, Hypothesis, Options, Segment
from transcribed.errors import Misconfigured, OutOfMemory

if TYPE_CHECKING:  # the daemon imports this module, and must stay without numpy
    import numpy as np
    import numpy.typing as npt

Samples: TypeAlias = "npt.NDArray[np.float32]"


class Recognizer(Protocol):
    def recognize(self, samples: Sequence[Samples], options: Options) -> list[Hypothesis]: ...


class Worker:
    """Called with a batch and a function to beat with."""

    def __init__(self, recognizers: Mapping[str, Recognizer]) -> None:
        self._recognizers = recognizers

    def __call__(self, batch: Batch, beat: Callable[[], None]) -> Hypotheses:
        """Raises OutOfMemory if the device refuses the batch, and whatever else the recognizer raises."""
        samples = [read(segment) for segment in batch.segments]
        beat()
        hypotheses = self._recognize(self._recognizers[batch.options.model], samples, batch.options)
        if len(hypotheses) != len(samples):
            raise RuntimeError(f"{batch.options.model} gave {len(hypotheses)} answers for {len(samples)} segments")
        return tuple(hypotheses)

    def _recognize(self, recognizer: Recognizer, samples: list[Samples], options: Options) -> list[Hypothesis]:
        try:
            return recognizer.recognize(samples, options)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            sentence = str(error).splitlines()[0]
        raise OutOfMemory(
            f"The device has no room for {len(samples)} segments: {sentence}"
        )  # its tensors are gone by now


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host refused memory; PyTorch's CPU allocator says so by RuntimeError only."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


def read(segment: Segment) -> Samples:
    """The samples of a segment, from the spool: float32 in [-1, 1]."""
    import numpy as np

    pcm = np.memmap(segment.audio.path, dtype="<i2", mode="r")
    return pcm[segment.start : segment.stop].astype(np.float32) / 32768.0


def check_canary(name: str, recognizer: Recognizer, directory: Path, phrase: Path) -> None:
    """Raise Misconfigured unless a known phrase is recognized.

    A model's manifest.json may name its canary and what it must give.  Without one, `phrase`, plain English speech,
    must give some text: wrong weights or a broken device give none, or numbers that are not finite.
    """
    manifest = directory / "manifest.json"
    canary = json.loads(manifest.read_text()).get("canary") if manifest.is_file() else None
    audio = directory / canary["audio"] if canary else phrase
    (heard,) = recognizer.recognize([_wave(audio)], Options(model=name, itn=False))
    wanted = canary["text"] if canary else None
    if heard.text != wanted if wanted is not None else not heard.text:
        raise Misconfigured(
            f"{name} does not recognize the test phrase: it gave {heard.text!r} instead of {wanted or 'some words'!r}.",
            "Check the model with `transcribed models verify`; if it is whole, check the device.",
        )


def _wave(path: Path) -> Samples:
    import numpy as np

    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return pcm.astype(np.float32) / 32768.0


def worker(models: Mapping[str, Path], device: str, threads: int, phrase: Path, slot: str) -> Worker:
    """Built in the child: every model loaded, checked against its manifest and proven by its canary.  Raises
    Misconfigured.
    """
    if device == "cpu":
        sandbox.refuse_network()  # CUDA may want local sockets
    import torch

    from transcribed.models.sensevoice import SenseVoice
    from transcribed.store import verify

    torch.set_num_threads(threads)
    recognizers: dict[str, Recognizer] = {}
    for name, directory in models.items():
        verify(directory)
        recognizers[name] = SenseVoice(directory, device, threads)
        check_canary(name, recognizers[name], directory, phrase)
    return Worker(recognizers)
