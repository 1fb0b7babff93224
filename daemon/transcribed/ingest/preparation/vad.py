"""Detect speech in audio: turn what a network says of each frame into regions for a recognizer.

The network is fed in blocks, so that memory does not grow with length.  Knows samples; nothing of files, jobs or
recognizers, nor how a network comes to its judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from transcribed.core.frames import HOP, frames_in
from transcribed.ingest.preparation.segmentation import Flags, Levels, Pcm, Region, find_regions, merge, pad, split
from transcribed.recognition.model_store import SILERO_WEIGHTS

BLOCK_FRAMES = 1000  # 10 s at a time: the intermediate arrays, up to 2 MB each, stay in the processor's cache


@dataclass(frozen=True, slots=True)
class SpeechRegion:
    """A part of an audio to be recognized, in samples."""

    start: int
    stop: int
    speech_samples: int


class Listener(Protocol):
    """One pass of a network over 16 kHz mono int16 samples."""

    def listen(self, start: int, stop: int) -> tuple[Flags, Levels]:
        """Return, for each frame from start to stop, whether it is speech and how loud it is (a log of its energy).

        Called for one block after the other.
        """
        ...


class Vad:
    """A voice activity detector on the CPU.  Not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._begin = _network(directory)

    def detect(self, pcm: Pcm, heartbeat: Callable[[], None]) -> list[SpeechRegion]:
        """Return the regions of 16 kHz mono int16 samples to recognize.  Call `heartbeat` once per block."""
        total = frames_in(len(pcm))  # allocated at once: small arrays kept between large ones fragment memory
        speech, levels = np.zeros(total, np.bool_), np.zeros(total, np.float32)
        listener = self._begin(pcm)
        for start in range(0, total, BLOCK_FRAMES):
            stop = min(total, start + BLOCK_FRAMES)
            speech[start:stop], levels[start:stop] = listener.listen(start, stop)
            heartbeat()
        regions = split(merge(pad(find_regions(speech), total)), levels)
        return [_speech_region(region, speech, len(pcm)) for region in regions]


def _network(directory: Path) -> Callable[[Pcm], Listener]:
    """Load the network in a folder; only FSMN-VAD needs torch."""
    if (directory / SILERO_WEIGHTS).is_file():
        from transcribed.ingest.preparation.silero_vad import SileroVad

        return SileroVad(directory / SILERO_WEIGHTS).begin
    from transcribed.ingest.preparation.fsmn_vad import FsmnVad

    return FsmnVad(directory).begin


def _speech_region(region: Region, speech: Flags, samples: int) -> SpeechRegion:
    start, stop = region
    heard = int(speech[start:stop].sum()) * HOP
    return SpeechRegion(start * HOP, min(samples, stop * HOP), heard)
