"""Correct recognized text: apply literal corrections, and restore misrecognized hotwords.  Pure.

Corrections apply to any recognizer; hotwords only to one without native hotwords, such as SenseVoice.  In this order,
and nothing is changed twice:

1. a correction is applied wherever it matches, the longest first; in scripts with spaces to whole words only, ignoring
   case;
2. a hotword found in the text is written in the configured way, and protected from the next step;
3. text that sounds like a hotword in Mandarin (pinyin.py), or is spelt much like one (edit_distance.py), becomes that
   hotword.

FunASR's own postprocess_hotwords (1.4.16) is not used: its windows contain marks and one character too many, so that
`了华为` becomes `华为` and commas vanish; it corrects parts of words and its own corrections, does not update the times
of words, and takes 26 ms for a segment with 1,000 hotwords.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from transcribed.core.types import Hypothesis, Options, Replacement
from transcribed.recognition.hotwords.edit_distance import LETTER, SpellingIndex
from transcribed.recognition.hotwords.pinyin import SoundIndex
from transcribed.recognition.hotwords.text_edits import Edit, apply_edits

MIN_CAPITALS = 3
"""Letters of a hotword from which on its case is corrected: in `IT` and `US`, case distinguishes words."""

_OTHER_CHINESE = ("yue", "ja")  # Han characters that do not sound as in Mandarin
_INSIDE_WORD = re.compile(rf"(?<=[{LETTER}])(?=['’]?[{LETTER}])|(?<=[{LETTER}]['’])(?=[{LETTER}])")


def correct(hypothesis: Hypothesis, options: Options) -> Hypothesis:
    """Return the hypothesis with its text and words corrected, and the changes listed in `replacements`, in order."""
    if not hypothesis.text or not (options.hotwords or options.corrections):
        return hypothesis
    vocabulary = _vocabulary(options.hotwords, options.corrections)
    edits = _chosen(hypothesis.text, vocabulary.candidates(hypothesis.text, hypothesis.language))
    if not edits:
        return hypothesis
    text, words = apply_edits(hypothesis.text, hypothesis.words, edits)
    told = tuple(Replacement(hypothesis.text[e.start : e.stop], e.written, round(e.score, 3)) for e in edits)
    return replace(hypothesis, text=text, words=words, replacements=hypothesis.replacements + told)


class _Vocabulary:
    def __init__(self, hotwords: tuple[str, ...], corrections: tuple[tuple[str, str], ...]) -> None:
        self._corrections = _Literal(corrections)
        self._hotwords = _Literal((word, word) for word in hotwords)
        self._sounds = SoundIndex(hotwords)
        self._spellings = SpellingIndex(hotwords)

    def candidates(self, text: str, language: str | None) -> Iterator[Edit]:
        """Yield possible edits, the more certain and the longer first; they may overlap, and some change nothing."""
        yield from _longest(self._corrections.found(text))
        yield from _longest(edit for edit in self._hotwords.found(text) if _written_surely(edit, text))
        sounds = () if language in _OTHER_CHINESE else self._sounds.matches(text)
        yield from _longest(
            chain(
                (Edit(match.start, match.start + len(match.word), match.word, match.score) for match in sounds),
                (Edit(*match) for match in self._spellings.matches(text)),
            )
        )


@functools.lru_cache(maxsize=16)  # usually one per folder with words of its own; a megabyte for 1,000 words
def _vocabulary(hotwords: tuple[str, ...], corrections: tuple[tuple[str, str], ...]) -> _Vocabulary:
    return _Vocabulary(hotwords, corrections)


class _Literal:
    """Literal matches, ignoring case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._by_length: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for heard, meant in pairs:
            if heard.strip():
                self._by_length[len(heard)].setdefault(_folded(heard), meant)

    def found(self, text: str) -> Iterator[Edit]:
        folded = _folded(text)
        inside = {match.start() for match in _INSIDE_WORD.finditer(text)}
        for length, pairs in self._by_length.items():
            for start in range(len(text) - length + 1):
                stop = start + length
                meant = pairs.get(folded[start:stop])
                if meant is not None and start not in inside and stop not in inside:
                    yield Edit(start, stop, meant)


def _folded(text: str) -> str:
    """Return the text in lower case, with its length unchanged."""
    return "".join(small if len(small := c.lower()) == 1 else c for c in text)


def _written_surely(edit: Edit, text: str) -> bool:
    return edit.stop - edit.start >= MIN_CAPITALS or text[edit.start : edit.stop] == edit.written


def _longest(edits: Iterable[Edit]) -> list[Edit]:
    return sorted(edits, key=lambda edit: (edit.start - edit.stop, -edit.score, edit.start))


def _chosen(text: str, candidates: Iterable[Edit]) -> list[Edit]:
    """Return the edits that change something, in the order of the text; earlier candidates take precedence."""
    changed: set[int] = set()
    right: set[int] = set()
    chosen = []
    for edit in candidates:
        span = range(edit.start, edit.stop)
        if not changed.isdisjoint(span) or not right.isdisjoint(_differing(edit, text)):
            continue
        if edit.written == text[edit.start : edit.stop]:
            right.update(span)
        else:
            chosen.append(edit)
            changed.update(span)
    return sorted(chosen, key=lambda edit: edit.start)


def _differing(edit: Edit, text: str) -> Iterable[int]:
    """Return the positions of the characters that the edit would change."""
    span = range(edit.start, edit.stop)
    if len(edit.written) != len(span):
        return span
    return [at for at, c in zip(span, edit.written, strict=True) if text[at] != c]
