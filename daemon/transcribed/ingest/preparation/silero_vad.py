"""Tell speech from other sounds by Silero VAD (github.com/snakers4/silero-vad, MIT licence), in NumPy alone.

The weights are those of the package `silero-vad` (tests/tools/silero_weights.py), whose own code needs torch; the
network is that of its `tinygrad_model.py`: a Fourier transform, four convolutions, an LSTM, and one number for each
window of 32 ms.  All but the LSTM is computed for a block of windows at once.  Knows samples; nothing of regions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from transcribed.core.frames import FRAME, HOP
from transcribed.ingest.preparation.segmentation import Flags, Levels, Pcm

Floats = npt.NDArray[np.float32]

WINDOW = 512  # samples, 32 ms
CONTEXT = 64  # samples before it that the network sees again
UNITS = 128  # of the LSTM
THRESHOLD = 0.5
_FOURIER, _STRIDE, _PAD = 256, 128, 64
_BINS = _FOURIER // 2 + 1
_STRIDES = (1, 2, 2, 1)  # of the convolutions


class SileroVad:
    def __init__(self, weights: Path) -> None:
        known = np.load(weights)
        self._fourier = np.ascontiguousarray(known["fourier"][:, 0].T)
        self._layers = [
            (_flat(known[f"conv{n}.weight"]), known[f"conv{n}.bias"], stride) for n, stride in enumerate(_STRIDES, 1)
        ]
        self._from_input = _gates(known["lstm.weight_ih"]).T
        self._from_hidden = np.ascontiguousarray(_gates(known["lstm.weight_hh"]).T)
        self._bias = _gates(known["lstm.bias_ih"] + known["lstm.bias_hh"])
        self._last, self._last_bias = known["last.weight"][0, :, 0], float(known["last.bias"][0])

    def begin(self, pcm: Pcm) -> _Pass:
        return _Pass(self, pcm)

    def probabilities(self, windows: Floats, state: tuple[Floats, Floats]) -> tuple[Floats, tuple[Floats, Floats]]:
        """Return the probability of speech in each window, float32 (windows,), and the state behind the last.

        `windows` is float32 (windows, CONTEXT + WINDOW) in [-1, 1]; a state is two of float32 (128,), zeros at first.
        """
        gates = self._encoded(windows) @ self._from_input + self._bias
        hidden, cell = state
        out = np.empty((len(windows), UNITS), np.float32)
        for number, gate in enumerate(gates):
            activations = np.tanh(gate + hidden @ self._from_hidden)
            entering, kept, leaving = (0.5 * activations[:-UNITS] + 0.5).reshape(3, UNITS)
            cell = kept * cell + entering * activations[-UNITS:]
            hidden = out[number] = leaving * np.tanh(cell)
        return _sigmoid(np.maximum(out, 0) @ self._last + self._last_bias), (hidden, cell)

    def _encoded(self, windows: Floats) -> Floats:
        """float32 (windows, 576) -> (windows, 128)."""
        padded = np.pad(windows, ((0, 0), (0, _PAD)), mode="reflect")
        pieces = np.lib.stride_tricks.sliding_window_view(padded, _FOURIER, axis=1)[:, ::_STRIDE]
        parts = pieces.reshape(-1, _FOURIER) @ self._fourier
        found: Floats = np.hypot(parts[:, :_BINS], parts[:, _BINS:]).reshape(len(windows), -1, _BINS)
        for weights, bias, stride in self._layers:
            found = _convolved(found, weights, bias, stride)
        return found[:, 0]


class _Pass:
    """One pass over an audio."""

    def __init__(self, network: SileroVad, pcm: Pcm) -> None:
        self._network, self._pcm = network, pcm
        self._state = np.zeros(UNITS, np.float32), np.zeros(UNITS, np.float32)
        self._known = np.zeros(0, np.float32)  # probabilities of the windows from `_first` on
        self._first = 0

    def listen(self, start: int, stop: int) -> tuple[Flags, Levels]:
        """Judge the frames from start to stop, each by the window in which its middle lies."""
        windows = (np.arange(start, stop) * HOP + FRAME // 2) // WINDOW
        self._advance(int(windows[0]), int(windows[-1]) + 1)
        return self._known[windows - self._first] >= THRESHOLD, self._levels(start, stop)

    def _advance(self, first: int, stop: int) -> None:
        """Know the probabilities of the windows from first to stop; those before are forgotten."""
        begin = self._first + len(self._known)
        samples = np.zeros(CONTEXT + (stop - begin) * WINDOW, np.float32)
        heard = self._pcm[max(0, begin * WINDOW - CONTEXT) : stop * WINDOW]
        at = CONTEXT if begin == 0 else 0
        np.divide(heard, 32768.0, out=samples[at : at + len(heard)], dtype=np.float32)
        view = np.lib.stride_tricks.sliding_window_view(samples, CONTEXT + WINDOW)[::WINDOW]
        found, self._state = self._network.probabilities(view, self._state)
        self._known = np.concatenate((self._known[first - self._first :], found))
        self._first = first

    def _levels(self, start: int, stop: int) -> Levels:
        """Return the log of each frame's mean power."""
        heard = np.asarray(self._pcm[start * HOP : (stop - 1) * HOP + FRAME], np.float64)
        sums = np.concatenate(([0.0], np.square(heard).cumsum()))
        places = np.arange(stop - start) * HOP
        levels: Levels = np.log(np.maximum(sums[places + FRAME] - sums[places], 1.0)).astype(np.float32)
        return levels


def _flat(weights: Floats) -> Floats:
    """Turn the weights of a convolution, (out, in, 3), into (3 * in, out)."""
    return weights.transpose(2, 1, 0).reshape(-1, len(weights))


def _convolved(frames: Floats, weights: Floats, bias: Floats, stride: int) -> Floats:
    """Convolve float32 (windows, frames, in) with (3 * in, out), zeros at both ends; then the rectifier."""
    padded = np.pad(frames, ((0, 0), (1, 1), (0, 0)))
    threes = np.concatenate((padded[:, :-2], padded[:, 1:-1], padded[:, 2:]), axis=2)[:, ::stride]
    found: Floats = np.maximum(threes.reshape(-1, threes.shape[2]) @ weights + bias, 0)
    return found.reshape(*threes.shape[:2], -1)


def _gates(weights: Floats) -> Floats:
    """Put the LSTM's gates, in PyTorch's order (input, forget, cell, output), so that one tanh serves all of them.

    Those with a sigmoid come first, halved: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.
    """
    entering, kept, new, leaving = np.split(weights, 4)
    return np.concatenate((entering / 2, kept / 2, leaving / 2, new))


def _sigmoid(numbers: Floats) -> Floats:
    out: Floats = np.reciprocal(1 + np.exp(-numbers))
    return out
