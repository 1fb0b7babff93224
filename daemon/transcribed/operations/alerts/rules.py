"""Decide which conditions to report: once when one becomes bad, again while it stays so, and when it is resolved.

Pure; the clock is passed in.  Knows readings, not their meaning, and nothing of where alerts go.

Ages are counted from check to check, each step no longer than MAX_STEP_SECONDS, and no moment is ever compared with
another: a clock that jumps years forward repeats no alert, and one that jumps back silences none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from transcribed.system import documents
from transcribed.system.documents import Amount, Count, UnixTime

Severity = Literal["warning", "error"]
Kind = Literal["alert", "repeat", "recovery"]

VERSION = 1  # of the state's format
MAX_STEP_SECONDS = 900.0  # between two checks; a longer step means that the clock jumped or nothing was checked
EARLY = 0.95  # a reading is due a little early: checks are less regular than clocks
FLAP_SECONDS = 6 * 3600.0  # a condition that alerts again so soon must stay good for longer
MAX_DOUBLINGS = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """The finding of one check about one subject; at most one per rule, subject and check."""

    rule: str
    subject: str
    bad: bool
    sentence: str  # the present state, good or bad
    hint: str = ""  # what to do about it


@dataclass(frozen=True, slots=True)
class AlertRule:
    """The thresholds for an alert, its repetition and its end."""

    severity: Severity = "warning"
    readings: int = 2  # bad ones in a row
    every_seconds: float = 0.0  # between readings; earlier findings are skipped
    recovery_readings: int = 5  # good ones in a row until it is resolved; doubled each time it soon comes back
    repeat_seconds: float = 4 * 3600.0
    silence_seconds: float = 1800.0  # an alert without any finding for so long has ended


EVENT_RULE = AlertRule(
    "error", readings=1, recovery_readings=1, silence_seconds=86_400.0
)  # for events, which are not measured


@dataclass(frozen=True, slots=True)
class Notification:
    """A report to send now."""

    kind: Kind
    severity: Severity
    rule: str
    subject: str
    sentence: str
    hint: str = ""


@dataclass(slots=True)
class AlertState:
    """The stored state of one rule and subject.  All ages in seconds; `since` is for display only."""

    rule: str
    subject: str
    active: bool = False
    severity: str = "warning"
    sentence: str = ""
    hint: str = ""
    bad: Count = 0  # readings in a row
    well: Count = 0
    flaps: Count = 0  # times it came back within FLAP_SECONDS
    since: UnixTime = 0.0  # when the alert began
    found_ago: Amount = 0.0
    read_ago: Amount | None = None
    told_ago: Amount | None = None
    ended_ago: Amount | None = None

    def age(self, seconds: float) -> None:
        self.found_ago += seconds
        self.read_ago, self.told_ago, self.ended_ago = (
            None if ago is None else ago + seconds for ago in (self.read_ago, self.told_ago, self.ended_ago)
        )


@dataclass(frozen=True, slots=True)
class _StoredState:
    version: Literal[1]
    looked_at: UnixTime | None
    entries: list[Any]


class Alerts:
    def __init__(self, rules: Mapping[str, AlertRule], state: Any = None) -> None:
        """Restore `state`, as returned by `state()`; entries that are not valid are dropped.

        EVENT_RULE applies to conditions without a rule.
        """
        self.rules = rules
        found = documents.fit(state, _StoredState)
        entries = [entry for raw in (found.entries if found else ()) if (entry := documents.fit(raw, AlertState))]
        self._entries = {(entry.rule, entry.subject): entry for entry in entries}
        self._looked_at: float | None = found.looked_at if found else None

    def update(self, conditions: Iterable[Condition], now: float) -> list[Notification]:
        """Return what to report after a check with these conditions; `now` in seconds since the epoch."""
        step = 0.0 if self._looked_at is None else min(max(0.0, now - self._looked_at), MAX_STEP_SECONDS)
        self._looked_at = now
        for entry in self._entries.values():
            entry.age(step)
        found = {(condition.rule, condition.subject): condition for condition in conditions}
        told = [self._take(condition, now) for condition in found.values()]
        return [*filter(None, told), *self._end_silent()]

    def active(self) -> list[AlertState]:
        """Return the alerts that are not resolved, the oldest first."""
        return sorted((entry for entry in self._entries.values() if entry.active), key=lambda entry: entry.since)

    def state(self) -> dict[str, Any]:
        """Return the whole state, for JSON."""
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
        """End alerts without findings: the folder is no longer configured, or its reporter fell silent."""
        for key, entry in list(self._entries.items()):
            silence = self._rule(entry.rule).silence_seconds
            if entry.active and entry.found_ago > silence:
                yield _end(entry, f"No longer reported: {entry.sentence}")
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
