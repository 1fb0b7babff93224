"""Lay a transcript out for reading: paragraphs by pause and speaker, changes from one utterance to the next, and the
piece of text that each word's time belongs to.

Pure; knows no syntax of any file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcribed.core.text import join
from transcribed.core.types import Hypothesis, Transcript, Utterance, Word
from transcribed.output.layout.paragraphs import in_order, in_paragraphs

_MARKS = re.compile(r"\W*")
_MARKS_AT_END = re.compile(r"\W+\Z")
_REACH = 16  # characters searched for a word, past marks and text that is written differently from its words


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text spoken from `start` on, usually a word."""

    text: str
    start: float  # seconds
    confidence: float  # 0..1
    after: str  # marks and spaces before the next piece


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance, relative to the one before it."""

    pieces: tuple[Piece, ...]
    language: str | None
    emotion: str | None  # if it differs from the one before
    events: tuple[str, ...]  # those not in the one before
    space: str  # separator from the one before


@dataclass(frozen=True, slots=True)
class AnnotatedParagraph:
    start: float  # seconds
    speaker: str | None
    takes_turn: bool  # another speaker came before
    lines: tuple[Line, ...]


def paragraphs(transcript: Transcript) -> list[AnnotatedParagraph]:
    """Return the whole transcript in paragraphs, in order of time; each has one speaker."""
    made: list[AnnotatedParagraph] = []
    before = Hypothesis("")
    for group in in_paragraphs(in_order(transcript)):
        start, speaker = group[0].start, group[0].speaker
        lines: list[Line] = []
        for utterance in group:
            lines.append(_line(utterance, before, first=not lines))
            before = utterance.hypothesis
        turn = speaker is not None and (not made or made[-1].speaker != speaker)
        made.append(AnnotatedParagraph(start, speaker, turn, tuple(lines)))
    return made


def _line(utterance: Utterance, before: Hypothesis, *, first: bool) -> Line:
    heard = utterance.hypothesis
    emotion = heard.emotion if heard.emotion != before.emotion else None
    events = tuple(event for event in heard.events if event not in before.events)
    space = "" if first else _space(before.text, heard.text)
    return Line(tuple(pieces(utterance)), heard.language, emotion, events, space)


def _space(before: str, after: str) -> str:
    """Return a space, or nothing between scripts that are written without spaces."""
    return " " if not before or not after or len(join((before[-1], after[0]))) > 2 else ""


def pieces(utterance: Utterance) -> list[Piece]:
    """Return the utterance's whole text, cut before each word that is found in it.

    The text may differ from its words: marks, capitals, numbers in figures, corrections.  Text without a matching word
    goes with the word before it.
    """
    text = utterance.hypothesis.text
    if not text:
        return []
    found = list(_found(text, utterance.hypothesis.words))
    if not found or not _MARKS.fullmatch(text[: found[0][0]]):
        found.insert(0, (0, Word("", utterance.start, utterance.stop, 1.0)))
    edges = [0, *(at for at, _ in found[1:]), len(text)]
    return [_piece(text[a:b], word) for a, b, (_, word) in zip(edges, edges[1:], found, strict=False)]


def _found(text: str, words: Sequence[Word]) -> Iterator[tuple[int, Word]]:
    """Yield the position of each word that is found, strictly rising."""
    text, cursor = _folded(text), 0
    for word in words:
        at = text.find(_folded(word.text), cursor, cursor + len(word.text) + _REACH) if word.text else -1
        if at >= 0:
            yield at, word
            cursor = at + len(word.text)


def _folded(text: str) -> str:
    """Return the text in lower case, if that leaves each character at its position."""
    small = text.lower()
    return small if len(small) == len(text) else text


def _piece(part: str, word: Word) -> Piece:
    bare = _MARKS_AT_END.sub("", part) or part
    return Piece(bare, word.start, word.confidence, part[len(bare) :])
