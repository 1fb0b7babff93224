"""Cut utterances into units: the smallest pieces of text after which a line or a cue may end, each with its time.

The text of an utterance is shown; its words provide the times.  Knows scripts and words, nothing of cues or files.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from transcribed.core.types import Utterance
from transcribed.output.layout import word_segmentation
from transcribed.output.layout.paragraphs import text_of
from transcribed.output.layout.text_metrics import (
    CUT,
    WORD,
    break_cost,
    continues,
    is_chinese,
    is_japanese,
    may_not_break,
    one_line,
    stands_apart,
    width,
)

Span = tuple[float, float]

# Japanese phrases end in hiragana or a mark and begin with anything else, perhaps after an honorific prefix: true of
# most, and needs no dictionary.
_PHRASE_END = re.compile(r"[^\w\s](?=\w)|[\u3041-\u309f](?=[おご]?[^\W\u3041-\u309f])(?<![おご](?=[\u4e00-\u9fff]))")
_PARTICLES = frozenset("的地得了着过们吗呢吧啊呀嘛着過們嗎嘅咗啦喇囉")  # belong to the word before


@dataclass(frozen=True, slots=True)
class BreakableUnit:
    text: str
    start: float  # seconds of the recording; never before that of the unit before
    stop: float
    spaced: bool = False  # separated from the unit before by a space
    break_cost: float = WORD  # of ending a line after it


def atoms(utterance: Utterance) -> list[BreakableUnit]:
    """Return an utterance's whole text, split as far as possible without a dictionary: into words in scripts with
    spaces, into single characters in scripts without.  Return an empty list if no text is visible.
    """
    text = text_of(utterance)
    return list(_atoms(text, utterance)) if text else []


def units(atoms: Sequence[BreakableUnit], columns: int, *, whole: bool = False) -> list[BreakableUnit]:
    """Join atoms: words with the marks around them, split only if they are wider than `columns`.

    A single character may be wider.  With `whole`, no words are sought in scripts without spaces: a caller that will
    not break the text needs neither words nor the dictionary.
    """
    if not atoms:
        return []
    seams = frozenset[int]() if whole else _seams(shown(atoms))
    return [unit for group in _held(atoms, seams) for unit in _fitted(group, columns)]


def fitted(unit: BreakableUnit, columns: int) -> list[BreakableUnit]:
    """Return the unit, in parts if it is too wide."""
    return list(_fitted([unit], columns))


def shown(units: Sequence[BreakableUnit]) -> str:
    """Return the text of a line of these units."""
    return units[0].text + "".join(f" {unit.text}" if unit.spaced else unit.text for unit in units[1:])


# --- atoms -------------------------------------------------------------------------------------------


def _atoms(text: str, utterance: Utterance) -> Iterator[BreakableUnit]:
    letters, gaps = "".join(text.split()), _gaps(text)
    words = [("".join(one_line(w.text).split()), (w.start, w.stop)) for w in utterance.hypothesis.words]
    times = _times(letters, words, (utterance.start, utterance.stop))
    cuts = _cuts(letters, gaps, frozenset(accumulate(len(word) for word, _ in words)))
    for first, last in pairwise([0, *cuts, len(letters)]):
        part = letters[first:last]
        yield BreakableUnit(part, times[first][0], times[last - 1][1], first in gaps, break_cost(part))


def _cuts(letters: str, gaps: frozenset[int], edges: frozenset[int]) -> Iterator[int]:
    """Yield the ends of atoms: at spaces, at word boundaries, around Han and kana; each atom is visible."""
    columns = list(accumulate(map(width, letters), initial=0))
    before = 0
    for n in range(1, len(letters)):
        pair = letters[n - 1], letters[n]
        apart = n in gaps or (n in edges and not continues(*pair)) or stands_apart(*pair)
        if apart and before < columns[n] < columns[-1]:
            before = columns[n]
            yield n


def _gaps(text: str) -> frozenset[int]:
    """Return the indices of letters that follow a space, letters counted without spaces."""
    return frozenset(accumulate(len(chunk) for chunk in text.split()[:-1]))


def _times(letters: str, words: Sequence[tuple[str, Span]], whole: Span) -> list[Span]:
    """Return when each letter is spoken: its share of its word's time, or of the gap around it if it is in no word."""
    heard = "".join(word for word, _ in words)
    times = [span for word, span in words for span in _spread(word, span)]
    if heard != letters:
        times = _matched(letters, heard, times, whole) if heard else _spread(letters, whole)
    return _rising(times)


