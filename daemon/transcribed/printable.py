"""Show text that strangers chose, such as file names, so that no terminal, log or reader takes it for anything else."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Control characters, direction marks and undecodable bytes escaped; the characters in `keep` stay as they are."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
