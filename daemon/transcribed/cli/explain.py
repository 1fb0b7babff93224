"""Why a file has no transcript yet, or where it is, in plain sentences.

Reads what is on disk and nothing else; knows no running daemon.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.errors import Unavailable
from transcribed.core.types import Job, State
from transcribed.ingest.ignore import is_ignored
from transcribed.ingest.scanner import MAX_DEPTH
from transcribed.output.renderer import NOTE, file_name, suffix_of
from transcribed.state.directory import ledger_path
from transcribed.state.queries import WAITING_FOR_INBOX, LedgerQueries, read_only


def explain(path: Path, settings: Settings, status: dict[str, Any] | None) -> Iterator[str]:
    """Sentences, the decisive one first.  `status` is what the daemon last said of itself, or None."""
    inbox = settings.inbox_of(path)
    if inbox is None:
        yield f"It lies in no inbox; the inboxes are {', '.join(str(i.path) for i in settings.inbox)}."
        return
    reason = is_ignored(str(path.relative_to(inbox.path)), inbox.ignore)
    if reason:
        yield f"It is passed over: {reason}."
        return
    if hindrance := _out_of_sight(path, inbox.path):
        yield hindrance
        return
    jobs = _jobs(settings, path)
    yield from _of_file(path, inbox, jobs[0] if jobs else None, status)
    if not (status and status["alive"]):
        yield "The daemon is not running; nothing happens until it is started."


def _out_of_sight(path: Path, inbox: Path) -> str | None:
    """Why a walk of the inbox never comes to this file."""
    between = [parent for parent in path.parents if inbox in parent.parents]
    if linked := next((parent for parent in between if parent.is_symlink()), None):
        return f"It lies behind {linked}, a link; links are never followed."
    if len(between) > MAX_DEPTH:
        return f"It lies more than {MAX_DEPTH} folders deep; deeper ones are not looked at."
    return None


def _jobs(settings: Settings, path: Path) -> list[Job]:
    try:
        ledger: LedgerQueries = read_only(ledger_path(settings.state_dir))
    except Unavailable:
        return []
    try:
        return ledger.find(path)
    finally:
        ledger.close()


def _of_file(path: Path, inbox: Inbox, job: Job | None, status: dict[str, Any] | None) -> Iterator[str]:
    try:
        now = path.lstat()
    except OSError as error:
        yield f"It cannot be looked at: {error.strerror}."
        if job:
            yield _of_job(job, inbox, status)
        return
    if not stat.S_ISREG(now.st_mode):
        yield "It is not a regular file; links, folders and devices are never read."
    elif job is None or not job.source.is_version(now):
        yield _unknown(path, job, status)
    else:
        yield _of_job(job, inbox, status)


def _unknown(path: Path, job: Job | None, status: dict[str, Any] | None) -> str:
    growing = {entry["file"]: entry["seconds"] for entry in (status or {}).get("growing", [])}
    if str(path) in growing:
        return f"It was not yet quiet for long enough when last seen ({growing[str(path)]} s so far)."
    if job:
        return (
            f"It has changed since it was {job.state}; this version will be noticed at the next look, within a minute."
        )
    return "It has not been noticed yet; it will be at the next look, within a minute."


def _of_job(job: Job, inbox: Inbox, status: dict[str, Any] | None) -> str:
    match job.state:
        case State.DONE if job.error:
            return f"Nothing is owed for it: {job.error}"
        case State.DONE:
            suffixes = (suffix_of(format, "LANGUAGE", inbox.output_settings) for format in inbox.formats)
            files = ", ".join(str(inbox.outbox / file_name(job.output, suffix)) for suffix in suffixes)
            return f"It is done: {files}{'  ' + job.suspicion if job.suspicion else ''}"
        case State.FAILED:
            return f"It failed: {job.error}  See {inbox.outbox / file_name(job.output, NOTE)}"
        case State.ACTIVE:
            return f"It is being worked on: {_stage(job, status)}.{_obstacle(status)}"
        case State.QUEUED if job.error:
            when = "" if job.not_before >= WAITING_FOR_INBOX else f"  It is tried again at {_clock(job.not_before)}."
            return f"It waits: {job.error}{when}"
    return "It waits for its turn."


def _stage(job: Job, status: dict[str, Any] | None) -> str:
    stages = {entry["job"]: entry["stage"] for entry in (status or {}).get("active", [])}
    return str(stages.get(job.id, "started"))


def _obstacle(status: dict[str, Any] | None) -> str:
    """Why no slot takes anything, if none does."""
    waits = [slot["waits"] for slot in (status or {}).get("slots", [])]
    return f"  {' '.join(waits)}" if waits and all(waits) else ""


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