def _spread(letters: str, span: Span) -> list[Span]:
    """Divide a span among letters by width."""
    start, seconds = span[0], max(0.0, span[1] - span[0])
    edges = list(accumulate((width(letter) for letter in letters), initial=0))
    return [
        (start + seconds * a / (edges[-1] or 1), start + seconds * b / (edges[-1] or 1)) for a, b in pairwise(edges)
    ]


def _matched(letters: str, heard: str, times: Sequence[Span], whole: Span) -> list[Span]:
    """Return times where the text differs from its words (figures, corrections): it fills the gaps between matches."""
    stops, starts = [whole[0], *(stop for _, stop in times)], [*(start for start, _ in times), whole[1]]
    made: list[Span] = []
    before = 0
    for block in SequenceMatcher(None, heard, letters, autojunk=False).get_matching_blocks():
        made += _spread(letters[len(made) : block.b], (stops[before], starts[block.a]))
        made += times[block.a : block.a + block.size]
        before = block.a + block.size
    return made


def _rising(times: Sequence[Span]) -> list[Span]:
    """Make starts rise, and let no stop precede its start."""
    starts = list(accumulate((start for start, _ in times), max))
    return [(start, max(start, stop)) for start, (_, stop) in zip(starts, times, strict=True)]


# --- words: which atoms stay together ----------------------------------------------------------------


def _seams(text: str) -> frozenset[int]:
    """Return the indices after which a word ends in scripts without spaces, letters counted without spaces."""
    if is_japanese(text):
        letters = "".join(text.split())
        return frozenset(found.end() for found in _PHRASE_END.finditer(letters))
    if not is_chinese(text):
        return frozenset()
    words = [word for word in word_segmentation.words(text) if not word.isspace()]
    ends = accumulate(map(len, words))
    return frozenset(end for end, following in zip(ends, [*words[1:], ""], strict=True) if following not in _PARTICLES)


def _held(atoms: Sequence[BreakableUnit], seams: Container[int]) -> list[list[BreakableUnit]]:
    groups = [[atoms[0]]]
    offset = len(atoms[0].text)
    for before, atom in pairwise(atoms):
        apart = atom.spaced or (offset in seams and stands_apart(before.text[-1], atom.text[0]))
        if apart and not may_not_break(before.text, atom.text, atom.spaced):
            groups.append([])
        groups[-1].append(atom)
        offset += len(atom.text)
    return groups


# --- width -------------------------------------------------------------------------------------------


def _fitted(group: Sequence[BreakableUnit], columns: int) -> Iterator[BreakableUnit]:
    """Yield a group as one unit, or as several units, each filled up, if it is too wide."""
    together = _together(group)
    if width(together.text) <= columns:
        yield together
        return
    everywhere = range(sum(len(atom.text) for atom in group))
    filled: list[BreakableUnit] = []
    for part in (part for held in _held(group, everywhere) for part in _narrow(held, columns)):
        both = _together([*filled[-1:], part])
        if filled and width(both.text) <= columns:
            filled[-1] = both
        else:
            filled.append(part)
    yield from (replace(unit, break_cost=CUT) for unit in filled[:-1])
    yield replace(filled[-1], break_cost=together.break_cost)


def _together(group: Sequence[BreakableUnit]) -> BreakableUnit:
    text = shown(group)
    return BreakableUnit(text, group[0].start, max(unit.stop for unit in group), group[0].spaced, break_cost(text))


def _narrow(group: Sequence[BreakableUnit], columns: int) -> Iterator[BreakableUnit]:
    """Yield a group as one unit, or one unit per displayed character if it is too wide."""
    together = _together(group)
    if width(together.text) <= columns:
        yield together
        return
    for atom in group:
        edges = [n for n, pair in enumerate(pairwise(atom.text), 1) if not continues(*pair)]
        times = _spread(atom.text, (atom.start, atom.stop))
        for first, last in pairwise([0, *edges, len(atom.text)]):
            yield BreakableUnit(atom.text[first:last], times[first][0], times[last - 1][1], atom.spaced and not first)
