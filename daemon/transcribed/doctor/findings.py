"""The findings of the doctor: a delivery checklist, one module per subject; `runner.py` runs them all.

A check returns findings: each a sentence and, for a problem, a fix.  Observation is separate from judgement: the
observations are passed in, so that a judgement needs no card, no systemd and no share.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SLOW = "The machine or a disk is busy; nothing is known to be wrong.  Run this again when less is going on."
"""What to do about a check that got no answer in time."""


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # good to know; no action needed
    WARNING = "warning"  # works, but worse than it could, or not for long
    FAULT = "fault"  # recordings wait or fail until it is fixed


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
