"""What is told of what was measured: by example, and as properties of any run of looks under any clock."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.operations.alerts.rules import (
    EVENT_RULE,
    MAX_DOUBLINGS,
    MAX_STEP_SECONDS,
    AlertRule,
    Alerts,
    Condition,
)

MINUTE, HOUR, YEAR = 60.0, 3600.0, 365 * 86_400.0
RULE = AlertRule("error", readings=2, recovery_readings=3, repeat_seconds=HOUR)
VRAM = AlertRule("warning", readings=3, every_seconds=15 * MINUTE, recovery_readings=2, repeat_seconds=4 * HOUR)
RULES = {"disk": RULE, "vram": VRAM}


class Story:
    """Looks, a minute apart unless said otherwise; `told` is [(minute, kind)]."""

    def __init__(self, rule="disk", state=None):
        self.alerts, self.rule, self.now, self.minute, self.told = Alerts(RULES, state), rule, 1e9, 0, []

    def look(self, bad=None, minutes=1, jump=0.0):
        for _ in range(minutes):
            self.minute, self.now = self.minute + 1, self.now + MINUTE + jump
            findings = [] if bad is None else [Condition(self.rule, "/out", bad, "full" if bad else "well", "free it")]
            self.told += [(self.minute, notice.kind) for notice in self.alerts.update(findings, self.now)]
        return self

    def restart(self):
        self.alerts = Alerts(RULES, json.loads(json.dumps(self.alerts.state())))
        return self

    @property
    def kinds(self):
        return [kind for _, kind in self.told]


def test_only_as_many_bad_readings_as_the_rule_says_are_an_alert():
    assert Story().look(True).look(False, 9).told == []
    assert Story().look(True, 50).told == [(2, "alert")]


def test_vram_is_read_every_15_minutes_and_reported_after_three_bad_readings():
    assert Story("vram").look(True, 100).told == [(31, "alert")]
    peaks = Story("vram").look(True, 20).look(False, 15).look(True, 20)
    assert peaks.told == []


def test_what_stays_bad_is_told_of_again_each_interval():
    assert Story().look(True, 130).told == [(2, "alert"), (62, "repeat"), (122, "repeat")]


def test_what_is_well_again_is_told_of_when_it_has_stayed_so():
    story = Story().look(True, 5).look(False, 2)
    assert story.kinds == ["alert"]
    assert story.look(False, 9).told[1:] == [(8, "recovery")]


def test_an_alert_that_flaps_is_told_of_once():
    story = Story().look(True, 2)
    for _ in range(10):
        story.look(False, 2).look(True)
    assert story.kinds == ["alert"]


def test_who_comes_back_soon_must_stay_well_twice_as_long_each_time():
    story = Story()
    for _ in range(4):
        story.look(True, 2).look(False, 3)
    assert story.kinds == ["alert", "recovery", "alert"]
    assert story.look(False, 3).kinds[-1] == "recovery"
    hours = Story()
    for _ in range(60 * 24):  # ten minutes bad, ten well, for 20 days
        hours.look(True, 10).look(False, 10)
    assert len(hours.told) < 20 * 24 + 20  # little more than the repeats
    assert hours.look(False, 3 * 2**MAX_DOUBLINGS).kinds[-1] == "recovery"


def test_it_recovers_with_the_sentence_of_how_it_is_now():
    story = Story().look(True, 2)
    (entry,) = story.alerts.active()
    assert (entry.sentence, entry.hint, entry.since) == ("full", "free it", 1e9 + 2 * MINUTE)
    (notice,) = [n for _ in range(3) for n in story.alerts.update([Condition("disk", "/out", False, "well")], 2e9)]
    assert (notice.kind, notice.sentence, notice.severity) == ("recovery", "well", "error")
    assert story.alerts.active() == []


def test_what_nobody_finds_any_more_is_told_of_as_ended():
    assert Story().look(True, 2).look(None, 40).told == [(2, "alert"), (33, "recovery")]


def test_an_event_alerts_at_once_and_ends_when_well_or_after_silence():
    story = Story("configuration").look(True).look(None, 100)
    assert story.told == [(1, "alert")]
    assert story.look(False).kinds == ["alert", "recovery"]
    silent = Story("configuration").look(True).look(None, int(EVENT_RULE.silence_seconds / MINUTE) + 1)
    assert silent.kinds == ["alert", "recovery"]


def test_a_restart_tells_of_nothing_twice_and_forgets_no_recovery():
    story = Story().look(True, 5).restart().look(True, 10).restart().look(False, 1).restart().look(False, 2)
    assert story.told == [(2, "alert"), (18, "recovery")]


@pytest.mark.parametrize("state", [None, [], 7, {}, {"version": 1}, {"version": 1, "entries": [{}, 3, None]}])
def test_a_state_that_cannot_be_understood_is_forgotten(state):
    assert Story(state=state).look(True, 3).kinds == ["alert"]


@pytest.mark.parametrize(
    "damage",
    [{"told_ago": -1e300}, {"told_ago": "x"}, {"bad": None}, {"active": 1}, {"since": float("nan")}, {"flaps": 1e30}],
)
def test_a_damaged_entry_silences_nothing(damage):
    state = Story().look(True, 2).alerts.state()
    state["entries"][0] |= damage
    assert Story(state=json.loads(json.dumps(state))).look(True, 2).kinds == ["alert"]


def test_a_clock_that_jumps_a_year_neither_floods_nor_silences():
    story = Story().look(True, 2).look(True, 1, jump=YEAR).look(True, 40)
    assert story.kinds == ["alert"]
    assert story.look(True, 10).kinds == ["alert", "repeat"]  # a jump counts for a quarter of an hour
    back = Story().look(True, 2).look(True, 1, jump=-YEAR).look(True, 70)
    assert back.kinds == ["alert", "repeat"]
    assert back.look(False, 3).kinds[-1] == "recovery"


# --- for any run of looks, under any clock -----------------------------------------------------------

STEPS = st.one_of(st.just(MINUTE), st.floats(0, 2 * HOUR), st.floats(-30 * YEAR, 30 * YEAR))
LOOKS = st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), st.booleans()), STEPS), max_size=120)
SETUPS = st.builds(
    AlertRule,
    readings=st.integers(1, 4),
    recovery_readings=st.integers(1, 4),
    every_seconds=st.sampled_from([0.0, 300.0]),
    repeat_seconds=st.floats(MINUTE, 4 * HOUR),
    silence_seconds=st.floats(MINUTE, 4 * HOUR),
)


def lived(rule, looks, restarts=frozenset()):
    """Each notice of a run, with the time that counted until then."""
    alerts, now, counted, told = Alerts({"r": rule}), 1e9, 0.0, []
    for number, (found, step) in enumerate(looks):
        if number in restarts:
            alerts = Alerts({"r": rule}, json.loads(json.dumps(alerts.state())))
        now, counted = now + step, counted + (min(max(step, 0.0), MAX_STEP_SECONDS) if number else 0.0)
        findings = [Condition("r", subject, bad, "") for subject, bad in found.items()]
        told += [(notice.subject, notice.kind, counted) for notice in alerts.update(findings, now)]
    return alerts, told


@given(SETUPS, LOOKS)
@settings(deadline=None)
def test_there_are_never_two_alerts_without_a_recovery_or_the_interval_between(rule, looks):
    alerts, told = lived(rule, looks)
    for subject in "abc":
        story = [(kind, at) for name, kind, at in told if name == subject]
        assert not story or story[0][0] == "alert"
        for (before, then), (kind, at) in pairwise(story):
            assert (kind == "alert") == (before == "recovery")
            assert kind != "repeat" or at - then >= rule.repeat_seconds * 0.999
    last = {name: kind for name, kind, _ in told}
    assert {entry.subject for entry in alerts.active()} == {name for name, kind in last.items() if kind != "recovery"}


@given(SETUPS, LOOKS)
@settings(deadline=None)
def test_every_alert_that_ends_is_told_of_as_ended(rule, looks):
    """However it was before: once it is well for long enough, or nothing is heard of it, it has ended, and is told."""
    for after in ({"a": False, "b": False, "c": False}, {}):
        alerts, told = lived(rule, [*looks, *[(after, 600.0)] * 4 * 2**MAX_DOUBLINGS])
        assert alerts.active() == []
        kinds = [kind for _, kind, _ in told]
        assert kinds.count("alert") == kinds.count("recovery")


@given(SETUPS, LOOKS, st.frozensets(st.integers(0, 120)))
@settings(deadline=None)
def test_a_restart_at_any_look_changes_nothing_that_is_told(rule, looks, restarts):
    assert lived(rule, looks)[1] == lived(rule, looks, restarts)[1]


@given(SETUPS, LOOKS)
@settings(deadline=None)
def test_what_stays_bad_after_any_clock_is_told_of_within_its_interval(rule, looks):
    """Silent for ever would be the worst way to fail."""
    alerts, _ = lived(rule, looks)
    now = alerts.state()["looked_at"] or 0.0
    kinds = []
    for _ in range(int(5 * HOUR / 300.0) + 6):
        now += 300.0
        kinds += [notice.kind for notice in alerts.update([Condition("r", "a", True, "")], now)]
    assert {"alert", "repeat"} & set(kinds)


@given(SETUPS, LOOKS)
@settings(deadline=None)
def test_what_is_remembered_has_a_ceiling(rule, looks):
    alerts, _ = lived(rule, [*looks, *[({}, 600.0)] * 100])
    assert alerts.state()["entries"] == []
