"""Build the daemon's status: one document for programs, one sentence for people.

Reads the pipeline, the ledger and the watchers from the loop's thread; changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from transcribed import __version__
from transcribed.core.telemetry import Card
from transcribed.core.types import Job, State
from transcribed.ingest.watcher import InboxWatcher
from transcribed.operations.task_scheduler import TaskStatus
from transcribed.pipeline.active_job import ActiveJob
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.state.status_document import STATUS_VERSION

SHOWN = 20  # of each list
LATELY_SECONDS = 4 * 3600.0
AHEAD_SECONDS = 60.0  # an end further in the future than this was stamped by a wrong clock


@dataclass(frozen=True, slots=True)
class SlotStatus:
    slot: str
    card: Card | None
    waits: str | None  # why it accepts no batch
    x: float | None  # speed as a multiple of real time
    models: list[dict[str, Any]]  # as printed by `transcribed capacity`


@dataclass(frozen=True, slots=True)
class InboxStatus:
    path: str
    watch: str
    trouble: str | None
    scanned_seconds_ago: int | None


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file that is not settled yet."""

    file: str
    seconds: int


@dataclass(frozen=True, slots=True)
class ActiveFile:
    job: int
    file: str
    stage: str
    seconds: float | None  # of audio
    seconds_left: float | None  # until its last segment is recognized, at the current speed


@dataclass(frozen=True, slots=True)
class FileReason:
    """A file that waits, has failed or may lack words, and the reason."""

    job: int
    file: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    audio_seconds: int  # waiting in memory
    unread_files: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class OldestFile:
    inbox: str
    since: str


@dataclass(frozen=True, slots=True)
class RecentFiles:
    """Failed files per inbox in the last 4 hours, and the file that has waited longest."""

    failed: dict[str, int]
    oldest: OldestFile | None


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The daemon's status; its fields, in this order, are the keys of status.json."""

    schema_version: int
    software: str
    pid: int
    at: str
    started_at: str
    summary: str
    troubles: tuple[str, ...]
    ledger: str | None  # why the ledger accepts no writes
    cards: str | None  # trouble with NVML or a card
    benched: dict[str, str]  # slots in which no worker can run, with the reason
    lately: RecentFiles
    note: str | None
    counts: dict[str, int]
    today: dict[str, int]
    slots: tuple[SlotStatus, ...]
    backlog: Backlog
    inboxes: tuple[InboxStatus, ...]
    growing: tuple[PendingFile, ...]
    active: tuple[ActiveFile, ...]
    waiting: tuple[FileReason, ...]
    failed: tuple[FileReason, ...]
    suspicious: tuple[FileReason, ...]
    housekeeping: tuple[TaskStatus, ...]
    rejected: str | None  # why the new configuration was rejected

    def document(self) -> dict[str, Any]:
        """Return the content of status.json."""
        return asdict(self)


def take_status(
    pipeline: Pipeline,
    watchers: Sequence[InboxWatcher],
    slots: Slots,
    started_at: float,
    now: float,
    troubles: Sequence[str] = (),
    tasks: Sequence[TaskStatus] = (),
    rejected: str | None = None,
    cautions: Sequence[str] = (),
) -> DaemonStatus:
    """Collect the status.  `troubles` are those unknown to the pipeline and the watchers, worst first; `cautions` are
    what is known of the models.
    """
    counts = pipeline.ledger.counts()
    today = pipeline.ledger.ended_since(now - now % 86_400)
    troubles = (*troubles, *_troubles(pipeline, watchers))
    speed = pipeline.dispatcher.speed()
    ahead = pipeline.batcher.ahead()
    return DaemonStatus(
        schema_version=STATUS_VERSION,
        software=f"transcribed {__version__}",
        pid=os.getpid(),
        at=_iso(now),
        started_at=_iso(started_at),
        summary=summary(counts, today, troubles, [*_cards(pipeline.dispatcher, slots), *_speed(speed), *cautions]),
        troubles=troubles,
        ledger=pipeline.ledger.trouble,
        cards=pipeline.dispatcher.trouble,
        benched=dict(pipeline.dispatcher.unavailable),
        lately=_lately(pipeline, watchers, now),
        note="  ".join(filter(None, (slots.note, *cautions))) or None,
        counts={str(state): counts.get(state, 0) for state in State},
        today={str(state): today.get(state, 0) for state in (State.DONE, State.FAILED)},
        slots=tuple(_slot(pipeline.dispatcher, name) for name in slots.names),
        backlog=_backlog(ahead, counts, speed),
        inboxes=tuple(map(_inbox, watchers)),
        growing=tuple(PendingFile(str(p), round(s)) for w in watchers for p, s in islice(w.pending(), SHOWN)),
        active=tuple(_active(active, ahead, speed) for active in islice(pipeline.active.values(), SHOWN)),
        waiting=tuple(map(_reason, pipeline.ledger.deferred(SHOWN))),
        failed=tuple(map(_reason, pipeline.ledger.with_state(State.FAILED, SHOWN))),
        suspicious=tuple(map(_reason, pipeline.ledger.suspicious(SHOWN))),
        housekeeping=tuple(tasks),
        rejected=rejected,
    )


