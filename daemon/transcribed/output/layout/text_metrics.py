"""Measure text in lines: remove characters that do not belong in a line, count columns, find the cost of breaks.

Pure; knows scripts and marks, nothing of times or files.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, east_asian_width

from transcribed.core.text import HAN, is_unspaced

_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")

# Characters that end a line or a file; then those that permit a line break or change the text direction (UAX #9).
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN = re.compile(r"[\u00ad\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")

SENTENCE, CLAUSE, WORD, CUT, NO_BREAK = 0.0, 0.5, 1.0, 3.0, 30.0
"""The costs of breaking text: after a sentence, a clause, a word, inside a unit too wide for a line, between a name and
its text."""
_CLINGING = 0.4  # added after a word that belongs to the next one

_SENTENCE_MARKS = frozenset(".?!…。？！｡؟۔।")
_CLAUSE_MARKS = frozenset(",;:，；：、､،؛—–")
_CLOSING = frozenset(
    ",.;:!?%)]}…’”»›，。；：！？、％）】》」』〉〕｡､｣・ー々〻ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_OPENING = frozenset("([{¿¡‘“«‹（【《「『〈〔｢")
_QUOTES = frozenset("\"'’”»›)]}）】》」』〉〕｣")  # may follow the mark that ends a sentence

# Netflix, Timed Text Style Guide, General Requirements: a line is not broken after an article, preposition,
# conjunction, or between a verb and its subject or auxiliary.
_BELONGING = """
a an the this that these those my your his her its our their of to in on at by for from with into about as than and or
but nor if because so when while i you he she it we they is are was were am be been has have had do does did will would
shall should can could may might must not no very
"""
_BELONGING_WORDS = frozenset(_BELONGING.split())


def one_line(text: str) -> str:
    """Strip line ends, control characters and direction marks; leave single spaces, none at the ends."""
    return " ".join(_UNSEEN.sub("", _NO_TEXT.sub(" ", text)).split())


def width(text: str) -> int:
    """Return the columns of a text: two for a wide character (UAX #11), none for one drawn over its predecessor."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@lru_cache(8192)
def _columns(character: str) -> int:
    if east_asian_width(character) in "WF":
        return 2
    return 0 if category(character) in ("Mn", "Me", "Cf") else 1


def is_chinese(text: str) -> bool:
    return _HAN.search(text) is not None and not is_japanese(text)


def is_japanese(text: str) -> bool:
    """Return whether kana are a substantial part of the text: Japanese has about as many kana as Han characters."""
    kana = len(_KANA.findall(text))
    return kana > 0 and 4 * kana >= len(_HAN.findall(text))


def continues(before: str, character: str) -> bool:
    """Return whether a character belongs to the one before it: an accent, part of an emoji (roughly as in UAX #29)."""
    return (
        category(character) in ("Mn", "Me", "Mc", "Cf")
        or before == "\u200d"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def stands_apart(before: str, character: str) -> bool:
    """Return whether two neighbours may be of different words, judged without a dictionary: around Han and kana."""
    return (is_unspaced(before) or is_unspaced(character)) and not continues(before, character)


def may_not_break(before: str, after: str, spaced: bool) -> bool:
    """Return whether a break between two pieces is forbidden: no mark begins a line, no opening bracket ends it."""
    if before[-1] in _OPENING and not spaced:
        return True
    return after[0] in _CLOSING and (not spaced or not any(character.isalnum() for character in after))


def break_cost(text: str) -> float:
    """Return the cost of ending a line or a cue after a piece of text."""
    bare = text.rstrip("".join(_QUOTES)) or text
    if bare[-1] in _SENTENCE_MARKS:
        return SENTENCE
    if bare[-1] in _CLAUSE_MARKS:
        return CLAUSE
    return WORD + _CLINGING if text.lower() in _BELONGING_WORDS else WORD
