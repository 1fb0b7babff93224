"""Compute log-mel features of a batch of waveforms, and low frame rate stacking, as FunASR's front ends do.

Kaldi's fbank (Hamming window of 25 ms every 10 ms, DC removed, pre-emphasis 0.97, no dither, 80 mel bands from 20 Hz
to 8 kHz; kaldi/src/feat/feature-fbank.cc, mel-computations.cc) as whole-tensor operations: it runs on any device and
for many segments at once.  A test holds it equal to FunASR's own.  Knows nothing of models.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from transcribed.core.frames import FRAME, HOP
from transcribed.core.types import SAMPLE_RATE

BANDS = 80
_FFT = 512
_PART = 128 * SAMPLE_RATE  # samples at a time: a second of audio takes 0.6 MB in between, and 0.03 MB afterwards
_PREEMPHASIS = 0.97
_SCALE = 32768.0  # Kaldi works on 16-bit integers
_FLOOR = torch.finfo(torch.float32).eps


def log_mel(waveforms: Tensor) -> Tensor:
    """Compute float32 (batch, frames, 80) from float32 (batch, samples) in [-1, 1], of at least 400 samples."""
    parts = torch.split(waveforms, max(1, _PART // waveforms.shape[1]))
    return torch.cat([_log_mel(part) for part in parts]) if len(parts) > 1 else _log_mel(waveforms)


def _log_mel(waveforms: Tensor) -> Tensor:
    """Compute features in place where possible: on a CPU a fresh page costs more than the arithmetic on it."""
    window, mel = _tables(waveforms.device)
    frames = waveforms.unfold(1, FRAME, HOP) * _SCALE
    frames -= frames.mean(-1, keepdim=True)
    padded = frames.new_zeros(*frames.shape[:2], _FFT)
    sharp = padded[..., :FRAME]
    torch.sub(frames[..., 1:], frames[..., :-1], alpha=_PREEMPHASIS, out=sharp[..., 1:])
    torch.mul(frames[..., 0], 1 - _PREEMPHASIS, out=sharp[..., 0])
    sharp *= window
    squares = torch.view_as_real(torch.fft.rfft(padded)).flatten(-2).square_()
    return torch.matmul(squares, mel).clamp_min_(_FLOOR).log_()


def stack(frames: Tensor, lengths: Tensor, width: int, step: int) -> tuple[Tensor, Tensor]:
    """Lower the frame rate: every `step` frames, `width` neighbours side by side, edges repeated.

    float32 (batch, frames, 80), int64 (batch,) -> float32 (batch, frames / step, 80 * width), zero beyond each
    length, and the new lengths.  FunASR's `apply_lfr` (frontends/wav_frontend.py).
    """
    stacked = (lengths + step - 1) // step
    count = int(stacked.max())
    device = frames.device
    places = torch.arange(count, device=device)[:, None] * step + torch.arange(width, device=device) - (width - 1) // 2
    places = places.clamp_min(0)[None].minimum((lengths - 1)[:, None, None])
    rows = torch.arange(len(lengths), device=device)[:, None, None]
    out = frames[rows, places].flatten(2)
    out *= (torch.arange(count, device=device) < stacked[:, None])[..., None]
    return out, stacked


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    turns = torch.arange(FRAME, dtype=torch.float64) / (FRAME - 1)
    window = 0.54 - 0.46 * torch.cos(2 * math.pi * turns)
    filters = _mel_filters().repeat_interleave(2, 0)  # one for the real part's square and one for the imaginary's
    return window.float().to(device), filters.float().to(device)


def _mel_filters() -> Tensor:
    """Return float64 (257, 80): triangles evenly spaced on the mel scale, without the highest bin, as in Kaldi."""
    low, high = _mel(20.0), _mel(SAMPLE_RATE / 2)
    edges = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)
    bins = torch.tensor([_mel(SAMPLE_RATE / _FFT * i) for i in range(_FFT // 2)], dtype=torch.float64)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.cat((torch.minimum(rising, falling).clamp_min(0), torch.zeros(1, BANDS, dtype=torch.float64)))


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