def summary(
    counts: Mapping[State, int], today: Mapping[State, int], troubles: Sequence[str], facts: Sequence[str] = ()
) -> str:
    """Return `2 running, 12 queued, 214 done today, 1 failed today | cuda:0 9.1/24.0 GiB | 312x`.

    The worst trouble, if any, comes first, as `degraded: ...`.
    """
    text = (
        f"{counts.get(State.ACTIVE, 0)} running, {counts.get(State.QUEUED, 0)} queued, "
        f"{today.get(State.DONE, 0)} done today, {today.get(State.FAILED, 0)} failed today"
    )
    return " | ".join([*(f"degraded: {trouble}" for trouble in troubles[:1]), text, *facts])


def _cards(dispatcher: Dispatcher, slots: Slots) -> Iterator[str]:
    if slots.on_cpu:
        yield "on the CPU"
    for name in slots.names:
        if (card := dispatcher.admission.card(name)) and not card.trouble:
            yield f"{name} {card.used_bytes / 2**30:.1f}/{card.total_bytes / 2**30:.1f} GiB"


def _speed(speed: float | None) -> Iterator[str]:
    if speed:
        yield f"{speed:.0f}x real time"


def _slot(dispatcher: Dispatcher, name: str) -> SlotStatus:
    admission = dispatcher.admission
    return SlotStatus(
        slot=name,
        card=admission.card(name),
        waits=dispatcher.unavailable.get(name) or dispatcher.waits.get(name),
        x=_rounded(dispatcher.speed(name)),
        models=admission.capacity(name, time.monotonic()),
    )


def _backlog(ahead: Mapping[int, float], counts: Mapping[State, int], speed: float | None) -> Backlog:
    waiting = max(ahead.values(), default=0.0)
    return Backlog(round(waiting), counts.get(State.QUEUED, 0), _time(waiting, speed))


def stage(active: ActiveJob) -> str:
    """Return the stage of an active job, in words; never a state of the ledger."""
    if active.outcome is not None:
        return "delivering" if active.deliver_at is None else f"waiting for the outbox, {active.deliveries} attempts"
    if active.preparation is None:
        return "preparing"
    total = len(active.preparation.segments)
    return f"recognizing, {len(active.answers)} of {total} segments"


def _troubles(pipeline: Pipeline, watchers: Sequence[InboxWatcher]) -> list[str]:
    found = [trouble for trouble in (pipeline.ledger.trouble, pipeline.intake.obstacle) if trouble]
    benched, waits = pipeline.dispatcher.unavailable.values(), pipeline.dispatcher.waits.values()
    return [*found, *benched, *waits, *(w.trouble for w in watchers if w.trouble)]


def _lately(pipeline: Pipeline, watchers: Sequence[InboxWatcher], now: float) -> RecentFiles:
    failed = pipeline.ledger.failed_between(now - LATELY_SECONDS, now + AHEAD_SECONDS)
    oldest = pipeline.ledger.oldest_waiting()
    return RecentFiles(
        {str(watcher.inbox): failed.get(watcher.inbox, 0) for watcher in watchers},
        OldestFile(_path(oldest[0]), _iso(oldest[1])) if oldest else None,
    )


def _inbox(watcher: InboxWatcher) -> InboxStatus:
    age = None if watcher.scanned_at is None else round(time.monotonic() - watcher.scanned_at)
    return InboxStatus(str(watcher.inbox), watcher.mode, watcher.trouble, age)


def _active(active: ActiveJob, ahead: Mapping[int, float], speed: float | None) -> ActiveFile:
    return ActiveFile(
        active.job.id,
        _path(active.job.source.path),
        stage(active),
        round(active.preparation.audio.seconds, 1) if active.preparation else None,
        _time(ahead.get(active.job.id, 0.0), speed) if active.waiting else None,
    )


def _time(audio_seconds: float, speed: float | None) -> float | None:
    return _rounded(audio_seconds / speed) if speed else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _reason(job: Job) -> FileReason:
    return FileReason(job.id, _path(job.source.path), job.error or job.suspicion)


def _path(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
