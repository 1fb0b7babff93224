"""What a delivery checklist looks at, one module per thing looked at; `runner.py` runs them all.

A check answers with findings: each a sentence and, where something is amiss, what to do about it.  Looking is apart
from judging: what is looked at is passed in, so that a judgement needs no card, no systemd and no share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # good to know; nothing need be done
    WARNING = "warning"  # it works, worse than it could, or not for long
    FAULT = "fault"  # recordings will wait or fail until it is mended


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    sentence: str
    fix: str = ""


def ok(sentence: str) -> Finding:
    return Finding(Level.OK, sentence)


def note(sentence: str, fix: str = "") -> Finding:
    return Finding(Level.NOTE, sentence, fix)


def warning(sentence: str, fix: str) -> Finding:
    return Finding(Level.WARNING, sentence, fix)


def fault(sentence: str, fix: str) -> Finding:
    return Finding(Level.FAULT, sentence, fix)
