"""What the daemon says of itself: one document for programs, one sentence for people.

Reads the pipeline, the ledger and the watches from the loop's thread; changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transcribed import __version__
from transcribed.core.types import Job, State
from transcribed.ingest.watcher import InboxWatcher
from transcribed.pipeline.active_job import ActiveJob
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.state.control_files import STATUS_VERSION

SHOWN = 20  # of each list
LATELY_SECONDS = 4 * 3600.0
AHEAD_SECONDS = 60.0  # what ended later than this from now did so by a wrong clock


def document(
    pipeline: Pipeline,
    watchers: Sequence[InboxWatcher],
    slots: Slots,
    started_at: float,
    now: float,
    more_troubles: Sequence[str] = (),
) -> dict[str, Any]:
    counts = pipeline.ledger.counts()
    today = pipeline.ledger.ended_since(now - now % 86_400)
    troubles = [*more_troubles, *_troubles(pipeline, watchers)]
    speed = pipeline.dispatcher.admission.throughput.total()
    ahead = pipeline.batcher.ahead()
    return {
        "schema_version": STATUS_VERSION,
        "software": f"transcribed {__version__}",
        "pid": os.getpid(),
        "at": _iso(now),
        "started_at": _iso(started_at),
        "summary": summary(counts, today, troubles, [*_cards(pipeline.dispatcher, slots), *_speed(speed)]),
        "troubles": troubles,
        "ledger": pipeline.ledger.trouble,
        "cards": pipeline.dispatcher.trouble,
        "benched": dict(pipeline.dispatcher.unavailable),
        "lately": _lately(pipeline, watchers, now),
        "note": slots.note,
        "counts": {str(state): counts.get(state, 0) for state in State},
        "today": {str(state): today.get(state, 0) for state in (State.DONE, State.FAILED)},
        "slots": [_slot(pipeline.dispatcher, name) for name in slots.names],
        "backlog": _backlog(ahead, counts, speed),
        "inboxes": [_inbox(watcher) for watcher in watchers],
        "growing": [{"file": str(p), "seconds": round(s)} for w in watchers for p, s in list(w.pending())[:SHOWN]],
        "active": [_active(active, ahead, speed) for active in list(pipeline.active.values())[:SHOWN]],
        "waiting": [_reason(job) for job in pipeline.ledger.deferred(SHOWN)],
        "failed": [_reason(job) for job in pipeline.ledger.with_state(State.FAILED, SHOWN)],
        "suspicious": [_reason(job) for job in pipeline.ledger.suspicious(SHOWN)],
    }


def summary(
    counts: Mapping[State, int], today: Mapping[State, int], troubles: Sequence[str], facts: Sequence[str] = ()
) -> str:
    """`2 running, 12 queued, 214 done today, 1 failed today | cuda:0 9.1/24.0 GiB | 312x`, after what is degraded."""
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


def _speed(speed: float) -> Iterator[str]:
    if speed:
        yield f"{speed:.0f}x real time"


def _slot(dispatcher: Dispatcher, name: str) -> dict[str, Any]:
    """What `transcribed capacity` prints."""
    admission = dispatcher.admission
    card = admission.card(name)
    return {
        "slot": name,
        "card": asdict(card) if card else None,
        "waits": dispatcher.unavailable.get(name) or dispatcher.waits.get(name),
        "x": _rounded(admission.throughput.speed(name)),
        "models": admission.capacity(name, time.monotonic()),
    }


def _backlog(ahead: Mapping[int, float], counts: Mapping[State, int], speed: float) -> dict[str, Any]:
    """What waits in memory, in seconds of audio, and how many files wait besides; with the time it should take."""
    waiting = max(ahead.values(), default=0.0)
    unread = counts.get(State.QUEUED, 0)
    return {"audio_seconds": round(waiting), "unread_files": unread, "seconds_left": _time(waiting, speed)}


def stage(active: ActiveJob) -> str:
    """Where a job in hand is; a fact about it, never a state of the ledger."""
    if active.outcome is not None:
        return "delivering" if active.deliver_at is None else f"waiting for the outbox, {active.deliveries} attempts"
    if active.preparation is None:
        return "preparing"
    total = len(active.preparation.segments)
    return f"recognizing, {len(active.answers)} of {total} segments"


def _troubles(pipeline: Pipeline, watchers: Sequence[InboxWatcher]) -> list[str]:
    found = [trouble for trouble in (pipeline.ledger.trouble, pipeline.obstacle) if trouble]
    benched, waits = pipeline.dispatcher.unavailable.values(), pipeline.dispatcher.waits.values()
    return [*found, *benched, *waits, *(w.trouble for w in watchers if w.trouble)]


def _lately(pipeline: Pipeline, watchers: Sequence[InboxWatcher], now: float) -> dict[str, Any]:
    """How many files of each inbox failed in the last 4 hours, and which waits for longest."""
    failed = pipeline.ledger.failed_between(now - LATELY_SECONDS, now + AHEAD_SECONDS)
    oldest = pipeline.ledger.oldest_waiting()
    return {
        "failed": {str(watcher.inbox): failed.get(watcher.inbox, 0) for watcher in watchers},
        "oldest": {"inbox": _path(oldest[0]), "since": _iso(oldest[1])} if oldest else None,
    }


def _inbox(watcher: InboxWatcher) -> dict[str, Any]:
    age = None if watcher.scanned_at is None else round(time.monotonic() - watcher.scanned_at)
    return {"path": str(watcher.inbox), "watch": watcher.mode, "trouble": watcher.trouble, "scanned_seconds_ago": age}


def _active(active: ActiveJob, ahead: Mapping[int, float], speed: float) -> dict[str, Any]:
    """`seconds_left`: until its last segment is recognized, at the speed of late."""
    return {
        "job": active.job.id,
        "file": _path(active.job.source.path),
        "stage": stage(active),
        "seconds": round(active.preparation.audio.seconds, 1) if active.preparation else None,
        "seconds_left": _time(ahead.get(active.job.id, 0.0), speed) if active.waiting else None,
    }


def _time(audio_seconds: float, speed: float) -> float | None:
    return _rounded(audio_seconds / speed) if speed else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _reason(job: Job) -> dict[str, Any]:
    return {"job": job.id, "file": _path(job.source.path), "reason": job.error or job.suspicion}


def _path(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
