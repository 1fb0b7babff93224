"""Convert segments to the input of FunASR's encoders: padded, on the device, log-mel, low frame rate, normalized.

Knows samples and the settings of FunASR's WavFrontend; nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from transcribed.core.frames import FRAME, HOP, frames_in
from transcribed.core.types import SAMPLE_RATE
from transcribed.recognition.features import log_mel, stack

Samples = npt.NDArray[np.int16]

FULL_SCALE = 32768.0


class Frontend:
    def __init__(self, frontend: Any, device: torch.device) -> None:
        """`frontend` as built by FunASR from the model's config.yaml and am.mvn."""
        self._width, self._step = frontend.lfr_m, frontend.lfr_n
        self._shift, self._scale = frontend.cmvn.to(device)
        self._device = device
        self.seconds_per_frame: float = self._step * HOP / SAMPLE_RATE

    def __call__(self, samples: Sequence[Samples]) -> tuple[Tensor, list[int]]:
        """Convert int16 mono at 16 kHz to float32 (rows, frames, 80 * width) on the device, and each row's length."""
        lengths = torch.tensor([max(1, frames_in(len(x))) for x in samples], device=self._device)
        stacked, lengths = stack(log_mel(self._waveforms(samples)), lengths, self._width, self._step)
        return (stacked + self._shift) * self._scale, lengths.tolist()

    def _waveforms(self, samples: Sequence[Samples]) -> Tensor:
        """Return float32 (rows, samples) in [-1, 1) on the device, zero beyond each end."""
        longest = max(FRAME, *map(len, samples))
        padded = torch.empty(len(samples), longest, dtype=torch.int16, pin_memory=self._device.type == "cuda")
        for row, x in zip(padded, samples, strict=True):
            row[: len(x)] = torch.from_numpy(x)
            row[len(x) :] = 0
        return padded.to(self._device, non_blocking=True).float().div_(FULL_SCALE)
