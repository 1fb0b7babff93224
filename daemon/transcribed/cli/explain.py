"""Explain in plain sentences why a file has no transcript yet, or where the transcript is.

Reads only from disk; knows no running daemon.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.errors import Unavailable
from transcribed.core.types import Job, State
from transcribed.ingest.ignore import is_ignored
from transcribed.ingest.scanner import MAX_DEPTH, in_progress
from transcribed.output.formats import FORMATS
from transcribed.output.renderer import NOTE, file_name, suffix_of
from transcribed.state.directory import ledger_path
from transcribed.state.queries import WAITING_FOR_INBOX, read_only
from transcribed.state.status_document import StatusDocument


def explain(path: Path, settings: Settings, status: StatusDocument | None) -> Iterator[str]:
    """Yield sentences, the decisive one first.  `status` is the daemon's last status document, or None."""
    inbox = settings.inbox_of(path)
    if inbox is None:
        yield f"The file is not in an inbox; the inboxes are {', '.join(str(i.path) for i in settings.inbox)}."
        return
    reason = is_ignored(str(path.relative_to(inbox.path)), inbox.ignore)
    if reason:
        yield f"The file is ignored: {reason}."
        return
    if hindrance := _out_of_sight(path, inbox.path):
        yield hindrance
        return
    parents = [parent for parent in path.parents if inbox.path in parent.parents]
    job, *closed = _newest_jobs(settings, [path, *parents])
    if failed := next((one for one in closed if one and one.state is State.FAILED), None):
        yield f"The folder {failed.source.path} is not read: {failed.error}"
    yield from _of_file(path, inbox, job, status)
    if not (status and status["alive"]):
        yield "The daemon is not running; nothing happens until it starts."


def _out_of_sight(path: Path, inbox: Path) -> str | None:
    """Return why a scan of the inbox never reaches this file; None if it does."""
    between = [parent for parent in path.parents if inbox in parent.parents]
    if linked := next((parent for parent in between if parent.is_symlink()), None):
        return f"The file is behind the link {linked}; links are never followed."
    if len(between) > MAX_DEPTH:
        return f"The file is more than {MAX_DEPTH} folders deep; deeper folders are not scanned."
    return None


def _newest_jobs(settings: Settings, paths: Sequence[Path]) -> list[Job | None]:
    """Return the job of the newest version of each file, or of a folder that could not be entered; None without one."""
    try:
        with contextlib.closing(read_only(ledger_path(settings.state_dir))) as ledger:
            return [next(iter(ledger.find(path)), None) for path in paths]
    except Unavailable:
        return [None for _ in paths]


def _of_file(path: Path, inbox: Inbox, job: Job | None, status: StatusDocument | None) -> Iterator[str]:
    try:
        now = path.lstat()
    except OSError as error:
        yield f"The file cannot be accessed: {error.strerror}."
        if job:
            yield _of_job(job, inbox, status)
        return
    if not stat.S_ISREG(now.st_mode) and not (job and stat.S_ISDIR(now.st_mode)):
        yield "The path is not a regular file; links, folders and devices are never read."
    elif job is None or not job.source.is_version(now):
        yield _unknown(path, job, status)
    else:
        yield _of_job(job, inbox, status)


def _unknown(path: Path, job: Job | None, status: StatusDocument | None) -> str:
    growing = {entry["file"]: entry["seconds"] for entry in (status["growing"] if status else ())}
    if beside := in_progress(path):
        return f"The file waits as long as {beside.name} lies beside it: a program is still writing it."
    if str(path) in growing:
        return f"The file has not settled yet; it may still be growing (watched for {growing[str(path)]} s so far)."
    if job:
        return (
            f"The file has changed since it was {job.state}; the next scan, within a minute, will notice this version."
        )
    return "The file has not been noticed yet; the next scan, within a minute, will find it."


def _of_job(job: Job, inbox: Inbox, status: StatusDocument | None) -> str:
    match job.state:
        case State.DONE if job.error:
            return f"The file will not be transcribed: {job.error}"
        case State.DONE:
            return f"The transcript is done: {_files(job, inbox)}{'  ' + job.suspicion if job.suspicion else ''}"
        case State.FAILED:
            return f"The transcription failed: {job.error}  See {inbox.outbox / file_name(job.output, NOTE)}"
        case State.ACTIVE:
            return f"The file is in progress: {_stage(job, status)}.{_obstacle(status)}"
        case State.QUEUED if job.error:
            when = "" if job.not_before >= WAITING_FOR_INBOX else f"  The next attempt is at {_clock(job.not_before)}."
            return f"The file is waiting: {job.error}{when}"
    return "The file is queued and waits for its turn."


def _files(job: Job, inbox: Inbox) -> str:
    """Return the transcripts that are there, of whatever formats; those of the configuration if none can be seen."""
    paths = {
        format: inbox.outbox / file_name(job.output, suffix_of(format, "LANGUAGE", inbox.output_settings))
        for format in FORMATS
    }
    there = [path for path in paths.values() if os.path.exists(path)]
    return ", ".join(map(str, there or [paths[format] for format in inbox.formats]))


def _stage(job: Job, status: StatusDocument | None) -> str:
    stages = {entry["job"]: entry["stage"] for entry in (status["active"] if status else ())}
    return stages.get(job.id, "started")


def _obstacle(status: StatusDocument | None) -> str:
    """Return why no slot takes work; empty if one does."""
    waits = [slot["waits"] or "" for slot in (status["slots"] if status else ())]
    return f"  {' '.join(waits)}" if waits and all(waits) else ""


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
