"""Cut what was said into units: the smallest pieces of text that a line or a cue may end behind, each with its time.

The text of an utterance is what is shown; its words say when.  Knows scripts and words, nothing of cues or files.
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

# Japanese phrases end in hiragana or a mark and begin with anything else, perhaps behind an honorific: true of most,
# and needs no dictionary.
_PHRASE_END = re.compile(r"[^\w\s](?=\w)|[\u3041-\u309f](?=[おご]?[^\W\u3041-\u309f])(?<![おご](?=[\u4e00-\u9fff]))")
_PARTICLES = frozenset("的地得了着过们吗呢吧啊呀嘛着過們嗎嘅咗啦喇囉")  # that belong to the word before


@dataclass(frozen=True, slots=True)
class BreakableUnit:
    text: str
    start: float  # seconds of the recording; never before that of the unit before
    stop: float
    spaced: bool = False  # parted from the unit before by a space
    break_cost: float = WORD  # what it costs to end a line behind it


def atoms(utterance: Utterance) -> list[BreakableUnit]:
    """All of an utterance's text, in what stands apart for all that is known without a dictionary: words where scripts
    have spaces, single characters where they have none.  None, if there is nothing to be seen.
    """
    text = text_of(utterance)
    return list(_atoms(text, utterance)) if text else []


def units(atoms: Sequence[BreakableUnit], columns: int, *, whole: bool = False) -> list[BreakableUnit]:
    """Atoms put together: words with the marks around them, in parts only where they are wider than `columns`.

    A single character may be wider.  With `whole` words are not looked for where scripts have no spaces: who is not
    going to break a text needs none, and no dictionary.
    """
    if not atoms:
        return []
    seams = frozenset[int]() if whole else _seams(shown(atoms))
    return [unit for group in _held(atoms, seams) for unit in _fitted(group, columns)]


def fitted(unit: BreakableUnit, columns: int) -> list[BreakableUnit]:
    """The unit in parts, where it is too wide."""
    return list(_fitted([unit], columns))


def shown(units: Sequence[BreakableUnit]) -> str:
    """What stands in a line of these units."""
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
    """Where atoms end: at spaces, at the edges of words, around Han and kana; with something to be seen in each."""
    columns = list(accumulate(map(width, letters), initial=0))
    before = 0
    for n in range(1, len(letters)):
        pair = letters[n - 1], letters[n]
        apart = n in gaps or (n in edges and not continues(*pair)) or stands_apart(*pair)
        if apart and before < columns[n] < columns[-1]:
            before = columns[n]
            yield n


def _gaps(text: str) -> frozenset[int]:
    """Before which letters there is a space, letters counted without spaces."""
    return frozenset(accumulate(len(chunk) for chunk in text.split()[:-1]))


def _times(letters: str, words: Sequence[tuple[str, Span]], whole: Span) -> list[Span]:
    """When each letter is spoken: its share of its word; between its neighbours, where no word has it."""
    heard = "".join(word for word, _ in words)
    times = [span for word, span in words for span in _spread(word, span)]
    if heard != letters:
        times = _matched(letters, heard, times, whole) if heard else _spread(letters, whole)
    return _rising(times)


def _spread(letters: str, span: Span) -> list[Span]:
    """A span shared out by width."""
    start, seconds = span[0], max(0.0, span[1] - span[0])
    edges = list(accumulate((width(letter) for letter in letters), initial=0))
    return [
        (start + seconds * a / (edges[-1] or 1), start + seconds * b / (edges[-1] or 1)) for a, b in pairwise(edges)
    ]


def _matched(letters: str, heard: str, times: Sequence[Span], whole: Span) -> list[Span]:
    """What is written otherwise than heard, as figures and corrections are, fills the time between what is not."""
    stops, starts = [whole[0], *(stop for _, stop in times)], [*(start for start, _ in times), whole[1]]
    made: list[Span] = []
    before = 0
    for block in SequenceMatcher(None, heard, letters, autojunk=False).get_matching_blocks():
        made += _spread(letters[len(made) : block.b], (stops[before], starts[block.a]))
        made += times[block.a : block.a + block.size]
        before = block.a + block.size
    return made


def _rising(times: Sequence[Span]) -> list[Span]:
    """No start before an earlier one, no stop before its start."""
    starts = list(accumulate((start for start, _ in times), max))
    return [(start, max(start, stop)) for start, (_, stop) in zip(starts, times, strict=True)]


# --- words: which atoms stay together ----------------------------------------------------------------


def _seams(text: str) -> frozenset[int]:
    """Behind which letters a word ends, in scripts without spaces; letters counted without spaces."""
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
    """A group as one unit, or as several, filled up, where it is too wide."""
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
    """A group as one, or as what is drawn as one character each, where it is too wide."""
    together = _together(group)
    if width(together.text) <= columns:
        yield together
        return
    for atom in group:
        edges = [n for n, pair in enumerate(pairwise(atom.text), 1) if not continues(*pair)]
        times = _spread(atom.text, (atom.start, atom.stop))
        for first, last in pairwise([0, *edges, len(atom.text)]):
            yield BreakableUnit(atom.text[first:last], times[first][0], times[last - 1][1], atom.spaced and not first)
