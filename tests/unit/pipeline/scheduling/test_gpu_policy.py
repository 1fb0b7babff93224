"""Which policy holds when, against a walk through every minute."""

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from transcribed.pipeline.scheduling.gpu_policy import Policy, Schedule, ScheduledPolicy

BERLIN = ZoneInfo("Europe/Berlin")
USUAL, DAY, NIGHT = Policy(), Policy(reserve=12 * 2**30), Policy(reserve=0.0)
RULES = [ScheduledPolicy("0 8 * * mon-fri", DAY), ScheduledPolicy("0 20 * * *", NIGHT)]


def at(*when):
    return datetime(*when, tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("when", "policy"),
    [
        ((2026, 11, 20, 7, 59), NIGHT),  # a Friday
        ((2026, 11, 20, 8, 0), DAY),
        ((2026, 11, 20, 19, 59), DAY),
        ((2026, 11, 20, 20, 0), NIGHT),
        ((2026, 11, 22, 12, 0), NIGHT),  # Sunday: nothing has matched since Saturday's evening
        ((2026, 11, 23, 8, 0), DAY),
        ((2026, 3, 29, 12, 0), NIGHT),  # the night on which an hour is missing
        ((2026, 10, 26, 8, 0), DAY),
    ],
)
def test_the_rule_that_matched_last_holds(when, policy):
    assert Schedule(USUAL, RULES, BERLIN).at(at(*when)) is policy


def test_without_rules_the_usual_policy_holds():
    assert Schedule(USUAL).at(0.0) is USUAL


def test_what_is_remembered_never_changes_an_answer_even_after_clock_jumps():
    schedule, dice = Schedule(USUAL, RULES, BERLIN), random.Random(1)
    for _ in range(300):
        moment = at(2026, 1, 1) + dice.uniform(0, 365 * 86_400)
        assert schedule.at(moment) is Schedule(USUAL, RULES, BERLIN).at(moment)


def test_a_rule_that_matches_every_minute_or_once_a_year_is_found():
    moment = datetime(2026, 11, 20, 12, 30, 30, tzinfo=BERLIN)
    assert Schedule(USUAL, [ScheduledPolicy("* * * * *", DAY)], BERLIN).at(moment.timestamp()) is DAY
    yearly = Schedule(USUAL, [ScheduledPolicy("0 0 1 1 *", DAY)], BERLIN)
    assert yearly.at(moment.timestamp()) is DAY
    assert yearly.at((moment - timedelta(days=3650)).timestamp()) is DAY


@pytest.mark.parametrize(
    ("weekday", "begins"),
    [("1-5", 23), ("mon-fri", 23), ("0", 22), ("7", 22), ("sun", 22), ("6", 21), ("1,3", 23), ("*", 21)],
)
def test_weekdays_are_numbered_as_cron_numbers_them(weekday, begins):
    """Seen from a Friday evening, the 20th: on which day does it begin next?"""
    schedule = Schedule(
        USUAL, [ScheduledPolicy("0 0 1 1 *", NIGHT), ScheduledPolicy(f"0 8 * * {weekday}", DAY)], BERLIN
    )
    before = Schedule(USUAL, [ScheduledPolicy(f"0 8 * * {weekday}", DAY)], BERLIN)
    days = [day for day in range(21, 28) if _begins(before, day)]
    assert days[0] == begins
    assert schedule.at(at(2026, 11, begins, 8, 1)) is DAY


def _begins(schedule, day):
    """Whether the rule matches at eight on that day of November: its last match is then, and not before."""
    return schedule._rules[0][0].get_next_fire_time(None, datetime(2026, 11, day, 7, 59, tzinfo=BERLIN)).day == day


def test_what_is_no_cron_expression_is_refused():
    with pytest.raises(ValueError, match="fields"):
        Schedule(USUAL, [ScheduledPolicy("at night", NIGHT)])
    with pytest.raises(ValueError, match="use names"):
        Schedule(USUAL, [ScheduledPolicy("0 8 * * */2", NIGHT)])


def test_a_reserve_is_a_size_or_a_share():
    assert Policy(reserve=0.25).reserve_bytes(24) == 6
    assert Policy(reserve=2.0 * 2**30).reserve_bytes(24 * 2**30) == 2 * 2**30
