"""Detect speech in audio: turn FSMN-VAD's posteriors into regions for a recognizer.

The network and its weights are FunASR's; it is fed in blocks, so that memory does not grow with length.  Its posteriors
are interpreted here, with the model's own thresholds.  Knows samples; nothing of files, jobs or recognizers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transcribed.ingest.preparation.segmentation import Flags, Levels, Region, find_regions, merge, pad, split

Pcm = npt.NDArray[np.int16]

FRAME_SAMPLES = 160
BLOCK_FRAMES = 1000  # 10 s at a time: the intermediate arrays, up to 2 MB each, stay in the processor's cache
ROUND_FRAMES = 100


@dataclass(frozen=True, slots=True)
class SpeechRegion:
    """A part of an audio to be recognized, in samples."""

    start: int
    stop: int
    speech_samples: int


class Vad:
    """FSMN-VAD on the CPU.  Not thread-safe."""

    def __init__(self, directory: Path) -> None:
        import torch

        from transcribed.recognition.models.loading import load

        torch.set_num_threads(1)  # one core per preparing process
        model, kwargs = load(directory, "cpu", threads=1)
        self._encoder = model.encoder
        self._shift, self._scale = kwargs["frontend"].cmvn
        self._width = int(kwargs["frontend_conf"]["lfr_m"])
        options = model.vad_opts
        self._silence_ids = list(options.sil_pdf_ids)
        self._speech_margin = float(options.speech_noise_thres)

    def detect(self, pcm: Pcm, heartbeat: Callable[[], None]) -> list[SpeechRegion]:
        """Return the regions of 16 kHz mono int16 samples to recognize.  Call `heartbeat` once per block."""
        from transcribed.recognition.features import frames_in

        total = frames_in(len(pcm))  # allocated at once: small arrays kept between large ones fragment memory
        speech, levels = np.zeros(total, np.bool_), np.zeros(total, np.float32)
        cache: dict[str, Any] = {}
        for start in range(0, total, BLOCK_FRAMES):
            stop = min(total, start + BLOCK_FRAMES)
            speech[start:stop], levels[start:stop] = self._block(pcm, start, stop, cache)
            heartbeat()
        regions = split(merge(pad(find_regions(speech), total)), levels)
        return [_speech_region(region, speech, len(pcm)) for region in regions]

    def _block(self, pcm: Pcm, start: int, stop: int, cache: dict[str, Any]) -> tuple[Flags, Levels]:
        """Return, for each frame from start to stop, whether it is speech and how loud it is (mean log energy).

        The network keeps its state in `cache`.  It sees each frame between its neighbours, those at the ends of the
        audio repeated, as FunASR's `apply_lfr` does.  Everything is computed for a round number of frames, because
        oneDNN compiles anew for every new shape.
        """
        import torch

        from transcribed.recognition.features import BANDS, frames_in
        from transcribed.recognition.models.precision import fast_products

        side = self._width // 2
        first, last = max(0, start - side), min(frames_in(len(pcm)), stop + side)
        count = math.ceil((stop - start) / ROUND_FRAMES) * ROUND_FRAMES + 2 * side
        with torch.inference_mode(), fast_products(torch.device("cpu"), torch.float32):
            mel = _log_mel(pcm, first, last, count)
            rows = torch.arange(start - side, start - side + count).clamp_(first, last - 1) - first
            wide = mel[rows].flatten().unfold(0, self._width * BANDS, BANDS)
            scores = self._encoder(((wide + self._shift) * self._scale)[None], cache)[0, : stop - start]
        silence = scores[:, self._silence_ids].sum(-1).numpy()
        return (1.0 - silence) >= silence + self._speech_margin, mel[start - first : stop - first].mean(-1).numpy()


def _log_mel(pcm: Pcm, first: int, last: int, count: int) -> Any:
    """Return float32 (count, 80): the frames from first to last, followed by silence."""
    import torch

    from transcribed.recognition.features import FRAME, HOP, log_mel

    samples = np.zeros((1, (count - 1) * HOP + FRAME), np.float32)
    heard = pcm[first * HOP : (last - 1) * HOP + FRAME]
    np.divide(heard, 32768.0, out=samples[0, : len(heard)], dtype=np.float32)
    return log_mel(torch.from_numpy(samples))[0]


# --- decisions: pure, in frames --------------------------------------------------------------------


def _speech_region(region: Region, speech: Flags, samples: int) -> SpeechRegion:
    start, stop = region
    heard = int(speech[start:stop].sum()) * FRAME_SAMPLES
    return SpeechRegion(start * FRAME_SAMPLES, min(samples, stop * FRAME_SAMPLES), heard)
