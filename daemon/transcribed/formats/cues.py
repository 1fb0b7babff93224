"""Cut utterances into cues short enough to be read as subtitles.  Shared by srt and vtt; knows no file syntax.

Limits for Latin scripts: two lines of 42 characters, at most 7 s (Netflix Timed Text Style Guide); East Asian
characters count twice.  A cue ends at a pause or a mark where one is near, else at a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from transcribed.core import Transcript, Utterance, Word
from transcribed.transcript import join

MAX_WIDTH = 84
MAX_SECONDS = 7.0
PAUSE_SECONDS = 0.6
MIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Cue:
    start: float
    stop: float
    text: str


def cues(transcript: Transcript) -> list[Cue]:
    """In order, none empty, none overlapping the next."""
    found = [cue for utterance in transcript.utterances if utterance.hypothesis.text for cue in _cues(utterance)]
    ends = [*(cue.start for cue in found[1:]), float("inf")]
    return [Cue(c.start, _stop(c, end), c.text) for c, end in zip(found, ends, strict=False)]


def _stop(cue: Cue, end: float) -> float:
    return round(min(max(cue.stop, cue.start + MIN_SECONDS), end), 3)


def width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _cues(utterance: Utterance) -> Iterator[Cue]:
    if not utterance.hypothesis.words:
        yield Cue(utterance.start, utterance.stop, utterance.hypothesis.text)
        return
    for group in _groups(utterance.hypothesis.words):
        yield Cue(group[0].start, group[-1].stop, join(word.text for word in group))


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and _ends(group, word):
            yield group
            group = []
        group.append(word)
    yield group


def _ends(group: Sequence[Word], following: Word) -> bool:
    text = join([*(word.text for word in group), following.text])
    return (
        width(text) > MAX_WIDTH
        or following.stop - group[0].start > MAX_SECONDS
        or following.start - group[-1].stop > PAUSE_SECONDS
        or (group[-1].text[-1] in ".?!。？！" and width(text) > MAX_WIDTH // 2)
    )
