"""Select the GPU policy in force: how much of a card the daemon may use, and when.  The time is passed in.

A rule applies from the moment its cron expression last matched until another rule's matches.  Knows times and shares;
nothing of cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from apscheduler.triggers.cron import CronTrigger

from transcribed.core.quantities import of_total
from transcribed.system.cron import cron_trigger

_LOOK_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=8), timedelta(days=32), timedelta(days=366))


@dataclass(frozen=True, slots=True)
class Policy:
    reserve: float = 0.1  # left to others: bytes, or below 1 a share of the card
    max_share: float = 1.0  # of the card, for all our memory
    pause: bool = False
    yield_to_others: bool = False  # wait while other processes compute

    def reserve_bytes(self, total_bytes: int) -> int:
        return int(of_total(self.reserve, total_bytes))


@dataclass(frozen=True, slots=True)
class ScheduledPolicy:
    cron: str  # five fields: minute, hour, day, month, weekday
    policy: Policy


class Schedule:
    """A usual policy, and the rules that replace it at certain times."""

    def __init__(self, usual: Policy, rules: Sequence[ScheduledPolicy] = (), zone: tzinfo | None = None) -> None:
        """`usual` applies until a rule has matched; `zone` None means the computer's own.

        Raise ValueError for an invalid cron expression.
        """
        self._usual = usual
        self._rules = [(cron_trigger(rule.cron, zone), rule.policy) for rule in rules]
        self._known: tuple[datetime, datetime] | None = None  # from, until: when `_now` applies
        self._now = usual

    def at(self, moment: float) -> Policy:
        """Return the policy at a moment, in seconds since the epoch."""
        if not self._rules:
            return self._usual
        now = datetime.fromtimestamp(moment, self._rules[0][0].timezone)
        if self._known is None or not self._known[0] <= now < self._known[1]:
            self._now = self._latest(now)
            self._known = (now, min(self._next(trigger, now) for trigger, _ in self._rules))
        return self._now

    def _latest(self, now: datetime) -> Policy:
        matched = [(last, policy) for trigger, policy in self._rules if (last := _last(trigger, now))]
        return max(matched, key=lambda pair: pair[0])[1] if matched else self._usual

    @staticmethod
    def _next(trigger: CronTrigger, now: datetime) -> datetime:
        return trigger.get_next_fire_time(None, now + timedelta(microseconds=1)) or datetime.max.replace(
            tzinfo=now.tzinfo
        )


def _last(trigger: CronTrigger, now: datetime) -> datetime | None:
    """Return when the trigger last matched, None if not within a year."""
    last: datetime | None
    for back in _LOOK_BACK:
        last, found = None, trigger.get_next_fire_time(None, now - back)
        while found and found <= now:
            last, found = found, trigger.get_next_fire_time(found, found + timedelta(seconds=1))
        if last:
            return last
    return None
