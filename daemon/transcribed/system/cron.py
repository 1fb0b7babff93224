"""Parse cron expressions of five fields, as in crontab(5), and compute their next match.

Built on APScheduler's CronTrigger.  Knows times; nothing of the tasks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger


class LatestMissedTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Trigger of a cron expression of which only the latest missed time counts.

    APScheduler's own trigger lists all missed times before it coalesces them: a year of minutes is a list of 525,601
    and takes 5 s (3.11.3); after a boot with the clock in 1970, memory runs out.
    """

    def __init__(self, cron: str) -> None:
        """Parse an expression, in UTC.  Raises ValueError if it is not a cron expression or never matches."""
        self._cron = cron_trigger(cron, UTC)
        if self._cron.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ValueError("the expression never matches")

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        next: datetime | None = self._cron.get_next_fire_time(None, now + timedelta(microseconds=previous is not None))
        return next

    def first_due(self, last: float, now: float) -> datetime | None:
        """Return the first due time after `last`, which may have passed; or after `now`, if the clock was set back
        behind `last`.  Both in seconds since the epoch.
        """
        begin = datetime.fromtimestamp(min(last, now), UTC)
        return self.get_next_fire_time(begin, begin)


def cron_trigger(cron: str, zone: tzinfo | None) -> CronTrigger:
    """Return the trigger of an expression of five fields.  Raises ValueError if it is not one."""
    return CronTrigger.from_crontab(_named(cron), zone)


def _named(cron: str) -> str:
    """Replace weekday numbers by names: in cron 0 and 7 are Sunday (crontab(5)), in APScheduler 0 is Monday."""
    *fields, weekday = cron.split()
    if "/" in weekday:
        raise ValueError(
            "weekday steps are ambiguous: cron dialects number days differently; use names, as in mon,wed,fri"
        )
    names = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
    named = re.sub(r"\b[0-7]\b", lambda number: names[int(number[0])], weekday)
    return " ".join([*fields, named])
