"""Join segments that overlap, where speech had to be cut without a pause, so that each word is kept once.  Pure.

A word belongs to the side of the cut on which its middle lies.  The two sides may time it a little differently: one
that both would keep is dropped once, and one that neither would is kept.  Knows utterances; nothing of segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from transcribed.core.types import Utterance, Word
from transcribed.output.utterance_part import bare, part_of

SAME_SECONDS = 0.3  # at most, between the middles of a word as both sides time it
ONE_SECONDS = 0.1  # nearer than this it is one word, which the two sides have understood differently


def join_overlapping(utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
    """Return the utterances without what two neighbours of one speaker have both heard.

    They are in order of time for each speaker.  Those without words, or without times for them, stay as they are.
    """
    joined: list[Utterance] = []
    for utterance in utterances:
        before = joined[-1] if joined else None
        if before and before.speaker == utterance.speaker and utterance.start < before.stop:
            joined[-1:] = _apart(before, utterance)
        else:
            joined.append(utterance)
    return tuple(joined)


def _apart(first: Utterance, second: Utterance) -> tuple[Utterance, Utterance]:
    if not first.hypothesis.words or not second.hypothesis.words:
        return first, second
    cut = (second.start + first.stop) / 2
    left, right = _divided(first.hypothesis.words, second.hypothesis.words, cut)
    return _kept(first, left, first.start, cut), _kept(second, right, cut, second.stop)


def _divided(first: Sequence[Word], second: Sequence[Word], cut: float) -> tuple[Sequence[Word], Sequence[Word]]:
    """Return the words of both sides that count."""
    left = [word for word in first if _middle(word) < cut]
    right = [word for word in second if _middle(word) >= cut]
    left_out, left_out_before = first[len(left) :], second[: len(second) - len(right)]
    if left and right and _is_same(left[-1], right[0]):
        right = right[1:]
    elif left_out and left_out_before and _is_same(left_out[0], left_out_before[-1]):
        left = [*left, left_out[0]]
    return left, right


def _middle(word: Word) -> float:
    return (word.start + word.stop) / 2


def _is_same(one: Word, other: Word) -> bool:
    apart = abs(_middle(one) - _middle(other))
    return apart < (SAME_SECONDS if bare(one.text) == bare(other.text) else ONE_SECONDS)


def _kept(utterance: Utterance, words: Sequence[Word], start: float, stop: float) -> Utterance:
    """Return the utterance with these words only, within these times; its sound events stay."""
    heard = utterance.hypothesis
    if not words:
        heard = replace(heard, text="", words=())
    elif len(words) < len(heard.words):
        heard = replace(part_of(utterance, words).hypothesis, events=heard.events)
    return replace(utterance, start=round(start, 3), stop=round(stop, 3), hypothesis=heard)
