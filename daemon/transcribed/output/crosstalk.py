"""Merge channels that were recognized separately into one conversation, in order of time, each word once.  Pure.

One party's speech leaks into the other's channel, through handsets and hybrids: the same words at the same time, but
quieter.  Knows utterances and the levels of channels; nothing of segments, files or formats.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from transcribed.core.loudness import level
from transcribed.core.types import Utterance, Word
from transcribed.output.utterance_part import bare, part_of

SAME_SECONDS = 0.3  # greatest distance between occurrences of one word in two channels
LEAK_DECIBELS = 10.0  # a leak is quieter by at least this; two people who say the same are about equally loud
LEAK_WORDS = 3  # in a row, at least: people who speak at once may share a word, one of them more quietly ...
FAINT_DECIBELS = 20.0  # ... but hardly by this much: then fewer words are a leak too, if they are a whole utterance
TURN_SECONDS = 0.3  # a pause in which another speaker may have had a word

Heard = tuple[float, float, str]  # start, stop, speaker


def merge_channels(utterances: Iterable[Utterance], levels: Mapping[str, bytes]) -> tuple[Utterance, ...]:
    """Return the utterances in order of time.  `levels` are those of loudness.py, by speaker.

    Leaks are dropped; an utterance is split at pauses in which someone else speaks.
    """
    spoken = list(utterances)
    places = _places(spoken)
    kept = [u for utterance in spoken if (u := _drop_crosstalk(utterance, places, levels))]
    starts = _starts(kept)
    turns = [turn for utterance in kept for turn in _turns(utterance, starts)]
    return tuple(sorted(turns, key=lambda u: (u.start, u.stop)))


def _places(utterances: Iterable[Utterance]) -> dict[str, list[Heard]]:
    """Return the occurrences of each word, in order of time."""
    places: dict[str, list[Heard]] = defaultdict(list)
    for utterance in utterances:
        for word in _words(utterance):
            places[bare(word.text)].append((word.start, word.stop, utterance.speaker or ""))
    for heard in places.values():
        heard.sort()
    return places


def _words(utterance: Utterance) -> tuple[Word, ...]:
    """Return the words with times; if there are none, the whole text counts as one word."""
    heard = utterance.hypothesis
    if heard.words or not heard.text:
        return heard.words
    return (Word(heard.text, utterance.start, utterance.stop, heard.confidence or 0.0),)


def _drop_crosstalk(
    utterance: Utterance, places: Mapping[str, Sequence[Heard]], levels: Mapping[str, bytes]
) -> Utterance | None:
    words = _words(utterance)
    quieter = [_quieter_by(word, utterance.speaker or "", places, levels) for word in words]
    if words and min(quieter) >= FAINT_DECIBELS:
        return None
    own = []
    for leaks, run in groupby(zip(words, quieter, strict=True), key=lambda pair: pair[1] >= LEAK_DECIBELS):
        spoken = [word for word, _ in run]
        own += [] if leaks and len(spoken) >= LEAK_WORDS else spoken
    if len(own) == len(words):
        return utterance
    return part_of(utterance, own) if own else None


def _quieter_by(word: Word, speaker: str, places: Mapping[str, Sequence[Heard]], levels: Mapping[str, bytes]) -> float:
    """Return by how many decibels a word is quieter than its occurrence in another channel; 0 if there is none."""
    spelled = bare(word.text)
    if not spelled:
        return 0.0
    heard = places[spelled]
    near = heard[
        bisect_left(heard, (word.start - SAME_SECONDS,)) : bisect_right(
            heard, (word.start + SAME_SECONDS, float("inf"))
        )
    ]
    others = [(start, stop, other) for start, stop, other in near if other != speaker]
    if not others:
        return 0.0
    here = level(levels[speaker], word.start, word.stop)
    return max(0.0, *(level(levels[other], start, stop) - here for start, stop, other in others))


def _starts(utterances: Iterable[Utterance]) -> dict[str, list[float]]:
    """Return the start times of each speaker's words."""
    starts: dict[str, list[float]] = defaultdict(list)
    for utterance in utterances:
        starts[utterance.speaker or ""] += [word.start for word in _words(utterance)]
    return {speaker: sorted(found) for speaker, found in starts.items()}


def _turns(utterance: Utterance, starts: Mapping[str, Sequence[float]]) -> Iterator[Utterance]:
    words = utterance.hypothesis.words
    others = [found for speaker, found in starts.items() if speaker != (utterance.speaker or "")]
    begin = 0
    for place in range(1, len(words)):
        stop, start = words[place - 1].stop, words[place].start
        if start - stop >= TURN_SECONDS and any(_any_between(found, stop, start) for found in others):
            yield part_of(utterance, words[begin:place])
            begin = place
    yield part_of(utterance, words[begin:]) if begin else utterance


def _any_between(moments: Sequence[float], start: float, stop: float) -> bool:
    place = bisect_left(moments, start)
    return place < len(moments) and moments[place] < stop
