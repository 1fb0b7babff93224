"""Run named tasks at their times: APScheduler knows the times, every run has a thread of its own.

A task that hangs holds up no other, is told of, and is not begun again while it hangs.  The scheduler is rebuilt when
the clock has jumped, and when its thread has died: nobody else would notice.  Knows times and functions; nothing of
what they do.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from types import MappingProxyType
from typing import Any

import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from transcribed.core.errors import TranscribedError
from transcribed.core.troubles import Troubles
from transcribed.system.cron import LatestMissedTrigger

JUMP_SECONDS = 60.0  # of the clock, against the one that only counts
SILENT_SECONDS = 180.0  # without the beat that comes every minute: the scheduler's thread is gone
BEAT = "* * * * *"

log = structlog.get_logger("transcribed.housekeeping")


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    cron: str  # five fields, in UTC: no night is an hour shorter or longer
    work: Callable[[], object]  # raises what it cannot do, as a sentence
    deadline_seconds: float  # longer, and it hangs


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What is known of a task's runs; times in seconds since the epoch."""

    task: str
    last_run: float | None
    running_since: float | None
    missed: int  # how often it was to begin while it still ran
    error: str | None  # of the last run


@dataclass(slots=True)
class _Run:
    """What is known of a task's runs."""

    task: Task
    last: float  # when it last began, or when it was first waited for
    running: threading.Lock = field(default_factory=threading.Lock)
    began_at: float | None = None  # the last run, in seconds since the epoch
    since: float | None = None  # of the monotonic clock, while it runs
    missed: int = 0  # how often it was to begin while it still ran
    error: str | None = None  # of the last run
    late: bool = False  # told of as hanging

    def late_seconds(self, now: float) -> float:
        since = self.since
        return 0.0 if since is None else max(0.0, now - since - self.task.deadline_seconds)


class TaskScheduler:
    """`check` is to be called about once a second by whoever looks after it; the rest happens by itself."""

    def __init__(
        self,
        tasks: Sequence[Task],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        last: Mapping[str, float] = MappingProxyType({}),
        troubles: Troubles | None = None,
        scheduler: Callable[..., BaseScheduler] = BackgroundScheduler,
        launch: Callable[[str, Callable[[], None]], None] | None = None,
    ) -> None:
        """A task that hangs, or failed the last time, stands in `troubles`.  `scheduler` makes one, `launch` has a
        function run beside this.  Raises ValueError for a cron that is none.

        `clock` tells seconds since the epoch, as does `last`: when a task last ran, so that one whose time came while
        the machine was off is done as soon as it is on.
        """
        self._troubles = troubles or Troubles()
        self._clock = clock
        self._monotonic = monotonic
        self._make = scheduler
        self._launch = launch or _in_thread
        self._triggers = {task.name: LatestMissedTrigger(task.cron) for task in tasks}
        self._runs = {task.name: _Run(task, min(clock(), last.get(task.name, clock()))) for task in tasks}
        self._started = False
        self._scheduler: BaseScheduler | None = None
        self._difference = 0.0  # between the clocks, when the scheduler was built
        self._beaten_at = 0.0

    def start(self) -> None:
        logging.getLogger("apscheduler").setLevel(logging.WARNING)  # else three lines a minute
        self._started = True
        self._build()

    def stop(self) -> None:
        """Begin nothing more.  What runs is not waited for: it may hang."""
        self._started = False
        self._leave()

    def check(self) -> None:
        """See that times are still kept, and log what hangs.  Never blocks, never raises."""
        if not self._started:
            return
        jumped = self._clock() - self._monotonic() - self._difference
        if abs(jumped) > JUMP_SECONDS:
            self._rebuild("the clock has jumped", seconds=round(jumped))
        elif self._monotonic() - self._beaten_at > SILENT_SECONDS:
            self._rebuild("its thread has died or hangs")
        for name, run in self._runs.items():
            self._tell_if_late(run)
            self._troubles.set(f"task {name}", self._late(run) or run.error)

    def status(self) -> tuple[TaskStatus, ...]:
        return tuple(
            TaskStatus(name, run.began_at, run.began_at if run.since is not None else None, run.missed, run.error)
            for name, run in self._runs.items()
        )

    # --- the scheduler -------------------------------------------------------------------------

    def _build(self) -> None:
        now = self._clock()
        self._difference, self._beaten_at = now - self._monotonic(), self._monotonic()
        scheduler = self._make(
            timezone=UTC,
            executors={"default": DebugExecutor()},  # in the scheduler's thread, where a run is only launched
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        )
        scheduler.add_job(self._beat, LatestMissedTrigger(BEAT), id="beat")
        for name, run in self._runs.items():
            trigger = self._triggers[name]
            scheduler.add_job(
                partial(self._begin, run), trigger, id=name, next_run_time=trigger.first_due(run.last, now)
            )
        self._scheduler = scheduler
        scheduler.start()

    def _rebuild(self, reason: str, **facts: Any) -> None:
        log.warning("housekeeping is scheduled anew", reason=reason, **facts)
        try:
            self._leave()
            self._build()
        except Exception as error:  # no thread is to be had, or it is the year 10,000; tried again after the silence
            log.error("housekeeping stands still", error=f"{type(error).__name__}: {error}")

    def _leave(self) -> None:
        old, self._scheduler = self._scheduler, None
        if old:
            self._launch("housekeeping ends", partial(_end, old))

    def _beat(self) -> None:
        self._beaten_at = self._monotonic()

    # --- runs ----------------------------------------------------------------------------------

    def _begin(self, run: _Run) -> None:
        run.last = self._clock()
        if not run.running.acquire(blocking=False):
            run.missed += 1
            return
        run.began_at, run.since = run.last, self._monotonic()
        try:
            self._launch(f"housekeeping {run.task.name}", partial(self._do, run))
        except RuntimeError as error:  # no thread is to be had
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
            log.error("housekeeping failed", task=run.task.name, error=error, hint=hint)
        if run.late or (run.error and not error):
            log.info("housekeeping is well again", task=run.task.name)
        run.error, run.since, run.late = error, None, False
        run.running.release()

    def _tell_if_late(self, run: _Run) -> None:
        sentence = self._late(run)
        if sentence and not run.late:
            run.late = True
            log.error("housekeeping hangs", task=run.task.name, error=sentence)

    def _late(self, run: _Run) -> str | None:
        late = run.late_seconds(self._monotonic())
        allowed = run.task.deadline_seconds
        return f"{run.task.name} has been running for {allowed + late:.0f} s; it hangs." if late else None


def _in_thread(name: str, act: Callable[[], None]) -> None:
    threading.Thread(target=act, name=name, daemon=True).start()


def _end(scheduler: BaseScheduler) -> None:
    """Not in the caller's thread: what is wrong with the scheduler may be that its lock is held for ever."""
    with contextlib.suppress(SchedulerNotRunningError):
        scheduler.shutdown(wait=False)
