"""Join pieces of text as their scripts require, and escape untrusted text so that it cannot mislead a terminal, a log
or a reader.

Imports nothing of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters, as ranges of a regular expression: Extension A, the basic block, compatibility and later planes."""

UNSPACED = f"\u2e80-\u33ff{HAN}"
"""Han and the characters written with it without spaces: radicals, kana, their punctuation."""

_HAN = re.compile(f"[{HAN}]")
_UNSPACED = re.compile(f"[{UNSPACED}\uff00-\uffef]")


def printable(text: str, keep: str = "") -> str:
    """Escape control characters, direction marks and undecodable bytes, except the characters in `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def bounded(text: str, most: int = 300) -> str:
    """Escape a sentence that may repeat what a stranger wrote, and cut its middle out if it is long."""
    if len(text) > most:
        text = f"{text[: most // 2]} ... {text[-most // 3 :]}"
    shown = printable(text)
    return shown if len(shown) <= most else f"{shown[: most - 4]} ..."


def join(texts: Iterable[str]) -> str:
    """Join pieces of text with a space, or without one between characters of unspaced scripts."""
    joined = ""
    for text in texts:
        tight = not joined or not text or (is_unspaced(joined[-1]) and is_unspaced(text[0])) or _closing(text[0])
        joined += text if tight else f" {text}"
    return joined


def spans_of(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return the span of each token in the text; an empty list if the tokens do not spell it, apart from spaces."""
    spans, at = [], 0
    for token in tokens:
        start = text.find(token, at)
        if start < 0 or text[at:start].strip():
            return []
        at = start + len(token)
        spans.append((start, at))
    return [] if text[at:].strip() else spans


def is_han(character: str) -> bool:
    return _HAN.match(character) is not None


def is_unspaced(character: str) -> bool:
    """Return True for scripts written without spaces: Han, kana, and their punctuation, full-width forms included."""
    return _UNSPACED.match(character) is not None


def _closing(character: str) -> bool:
    return character in ",.;:!?%)]}，。；：！？、）】》」』"
