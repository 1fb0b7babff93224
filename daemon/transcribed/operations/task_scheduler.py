"""Run named tasks at their times: APScheduler knows the times, the run loop turns it, every run has its own thread.

A task that hangs delays no other, is reported, and is not started again while it hangs.  After a jump of the clock all
times are computed anew.  Knows times and functions; nothing of what they do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from types import MappingProxyType

import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler

from transcribed.core.errors import TranscribedError
from transcribed.core.troubles import TASK, TASKS, Troubles
from transcribed.system.cron import LatestMissedTrigger

JUMP_SECONDS = 60.0  # of the clock, against the one that only counts

log = structlog.get_logger("transcribed.housekeeping")


class LoopScheduler(BaseScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler without a thread that could die: whoever calls `turn` runs what is due."""

    def turn(self) -> None:
        self._process_jobs()

    def wakeup(self) -> None:
        """Do nothing: no thread sleeps until the next run."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    cron: str  # five fields, in UTC: no night is an hour shorter or longer
    work: Callable[[], object]  # raises what it cannot do, as a sentence
    deadline_seconds: float  # longer, and it hangs


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task's runs so far; times in seconds since the epoch."""

    task: str
    last_run: float | None
    running_since: float | None
    missed: int  # how often it was due while it still ran
    error: str | None  # of the last run


@dataclass(slots=True)
class _Run:
    """A task and its runs."""

    task: Task
    last: float  # when it last began, or when it was first waited for
    running: threading.Lock = field(default_factory=threading.Lock)
    began_at: float | None = None  # the last run, in seconds since the epoch
    since: float | None = None  # of the monotonic clock, while it runs
    missed: int = 0  # how often it was due while it still ran
    error: str | None = None  # of the last run
    late: bool = False  # reported as hanging

    def late_seconds(self, now: float) -> float:
        since = self.since
        return 0.0 if since is None else max(0.0, now - since - self.task.deadline_seconds)


class TaskScheduler:
    """The run loop calls `check` about once a second; each run has a thread of its own."""

    def __init__(
        self,
        tasks: Sequence[Task],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        last: Mapping[str, float] = MappingProxyType({}),
        troubles: Troubles | None = None,
        zone: tzinfo = UTC,
        launch: Callable[[str, Callable[[], None]], None] | None = None,
    ) -> None:
        """Report tasks that hang, or failed the last time, to `troubles`.  Raises ValueError for an invalid cron.

        APScheduler reads the time in `zone`; `launch` runs a function concurrently, by default in a thread.

        `clock` counts seconds since the epoch, as does `last`: when a task last ran, so that one whose time came while
        the machine was off is run as soon as it is on.
        """
        self._troubles = troubles or Troubles()
        self._clock = clock
        self._monotonic = monotonic
        self._launch = launch or _in_thread
        self._triggers = {task.name: LatestMissedTrigger(task.cron) for task in tasks}
        self._runs = {task.name: _Run(task, min(clock(), last.get(task.name, clock()))) for task in tasks}
        self._started = False
        self._difference = 0.0  # between the clocks, when the times were computed
        self._scheduler = LoopScheduler(
            timezone=zone,
            executors={"default": DebugExecutor()},  # inline: a run is only launched there
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )

    def start(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.WARNING)  # else three lines a minute
        self._started = True
        self._scheduler.start()
        self._schedule()

    def stop(self) -> None:
        """Start nothing more.  What runs is not waited for: it may hang."""
        if self._started:
            self._started = False
            self._scheduler.shutdown(wait=False)

    def check(self) -> None:
        """Start what is due, and log what hangs.  Never blocks, never raises."""
        if not self._started:
            return
        try:
            jumped = self._clock() - self._monotonic() - self._difference
            if abs(jumped) > JUMP_SECONDS:
                log.warning("tasks rescheduled", reason="the clock has jumped", seconds=round(jumped))
                self._schedule()
            self._scheduler.turn()
            self._troubles.set(TASKS, None)
        except Exception as error:  # as in the year 10,000
            self._stand_still(f"No task starts: {type(error).__name__}: {error}")
        for name, run in self._runs.items():
            self._report_if_late(run)
            self._troubles.set(f"{TASK} {name}", self._late(run) or run.error)

    def status(self) -> tuple[TaskStatus, ...]:
        return tuple(
            TaskStatus(name, run.began_at, run.began_at if run.since is not None else None, run.missed, run.error)
            for name, run in self._runs.items()
        )

    def _schedule(self) -> None:
        """Compute when each task is due next; what is overdue runs at the next turn."""
        now = self._clock()
        self._difference = now - self._monotonic()
        self._scheduler.remove_all_jobs()
        for name, run in self._runs.items():
            trigger = self._triggers[name]
            due = trigger.first_due(run.last, now)
            self._scheduler.add_job(partial(self._begin, run), trigger, id=name, next_run_time=due)

    def _stand_still(self, error: str) -> None:
        if error != self._troubles.get(TASKS):
            log.error("tasks stand still", error=error)
        self._troubles.set(TASKS, error)

    # --- runs ----------------------------------------------------------------------------------

    def _begin(self, run: _Run) -> None:
        run.last = self._clock()
        if not run.running.acquire(blocking=False):
            run.missed += 1
            return
        run.began_at, run.since = run.last, self._monotonic()
        try:
            self._launch(f"housekeeping {run.task.name}", partial(self._do, run))
        except RuntimeError as error:  # no thread can be started
            self._ended(run, f"{run.task.name}: {error}.")

    def _do(self, run: _Run) -> None:
        try:
            run.task.work()
            self._ended(run, None)
        except TranscribedError as error:
            self._ended(run, str(error), error.hint)
        except Exception as error:  # its fault alone; the other tasks go on
            self._ended(run, f"{run.task.name} failed: {type(error).__name__}: {error}")

    def _ended(self, run: _Run, error: str | None, hint: str = "") -> None:
        if error and error != run.error and self._started:  # once; and what is cut short by leaving is no failure
            log.error("task failed", task=run.task.name, error=error, hint=hint)
        if run.late or (run.error and not error):
            log.info("task recovered", task=run.task.name)
        run.error, run.since, run.late = error, None, False
        run.running.release()

    def _report_if_late(self, run: _Run) -> None:
        sentence = self._late(run)
        if sentence and not run.late:
            run.late = True
            log.error("task hangs", task=run.task.name, error=sentence)

    def _late(self, run: _Run) -> str | None:
        late = run.late_seconds(self._monotonic())
        allowed = run.task.deadline_seconds
        return f"{run.task.name} has been running for {allowed + late:.0f} s; it hangs." if late else None


def _in_thread(name: str, act: Callable[[], None]) -> None:
    threading.Thread(target=act, name=name, daemon=True).start()
