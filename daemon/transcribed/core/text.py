"""Join pieces of text as their scripts are written, and show text that strangers chose so that nothing takes it for
anything else: no terminal, no log, no reader.

Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable


def printable(text: str, keep: str = "") -> str:
    """Control characters, direction marks and undecodable bytes escaped; the characters in `keep` stay as they are."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def join(texts: Iterable[str]) -> str:
    """Join pieces of text: a space between them, none between characters of scripts written without."""
    joined = ""
    for text in texts:
        tight = not joined or not text or (unspaced(joined[-1]) and unspaced(text[0])) or _closing(text[0])
        joined += text if tight else f" {text}"
    return joined


def unspaced(character: str) -> bool:
    """Whether it is of a script written without spaces: Han, kana and their full-width punctuation."""
    code = ord(character)
    return 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF or code >= 0x20000


def _closing(character: str) -> bool:
    return character in ",.;:!?%)]}，。；：！？、）】》」』"
