"""Continuous integrate-and-fire: find the tokens in a row of frames, with their acoustic embeddings and start times.

Every frame has a weight; where their sum passes a whole number, a token is complete (Dong & Xu 2020, arXiv
1905.11235).  FunASR sums frame by frame, and lets frames beyond the end of a row contribute; here a batch is a few
tensor operations, with the weights of FunASR's predictors.  A test holds the results equal.  Knows tensors; nothing of
words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from transcribed.recognition.models.encoder import padding_of, without_plans

_FIRES = 1.0 - 1e-4  # FunASR's threshold for times
_EARLY = 1.5  # steps by which FunASR's times precede the fire (utils/timestamp_tools.py)


class Predictor:
    """FunASR's CifPredictorV2, or V3, which has finer weights for times in addition to those for tokens."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._fine = hasattr(module, "upsample_cnn")
        self.steps_per_frame: int = module.upsample_times if self._fine else 1

    def __call__(self, encoded: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Predict the tokens of float32 (rows, frames, size), of which `lengths` are valid.

        Return the acoustic embedding of each token, float32 (rows, tokens, size); the number of valid tokens, int64
        (rows); and the start of each, float32 (rows, tokens), in steps.  Raise FloatingPointError if weights are not
        finite.
        """
        with without_plans():
            hidden, weights = self.weights(encoded, lengths)
            sounds, counts = integrate(hidden, weights, self._module.tail_threshold)
        fine = self.fine_weights(hidden, lengths) if self._fine else weights
        return sounds, counts, fires(fine, counts, sounds.shape[1]).float() - _EARLY

    def weights(self, encoded: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the frames, zero beyond each end, and their weights: float32 (rows, frames, size), (rows, frames)."""
        module, hidden = self._module, _silenced(encoded, lengths)
        odds = torch.sigmoid(module.cif_output(self._context(hidden).transpose(1, 2))).squeeze(-1)
        return hidden, _silenced(torch.relu(odds * module.smooth_factor - module.noise_threshold), lengths)

    def fine_weights(self, hidden: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return the finer weights of frames that are zero beyond each end: float32 (rows, steps)."""
        module, ends = self._module, [n * self.steps_per_frame for n in lengths]
        with without_plans():
            context = self._context(hidden) if module.use_cif1_cnn else hidden.transpose(1, 2)
            steps = module.upsample_cnn(context).transpose(1, 2)
        if hasattr(module, "blstm"):  # packed, as its backward pass would start beyond the end
            packed = pack_padded_sequence(steps, torch.tensor(ends), batch_first=True, enforce_sorted=False)
            steps = pad_packed_sequence(module.blstm(packed)[0], batch_first=True)[0]
        odds = torch.sigmoid(module.cif_output2(steps)).squeeze(-1)
        return _silenced(torch.relu(odds * module.smooth_factor2 - module.noise_threshold2), ends)

    def _context(self, hidden: Tensor) -> Tensor:
        """Return float32 (rows, size, frames): each frame combined with its neighbours."""
        context: Tensor = torch.relu(self._module.cif_conv1d(self._module.pad(hidden.transpose(1, 2))))
        return context


def integrate(hidden: Tensor, weights: Tensor, tail: float) -> tuple[Tensor, Tensor]:
    """Integrate float32 (rows, frames, size) by weights (rows, frames) to tokens, float32 (rows, tokens, size).

    Also return how many tokens of each row are valid.  `tail` is added at the end, so that a nearly complete last token
    counts; if it is 0, half a token counts.
    """
    ends = _summed(weights)
    counts = (ends[:, -1] + (tail or 0.5)).floor().long()
    numbers = torch.arange(int(counts.max()), device=weights.device)[:, None]
    upto, before = ends.float()[:, None], (ends - weights).float()[:, None]
    shares = (upto - numbers).clamp(0, 1) - (before - numbers).clamp(0, 1)
    return torch.matmul(shares, hidden), counts


def fires(weights: Tensor, counts: Tensor, longest: int) -> Tensor:
    """Return where the sum of a row's weights, scaled to its count, passes 1, 2, ...: int64 (rows, longest)."""
    sums = _summed(weights)
    sums *= (counts / sums[:, -1].clamp_min(1e-9))[:, None]
    numbers = torch.arange(1, longest + 1, device=weights.device, dtype=torch.float64)
    return torch.searchsorted(sums, (numbers * _FIRES).expand(len(weights), -1).contiguous())


def _summed(weights: Tensor) -> Tensor:
    sums = weights.cumsum(1, dtype=torch.float64)
    if not torch.isfinite(sums[:, -1]).all():
        raise FloatingPointError("the model returned numbers that are not finite")
    return sums


def _silenced(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Zero the values beyond the end of each row; (rows, places, ...)."""
    padding = padding_of(values, lengths)
    if padding is None:
        return values
    return values.masked_fill(padding if values.dim() == 2 else padding[:, :, None], 0.0)
