"""Make an utterance of some of another's words, and compare words.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transcribed.core.text import join
from transcribed.core.types import Utterance, Word


def bare(text: str) -> str:
    """Return what is pronounced of a word, to compare it with another."""
    return "".join(character for character in text.casefold() if character.isalnum())


def part_of(utterance: Utterance, words: Sequence[Word]) -> Utterance:
    """Return an utterance of some of the words; sound events stay with the first, replacements with their words."""
    heard = utterance.hypothesis
    first = bool(heard.words) and words[0] is heard.words[0]
    text = join(word.text for word in words)
    part = replace(
        heard,
        text=text,
        words=tuple(words),
        replacements=tuple(replacement for replacement in heard.replacements if replacement.written in text),
        events=heard.events if first else (),
        confidence=sum(word.confidence for word in words) / len(words),
    )
    return replace(utterance, start=words[0].start, stop=words[-1].stop, hypothesis=part)
