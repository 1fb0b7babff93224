"""What the daemon says of itself: one document for programs, one sentence for people.

Reads the pipeline, the ledger and the watches from the loop's thread; changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transcribed import __version__
from transcribed.active import Active
from transcribed.core import Job, State
from transcribed.pipeline import Pipeline
from transcribed.watch import Watch

SCHEMA_VERSION = 1
SHOWN = 20  # of each list


def document(pipeline: Pipeline, watches: Sequence[Watch], started_at: float, now: float) -> dict[str, Any]:
    counts = pipeline.ledger.counts()
    today = pipeline.ledger.ended_since(now - now % 86_400)
    return {
        "schema_version": SCHEMA_VERSION,
        "software": f"transcribed {__version__}",
        "pid": os.getpid(),
        "at": _iso(now),
        "started_at": _iso(started_at),
        "summary": summary(counts, today, _troubles(pipeline, watches)),
        "troubles": _troubles(pipeline, watches),
        "counts": {str(state): counts.get(state, 0) for state in State},
        "today": {str(state): today.get(state, 0) for state in (State.DONE, State.FAILED)},
        "inboxes": [_inbox(watch) for watch in watches],
        "growing": [{"file": str(p), "seconds": round(s)} for w in watches for p, s in list(w.growing())[:SHOWN]],
        "active": [_active(active) for active in list(pipeline.active.values())[:SHOWN]],
        "waiting": [_reason(job) for job in pipeline.ledger.deferred(SHOWN)],
        "failed": [_reason(job) for job in pipeline.ledger.with_state(State.FAILED, SHOWN)],
    }


def summary(counts: Mapping[State, int], today: Mapping[State, int], troubles: Sequence[str]) -> str:
    """`2 running, 12 queued, 214 done today, 1 failed today`, and what is degraded."""
    text = (
        f"{counts.get(State.ACTIVE, 0)} running, {counts.get(State.QUEUED, 0)} queued, "
        f"{today.get(State.DONE, 0)} done today, {today.get(State.FAILED, 0)} failed today"
    )
    return f"degraded: {troubles[0]} | {text}" if troubles else text


def stage(active: Active) -> str:
    """Where a job in hand is; a fact about it, never a state of the ledger."""
    if active.outcome is not None:
        return "delivering" if active.deliver_at is None else f"waiting for the outbox, {active.deliveries} attempts"
    if active.preparation is None:
        return "preparing"
    total = len(active.preparation.segments)
    return f"recognizing, {len(active.answers)} of {total} segments"


def _troubles(pipeline: Pipeline, watches: Sequence[Watch]) -> list[str]:
    found = [pipeline.ledger.trouble] if pipeline.ledger.trouble else []
    return [*found, *pipeline.benched.values(), *(w.trouble for w in watches if w.trouble)]


def _inbox(watch: Watch) -> dict[str, Any]:
    age = None if watch.scanned_at is None else round(time.monotonic() - watch.scanned_at)
    return {"path": str(watch.inbox), "watch": watch.mode, "trouble": watch.trouble, "scanned_seconds_ago": age}


def _active(active: Active) -> dict[str, Any]:
    seconds = round(active.preparation.audio.seconds, 1) if active.preparation else None
    return {"job": active.job.id, "file": _path(active.job.source.path), "stage": stage(active), "seconds": seconds}


def _reason(job: Job) -> dict[str, Any]:
    return {"job": job.id, "file": _path(job.source.path), "reason": job.error}


def _path(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
