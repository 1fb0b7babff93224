"""Tasks at their times: APScheduler's own scheduler under a clock that does what clocks do."""

import threading
import time
from bisect import bisect_right
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import pairwise

import pytest
from apscheduler.job import Job
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.fakes import Clock
from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import Unavailable
from transcribed.core.troubles import Troubles
from transcribed.operations.task_scheduler import LoopScheduler, Task, TaskScheduler
from transcribed.system.cron import LatestMissedTrigger

DAY, YEAR = 86_400.0, 365.25 * 86_400.0
NOW = datetime(2026, 11, 20, 16, 25, 0, tzinfo=UTC).timestamp()
PERIODS = {"*/15 * * * *": 900.0, "0 */2 * * *": 7200.0, "0 0 * * *": DAY}


class Told(tzinfo):
    """The one door by which APScheduler takes a clock: it asks for the time in its zone."""

    def __init__(self, clock):
        self._clock = clock

    def fromutc(self, moment):
        return datetime.fromtimestamp(self._clock(), UTC)

    def utcoffset(self, moment):
        return UTC.utcoffset(moment)

    tzname = dst = lambda self, moment: None


class World:
    """One housekeeper, a wall clock and one that only counts, and a thread that is only imagined."""

    def __init__(self, tasks=(), now=NOW, launch=lambda name, act: act(), last=None):
        self.wall, self.count = Clock(now), Clock()
        self.runs = {cron: [] for cron in PERIODS}  # when each began, by the clock that only counts
        self.tasks = tasks or [Task(cron, cron, partial(self._ran, cron), 60) for cron in PERIODS]
        self._board = Troubles()
        self.keeper = TaskScheduler(
            self.tasks,
            self.wall,
            self.count,
            last=last or {},
            troubles=self._board,
            zone=Told(self.wall),
            launch=launch,
        )
        self.keeper.start()

    def troubles(self):
        self.keeper.check()
        return [*self._board.sentences()]

    def _ran(self, cron):
        self.runs[cron].append(self.count.now)

    def live(self, seconds):
        until = self.count.now + seconds
        while self.count.now < until:
            self.keeper.check()
            self._pass(
                min(60.0 - self.wall.now % 60.0, until - self.count.now)
            )  # nothing is due before the next minute
        self.keeper.check()

    def jump(self, seconds):
        self.wall.now = max(0.0, self.wall.now + seconds)
        self._pass(1.0)  # it is called about once a second
        self.keeper.check()

    def _pass(self, seconds):
        seconds = max(seconds, 1e-3)
        self.wall.now += seconds
        self.count.now += seconds


jumps = st.lists(
    st.tuples(
        st.floats(60.0, 3 * DAY),
        st.one_of(st.sampled_from([3600.0, -3600.0, YEAR, -YEAR, -57 * YEAR, 50 * YEAR]), st.floats(-9 * DAY, 9 * DAY)),
    ),
    max_size=6,
)


def _live_with(jumps, days):
    world = World()
    at = [world.count.now]
    for pause, seconds in jumps:
        world.live(pause)
        world.jump(seconds)
        at.append(world.count.now)
    world.live(days * DAY)
    at.append(world.count.now)
    for cron, period in PERIODS.items():
        runs = world.runs[cron]
        for begin, end in pairwise(at):  # between jumps, each at its times
            since_a_minute_before = bisect_right(runs, end) - bisect_right(runs, begin - 61)
            assert int((end - begin - 61) / period) <= since_a_minute_before
            between = bisect_right(runs, end) - bisect_right(runs, begin)
            assert between <= (end - begin) / period + 3  # one at each jump for what was missed, and one begun
        last = bisect_right(runs, at[-2])
        late = [after - before for before, after in pairwise([at[-2], *runs[last:]])]
        assert max(late, default=0.0) <= period + 61


@settings(max_examples=6, deadline=None)
@given(jumps)
@example([(600.0, 56.9 * YEAR), (DAY, -56.9 * YEAR), (60.0, 56.9 * YEAR)])
def test_whatever_the_clock_does_each_task_runs_just_at_its_times(jumps):
    """It does not run a million times after a jump."""
    _live_with(jumps, days=2)


def test_what_a_machine_missed_while_off_is_done_when_it_is_on():
    ran = []
    tasks = [Task("weekly", "30 3 * * sun", lambda: ran.append("weekly"), 60), Task("daily", "0 0 * * *", list, 60)]
    world = World(tasks, last={"weekly": NOW - 8 * DAY, "daily": NOW + YEAR})
    world.live(60)
    assert ran == ["weekly"]


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a million minutes take most of one
@settings(max_examples=3, deadline=None)
@given(jumps)
def test_a_year_of_housekeeping_with_a_clock_that_jumps(jumps):
    _live_with(jumps, days=365)


