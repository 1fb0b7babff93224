"""Decide what is told of what was measured: once when it has become bad, again while it stays so, and when it is over.

Pure; the clock is passed in.  Knows readings, never of what; nothing of where alerts go.

Ages are counted from look to look, each step no longer than MAX_STEP_SECONDS, and no moment is ever compared with
another: a clock that jumps years forward tells of nothing again, and one that jumps back silences nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Severity = Literal["warning", "error"]
Kind = Literal["alert", "repeat", "recovery"]

VERSION = 1  # of the state's shape
MAX_STEP_SECONDS = 900.0  # between two looks; more was a clock that jumped, or a time when nobody looked
EARLY = 0.95  # a reading is due a little early: looks are not as regular as clocks
FLAP_SECONDS = 6 * 3600.0  # who alerts again so soon must stay well for longer
MAX_DOUBLINGS = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """What one look found of one subject; at most one per rule and subject and look."""

    rule: str
    subject: str
    bad: bool
    sentence: str  # how it is, bad or well
    hint: str = ""  # what to do about it


@dataclass(frozen=True, slots=True)
class AlertRule:
    """How much it takes until something is told."""

    severity: Severity = "warning"
    readings: int = 2  # bad ones in a row
    every_seconds: float = 0.0  # between readings; findings before that are passed over
    recovery_readings: int = 5  # good ones in a row until it is over; twice as many each time it comes back soon
    repeat_seconds: float = 4 * 3600.0
    silence_seconds: float = 1800.0  # what nothing is found of for so long has ended


EVENT_RULE = AlertRule(
    "error", readings=1, recovery_readings=1, silence_seconds=86_400.0
)  # for what happens, and is not measured


@dataclass(frozen=True, slots=True)
class Notification:
    """To be told now."""

    kind: Kind
    severity: Severity
    rule: str
    subject: str
    sentence: str
    hint: str = ""


@dataclass(slots=True)
class AlertState:
    """What is remembered of a rule and subject.  All ages in seconds; `since` only to be shown."""

    rule: str
    subject: str
    active: bool = False
    severity: str = "warning"
    sentence: str = ""
    hint: str = ""
    bad: int = 0  # readings in a row
    well: int = 0
    flaps: int = 0  # how often it came back soon
    since: float = 0.0  # when the alert began, seconds since the epoch
    found_ago: float = 0.0
    read_ago: float | None = None
    told_ago: float | None = None
    ended_ago: float | None = None

    def age(self, seconds: float) -> None:
        self.found_ago += seconds
        self.read_ago, self.told_ago, self.ended_ago = (
            None if ago is None else ago + seconds for ago in (self.read_ago, self.told_ago, self.ended_ago)
        )


class Alerts:
    def __init__(self, rules: Mapping[str, AlertRule], state: Any = None) -> None:
        """TOLD holds where no rule is named.  `state` is what `state()` gave; what is unclear of it is forgotten."""
        self.rules = rules
        entries = [entry for raw in _listed(state) if (entry := _entry(raw))]
        self._entries = {(entry.rule, entry.subject): entry for entry in entries}
        self._looked_at: float | None = _number(state.get("looked_at")) if isinstance(state, dict) else None

    def update(self, conditions: Iterable[Condition], now: float) -> list[Notification]:
        """What is to be told after a look that found this; `now` in seconds since the epoch."""
        step = 0.0 if self._looked_at is None else min(max(0.0, now - self._looked_at), MAX_STEP_SECONDS)
        self._looked_at = now
        for entry in self._entries.values():
            entry.age(step)
        found = {(condition.rule, condition.subject): condition for condition in conditions}
        told = [self._take(condition, now) for condition in found.values()]
        return [*filter(None, told), *self._end_silent()]

    def active(self) -> list[AlertState]:
        """What has been told of and is not over, the oldest first."""
        return sorted((entry for entry in self._entries.values() if entry.active), key=lambda entry: entry.since)

    def state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "version": VERSION,
            "looked_at": self._looked_at,
            "entries": [asdict(entry) for entry in self._entries.values()],
        }

    def _rule(self, name: str) -> AlertRule:
        return self.rules.get(name, EVENT_RULE)

    def _take(self, condition: Condition, now: float) -> Notification | None:
        rule, key = self._rule(condition.rule), (condition.rule, condition.subject)
        entry = self._entries.setdefault(key, AlertState(*key))
        entry.found_ago = 0.0
        if entry.read_ago is not None and entry.read_ago < EARLY * rule.every_seconds:
            return None
        entry.read_ago = 0.0
        return (_bad if condition.bad else _well)(entry, condition, rule, now)

    def _end_silent(self) -> Iterator[Notification]:
        """Nothing is found of it any more: its folder is not configured now, or whoever told of it fell silent."""
        for key, entry in list(self._entries.items()):
            silence = self._rule(entry.rule).silence_seconds
            if entry.active and entry.found_ago > silence:
                yield _end(entry, f"Nothing more was heard of this: {entry.sentence}")
            elif not entry.active and entry.found_ago > max(silence, FLAP_SECONDS):
                del self._entries[key]


def _bad(entry: AlertState, condition: Condition, rule: AlertRule, now: float) -> Notification | None:
    entry.bad, entry.well = entry.bad + 1, 0
    if not entry.active:
        if entry.bad < rule.readings:
            return None
        soon = entry.ended_ago is not None and entry.ended_ago < FLAP_SECONDS
        entry.flaps = entry.flaps + 1 if soon else 0
        entry.active, entry.since, entry.told_ago = True, now, None
    entry.severity, entry.sentence, entry.hint = rule.severity, condition.sentence, condition.hint
    if entry.told_ago is None:
        return _tell(entry, "alert")
    return _tell(entry, "repeat") if entry.told_ago >= rule.repeat_seconds else None


def _well(entry: AlertState, condition: Condition, rule: AlertRule, _: float) -> Notification | None:
    entry.bad, entry.well = 0, entry.well + 1
    if entry.active and entry.well >= rule.recovery_readings * 2 ** min(entry.flaps, MAX_DOUBLINGS):
        return _end(entry, condition.sentence)
    return None


def _tell(entry: AlertState, kind: Kind) -> Notification:
    entry.told_ago = 0.0
    return Notification(kind, _severity(entry), entry.rule, entry.subject, entry.sentence, entry.hint)


def _end(entry: AlertState, sentence: str) -> Notification:
    entry.active, entry.bad, entry.ended_ago, entry.hint = False, 0, 0.0, ""
    return Notification("recovery", _severity(entry), entry.rule, entry.subject, sentence)


def _severity(entry: AlertState) -> Severity:
    return "error" if entry.severity == "error" else "warning"


# --- the state, as it was read back ------------------------------------------------------------------


def _listed(state: Any) -> list[Any]:
    known = isinstance(state, dict) and state.get("version") == VERSION
    entries = state.get("entries") if known else None
    return entries if isinstance(entries, list) else []


def _entry(raw: Any) -> AlertState | None:
    """None where it is no entry: a file may hold anything."""
    usual = AlertState("", "")
    if not isinstance(raw, dict) or raw.keys() != {field.name for field in fields(AlertState)}:
        return None
    return AlertState(**raw) if all(_fits(name, value, getattr(usual, name)) for name, value in raw.items()) else None


def _fits(name: str, value: Any, usual: Any) -> bool:
    if name.endswith("_ago"):
        return (value is None and usual is None) or (_number(value) is not None and value >= 0)
    return _number(value) is not None if isinstance(usual, float) else type(value) is type(usual)


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None
