"""Tell speech from other sounds by FSMN-VAD: the network and its weights are FunASR's.

Its posteriors are interpreted here, with the model's own thresholds.  Knows samples; nothing of regions.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transcribed.core.frames import FRAME, HOP, frames_in
from transcribed.ingest.preparation.segmentation import Flags, Levels, Pcm
from transcribed.recognition.features import BANDS, log_mel
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.precision import fast_products

ROUND_FRAMES = 100


class FsmnVad:
    def __init__(self, directory: Path) -> None:
        torch.set_num_threads(1)  # one core per preparing process
        model, kwargs = load(directory, "cpu", threads=1)
        self.encoder = model.encoder
        self.shift, self.scale = kwargs["frontend"].cmvn
        self.width = int(kwargs["frontend_conf"]["lfr_m"])
        options = model.vad_opts
        self.silence_ids = list(options.sil_pdf_ids)
        self.speech_margin = float(options.speech_noise_thres)

    def begin(self, pcm: Pcm) -> _Pass:
        return _Pass(self, pcm)


class _Pass:
    """One pass over an audio; the network keeps its state in a cache."""

    def __init__(self, network: FsmnVad, pcm: Pcm) -> None:
        self._network, self._pcm = network, pcm
        self._cache: dict[str, Any] = {}

    def listen(self, start: int, stop: int) -> tuple[Flags, Levels]:
        """Judge the frames from start to stop; levels are means of log energies.

        The network sees each frame between its neighbours, those at the ends of the audio repeated, as FunASR's
        `apply_lfr` does.  Everything is computed for a round number of frames, because oneDNN compiles anew for every
        new shape.
        """
        net = self._network
        side = net.width // 2
        first, last = max(0, start - side), min(frames_in(len(self._pcm)), stop + side)
        count = math.ceil((stop - start) / ROUND_FRAMES) * ROUND_FRAMES + 2 * side
        with torch.inference_mode(), fast_products(torch.device("cpu"), torch.float32):
            mel = _log_mel(self._pcm, first, last, count)
            rows = torch.arange(start - side, start - side + count).clamp_(first, last - 1) - first
            wide = mel[rows].flatten().unfold(0, net.width * BANDS, BANDS)
            scores = net.encoder(((wide + net.shift) * net.scale)[None], self._cache)[0, : stop - start]
        silence = scores[:, net.silence_ids].sum(-1).numpy()
        return (1.0 - silence) >= silence + net.speech_margin, mel[start - first : stop - first].mean(-1).numpy()


def _log_mel(pcm: Pcm, first: int, last: int, count: int) -> Any:
    """Return float32 (count, 80): the frames from first to last, followed by silence."""
    samples = np.zeros((1, (count - 1) * HOP + FRAME), np.float32)
    heard = pcm[first * HOP : (last - 1) * HOP + FRAME]
    np.divide(heard, 32768.0, out=samples[0, : len(heard)], dtype=np.float32)
    return log_mel(torch.from_numpy(samples))[0]
