"""Count the frames of 25 ms, one every 10 ms, in which sound is looked at by models.  Imports nothing of ours."""

from __future__ import annotations

FRAME = 400  # samples at 16 kHz, 25 ms
HOP = 160  # samples, 10 ms


def frames_in(samples: int) -> int:
    """Return how many whole frames fit; Kaldi's snip_edges (kaldi/src/feat/feature-window.cc)."""
    return max(0, 1 + (samples - FRAME) // HOP)