def test_what_was_missed_for_fifty_years_runs_once_and_costs_nothing():
    boot, now = datetime(1970, 1, 1, tzinfo=UTC), datetime.fromtimestamp(NOW, UTC)
    job = LoopScheduler().add_job(print, LatestMissedTrigger("* * * * *"), next_run_time=boot)
    assert isinstance(job, Job)
    assert job._get_run_times(now) == [boot]


def test_in_the_nights_when_the_clock_changes_each_task_runs_once():
    for night in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        runs = []
        world = World([Task("at half past two", "30 2 * * *", lambda runs=runs: runs.append(1), 60)], night.timestamp())
        world.live(DAY)
        assert runs == [1]


def test_what_came_due_while_the_machine_slept_runs_when_it_wakes():
    world = World(now=NOW)
    world.jump(DAY)
    world.live(1.0)
    assert [len(runs) for runs in world.runs.values()] == [1, 1, 1]


def test_a_clock_that_no_calendar_knows_is_survived(capsys):
    world = World()
    world.jump(8000 * YEAR)
    world.jump(1.0)
    assert capsys.readouterr().out.count("tasks stand still") == 1
    assert world._board.sentences()[0].startswith("No task starts: ")
    world.jump(-8000 * YEAR)
    world.live(2 * 900.0)
    assert world._board.sentences() == ()
    assert 2 <= len(world.runs["*/15 * * * *"]) <= 3


@pytest.mark.parametrize("cron", ["every day", "0 0 31 2 *", "61 * * * *"])
def test_a_cron_that_is_none_or_never_comes_is_refused(cron):
    with pytest.raises(ValueError):
        TaskScheduler([Task("never", cron, print, 60)])


# --- with threads --------------------------------------------------------------------------------------


def in_thread(name, act):
    threading.Thread(target=act, daemon=True).start()


def test_a_task_that_hangs_is_reported_and_delays_no_others():
    """It is not begun again."""
    hang, runs = threading.Event(), threading.Semaphore(0)
    tasks = [Task("stuck", "* * * * *", hang.wait, 100), Task("other", "* * * * *", runs.release, 60)]
    world = World(tasks, NOW + 30, launch=in_thread)
    for minutes in range(1, 4):
        world.live(60)
        assert runs.acquire(timeout=patient(10))
        assert bool(world.troubles()) == (minutes == 3)
    assert world.troubles()[0].endswith("s; it hangs.")
    stuck, other = world.keeper.status()
    assert stuck.running_since == stuck.last_run == pytest.approx(NOW + 60, abs=0.1)
    assert (stuck.missed, other.missed) == (2, 0)
    hang.set()
    wait_for(lambda: world.troubles() == [], 10)
    world.live(60)
    wait_for(lambda: world.keeper.status()[0].running_since is None, 10)
    assert world.keeper.status()[0].missed == 2


def test_a_task_that_raises_is_told_of_once_and_until_it_succeeds(capsys):
    answers = iter([Unavailable("The share is away.", "Look."), Unavailable("The share is away."), KeyError("x"), None])

    def work():
        if error := next(answers):
            raise error

    world, told = World([Task("clean-up", "*/2 * * * *", work, 60)], NOW + 30), []
    for _ in range(4):
        world.live(120)
        told.append(world.troubles())
    assert told == [["The share is away."], ["The share is away."], ["clean-up failed: KeyError: 'x'"], []]
    assert capsys.readouterr().out.count("The share is away.") == 1


class Seconds(LatestMissedTrigger):
    """Cron with seconds, for a test that cannot wait for minutes."""

    def __init__(self, cron):
        super().__init__("* * * * *")
        self._cron = type(self._cron)(second="*", timezone=UTC)


def test_tasks_run_in_their_own_threads_and_a_hang_delays_no_stop():
    """With the real scheduler."""
    hang, names = threading.Event(), set()
    tasks = [
        Task("stuck", "* * * * *", hang.wait, 0.001),
        Task("well", "* * * * *", lambda: names.add(threading.current_thread().name), 60),
    ]
    board = Troubles()
    keeper = TaskScheduler(tasks, troubles=board)
    keeper._triggers = {task.name: Seconds(task.cron) for task in tasks}
    keeper.start()
    try:
        wait_for(lambda: keeper.check() or (keeper.status()[0].missed and len(names) == 1), 10)
        keeper.check()
        assert names == {"housekeeping well"}
        assert "stuck has been running" in board.sentences()[0]
    finally:
        begun = time.monotonic()
        keeper.stop()
        assert time.monotonic() - begun < 5
        hang.set()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "APScheduler"], 10)
