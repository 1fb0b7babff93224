"""Read cron expressions, and tell when one matches next: five fields, as crontab(5) has them.

Built on APScheduler's CronTrigger.  Knows times; nothing of what is done at them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger


class LatestMissedTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A cron expression of which only the latest time missed counts.

    APScheduler's own trigger goes through all of them one by one before they are coalesced: a year of minutes is a list
    of 525,601 and 5 s of computing (3.11.3); after a boot in 1970, memory death.
    """

    def __init__(self, cron: str) -> None:
        """In UTC.  Raises ValueError for what is no cron expression, and for one that never matches."""
        self._cron = cron_trigger(cron, UTC)
        if self._cron.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise ValueError("it never matches")

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        next: datetime | None = self._cron.get_next_fire_time(None, now + timedelta(microseconds=previous is not None))
        return next

    def first_due(self, last: float, now: float) -> datetime | None:
        """When it is due: the first time after `last`, which may have passed; or after `now`, where the clock was set
        back behind `last`.  Both in seconds since the epoch.
        """
        begin = datetime.fromtimestamp(min(last, now), UTC)
        return self.get_next_fire_time(begin, begin)


def cron_trigger(cron: str, zone: tzinfo | None) -> CronTrigger:
    """When an expression of five fields matches.  Raises ValueError for what is none."""
    return CronTrigger.from_crontab(_named(cron), zone)


def _named(cron: str) -> str:
    """With names for the numbers of weekdays: to cron 0 and 7 are Sunday (crontab(5)), to APScheduler 0 is Monday."""
    *fields, weekday = cron.split()
    if "/" in weekday:
        raise ValueError("weekdays in steps are counted from different days; name them, as in mon,wed,fri")
    names = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
    named = re.sub(r"\b[0-7]\b", lambda number: names[int(number[0])], weekday)
    return " ".join([*fields, named])
