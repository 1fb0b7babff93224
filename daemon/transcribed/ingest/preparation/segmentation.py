"""Decide where segments begin and end: turn frames flagged as speech into regions for a recognizer.  Pure.

All regions are counted in frames of 10 ms.  Knows flags and levels; nothing of the network they come from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]  # mono, 16 kHz
Flags = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.float32]
Region = tuple[int, int]  # frames of 10 ms, stop exclusive

WINDOW = 20  # frames; speech begins once 15 of the last 20 are speech, and ends once fewer are (FunASR's config.yaml)
ENOUGH = 15
BRIDGE = 70  # a shorter silence does not end a region: max_end_silence_time of 800 ms, less the delay of the window
LEAD, TAIL = 20, 15  # frames kept before and after a region, as far as the silence suffices for both sides
NEIGHBOUR = 120  # regions no further apart may share a segment ...
COMFORTABLE = 1000  # ... of at most 10 s
LONGEST = 3000  # 30 s, the longest segment
QUIET_SPAN = 20  # frames over which the quietest point is sought
DIP = np.log(10)  # 10 dB, in the log of a power: a cut at a point less quiet than this may go through a word ...
OVERLAP = 100  # ... so both sides get the frames around it


def find_regions(speech: Flags) -> list[Region]:
    """Find the regions where speech is dense, by a sliding window; short silences are bridged."""
    if not len(speech):
        return []
    counted = np.concatenate((np.zeros(WINDOW, np.int32), speech)).cumsum(dtype=np.int32)
    dense = counted[WINDOW:] - counted[:-WINDOW] >= ENOUGH
    edges = np.flatnonzero(np.diff(np.concatenate(([False], dense, [False])).astype(np.int8))).reshape(-1, 2)
    regions: list[Region] = []
    for start, stop in (edges - (ENOUGH - 1, WINDOW - ENOUGH)).tolist():  # corrects the lag of the window
        if regions and start - regions[-1][1] < BRIDGE:
            regions[-1] = (regions[-1][0], stop)
        else:
            regions.append((start, stop))
    return regions


def pad(regions: list[Region], frames: int) -> list[Region]:
    """Add a margin on both sides of each region; two that would overlap share the silence between them."""
    out: list[Region] = []
    for place, (start, stop) in enumerate(regions):
        before = regions[place - 1][1] if place else 0
        after = regions[place + 1][0] if place + 1 < len(regions) else frames
        out.append(
            (
                max(start - LEAD, (before + start) // 2 if place else 0),
                min(stop + TAIL, (stop + after) // 2 if place + 1 < len(regions) else frames),
            )
        )
    return out


def merge(regions: list[Region]) -> list[Region]:
    """Merge short neighbours into one segment: the recognizer gets more context, and fewer rows are padded."""
    out: list[Region] = []
    for start, stop in regions:
        if out and start - out[-1][1] <= NEIGHBOUR and stop - out[-1][0] <= COMFORTABLE:
            out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return out


def split(regions: list[Region], levels: Levels) -> list[Region]:
    """Split regions longer than LONGEST, at the quietest point in the second half of the allowed length.

    Where that is no pause, the two parts overlap by OVERLAP: output/overlap.py keeps each word once.
    """
    out: list[Region] = []
    for start, stop in regions:
        while stop - start > LONGEST:
            earliest, latest = start + LONGEST // 2, start + LONGEST - OVERLAP // 2
            at = earliest + quietest_point(levels[earliest:latest])
            half = 0 if _is_pause(levels, at, start, latest) else OVERLAP // 2
            out.append((start, at + half))
            start = at - half
        out.append((start, stop))
    return out


def _is_pause(levels: Levels, at: int, start: int, stop: int) -> bool:
    quiet = levels[at - QUIET_SPAN // 2 : at + QUIET_SPAN // 2].mean()
    return bool(np.median(levels[start:stop]) - quiet >= DIP)


def quietest_point(levels: Levels) -> int:
    """Return the middle of the QUIET_SPAN frames with the least energy."""
    sums = np.convolve(levels, np.ones(QUIET_SPAN, np.float32), "valid")
    return int(sums.argmin()) + QUIET_SPAN // 2
