"""Move the times of words to where they are heard: a recognizer knows in which frame it was sure of a word, not where
the word begins.

CTC's peaks lie anywhere in a word, for "seven" 0.3 s after it began.  The sound tells more: before the peak, and after
the word before, it is quiet where the word begins, or at least less loud.  All words of a batch at once.  Knows samples
and words; nothing of models but how late they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from transcribed.core.frames import HOP
from transcribed.core.types import SAMPLE_RATE, Hypothesis, Word

if TYPE_CHECKING:
    from transcribed.recognition.worker import Samples

Levels = npt.NDArray[np.float32]  # decibels per frame of 10 ms
Places = npt.NDArray[np.int64]  # frames

FRAME_SECONDS = HOP / SAMPLE_RATE
SLACK = 15  # frames before the end of the word before: recognizers end words too late, too
LONGEST_TAIL = 45  # frames after a last peak in which its word may end
AFTER = 10  # frames after a peak that still belong to its word
GAP_DECIBELS = 14.0  # below a word's level: what is softer is between words, however soft it is
RANGE_DECIBELS = 40.0  # softer parts of a word are not heard
FLAT_DECIBELS = 8.0  # if nothing before a peak is softer than its word by this, the sound does not tell
FLAT_FRAMES = 6  # then a word begins this much before its peak, as it does on average
RISE = 0.3  # share of the way up to its level at which a word begins


def with_times_heard(
    hypotheses: Sequence[Hypothesis], samples: Sequence[Samples], lag_seconds: float
) -> list[Hypothesis]:
    """Return the hypotheses with words that begin, and end, where they are heard in their int16 samples at 16 kHz.

    A word may begin up to `lag_seconds` before the time that the recognizer gives.
    """
    words = [word for hypothesis in hypotheses for word in hypothesis.words]
    if not words:
        return list(hypotheses)
    parts = [_levels(row) for row in samples]
    counts, sizes = np.array([len(h.words) for h in hypotheses]), np.array([len(part) for part in parts])
    begin, end = np.repeat(np.cumsum(sizes) - sizes, counts), np.repeat(np.cumsum(sizes), counts)
    told = np.array([(word.start, word.stop) for word in words]) / FRAME_SECONDS
    peaks, stops = np.minimum(begin[:, None] + np.rint(told).astype(np.int64), end[:, None] - 1).T
    spans = _heard(np.concatenate(parts), peaks, stops, begin, end, round(lag_seconds / FRAME_SECONDS))
    seconds = iter(((spans - begin[:, None]) * FRAME_SECONDS).round(3).tolist())
    return [replace(h, words=tuple(_timed(word, *next(seconds)) for word in h.words)) for h in hypotheses]


def _timed(word: Word, start: float, stop: float) -> Word:
    return Word(word.text, start, stop, word.confidence)


def _levels(samples: Samples) -> Levels:
    """Return the level of each frame, a little smoothed; at least one frame."""
    padded = np.zeros(max(1, -(-len(samples) // HOP)) * HOP, np.float32)
    padded[: len(samples)] = samples
    power = np.square(padded.reshape(-1, HOP)).mean(1) + 1.0
    power[1:-1] = (power[:-2] + 2 * power[1:-1] + power[2:]) / 4
    levels: Levels = 10 * np.log10(power)
    return levels


def _heard(levels: Levels, peaks: Places, stops: Places, begin: Places, end: Places, lag: int) -> Places:
    """Return the first frame of each word and the one behind it; int64 (words, 2).

    `peaks` and `stops` are the recognizer's; `begin` and `end` the frames of the segment that a word is in.
    """
    before = np.r_[-1, peaks[:-1]]  # words of the segment before are no limit: its frames all are before these
    earliest = np.maximum(begin, np.maximum(np.r_[0, stops[:-1]] - SLACK, before + 1))
    starts = _starts(levels, peaks, np.clip(earliest, peaks - lag, peaks), end, lag)
    latest = np.minimum(np.r_[starts[1:], end[-1]], end)
    return np.stack([starts, _stops(levels, np.maximum(peaks, np.minimum(stops, latest)), latest)], 1)


def _starts(levels: Levels, peaks: Places, earliest: Places, end: Places, lag: int) -> Places:
    """Return where each word begins: behind the first gap before its peak, or else behind what is least loud there.

    A second gap is more often one within the word, as in "meeting".
    """
    top = _windows(levels, peaks, -FLAT_FRAMES, AFTER, earliest, end, -np.inf).max(1, keepdims=True)
    window = _windows(levels, peaks, -lag, 1, earliest, end, np.inf)
    least = window.min(1, keepdims=True)
    quiet = window <= np.maximum(least, top - GAP_DECIBELS)
    gap = _first_run(quiet)
    deepest = np.where(gap, window, np.inf).argmin(1)
    floor = np.maximum(least, top - RANGE_DECIBELS)
    rises = (window >= floor + RISE * (top - floor)) & (np.arange(lag + 1) >= deepest[:, None])
    found = peaks - lag + np.where(rises.any(1), rises.argmax(1), lag)
    flat = (top - least < FLAT_DECIBELS)[:, 0]
    starts: Places = np.where(flat, np.maximum(earliest, peaks - FLAT_FRAMES), np.minimum(found, peaks))
    return starts


def _stops(levels: Levels, stops: Places, latest: Places) -> Places:
    """Return where each word ends: where it becomes soft after its last peak, or where the next one begins."""
    top = _windows(levels, stops, -AFTER, 1, stops - AFTER, latest, -np.inf).max(1, keepdims=True)
    soft = _windows(levels, stops, 0, LONGEST_TAIL, stops, latest, -np.inf) < top - GAP_DECIBELS
    ended: Places = np.minimum(stops + np.where(soft.any(1), soft.argmax(1), LONGEST_TAIL), latest)
    return ended


def _windows(
    levels: Levels, at: Places, first: int, stop: int, earliest: Places, end: Places, outside: float
) -> Levels:
    """Return the levels around each place; `outside` for those before `earliest` and from `end` on."""
    places = at[:, None] + np.arange(first, stop)
    inside = (places >= earliest[:, None]) & (places < end[:, None])
    found: Levels = np.where(inside, levels[places.clip(0, len(levels) - 1)], outside)
    return found


def _first_run(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return only the first run of true values in each row."""
    ended = (np.diff(flags, axis=1, prepend=False) & ~flags).cumsum(1)
    run: npt.NDArray[np.bool_] = flags & (ended == 0)
    return run
