"""Define the housekeeping tasks and their times, as configured.

Knows settings, and the functions that each task needs; runs nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from transcribed.config.settings import Settings, log_folder
from transcribed.core.events import CheckpointLedger, Event, SpoolListed
from transcribed.operations import heartbeat, ledger_pruning
from transcribed.operations.alerts import alert_log
from transcribed.operations.status import DaemonStatus
from transcribed.operations.task_scheduler import Task
from transcribed.state import checkpoint, control_files, spool
from transcribed.state.directory import ledger_path
from transcribed.state.status_document import StatusDocument
from transcribed.system import documents, log, log_rotation
from transcribed.system.filesystems import FileId
from transcribed.system.log_rotation import Rotation
from transcribed.system.striped_executor import StripedExecutor
from transcribed.system.temp_files import StaleTempFiles, TempFileOwner, sweep, sweep_in_slices

PING_CRON = "*/5 * * * *"
SHORT_SECONDS, LONG_SECONDS = 60.0, 3600.0  # deadlines: of small tasks, and of those that grow with the disk
_DAY_SECONDS = 86_400.0

OnEvent = Callable[[Event], None]


def make_tasks(
    settings: Settings,
    *,
    owner: TempFileOwner,
    writers: Mapping[Path, StripedExecutor],
    on_event: OnEvent,
    inboxes: Callable[[], Mapping[Path, FileId]],
    status: Callable[[], DaemonStatus | None],
) -> list[Task]:
    """Return the tasks that the settings ask for.

    `writers` by outbox; `on_event` puts events in the mailbox; `inboxes` returns those in which files have settled in
    this run, with their roots at that time; `status` returns the last status.
    """
    wanted, ledger = settings.housekeeping, ledger_path(settings.state_dir)
    half_asked = StaleTempFiles(prefix=".")
    found = [
        Task("spool clean-up", wanted.clean, partial(_clean_spool, settings.spool_dir, on_event), SHORT_SECONDS),
        Task("requests clean-up", wanted.clean, partial(_requests, settings.state_dir, half_asked), SHORT_SECONDS),
        *(
            Task(f"clean-up of {box}", wanted.clean, partial(_clean, writer, box, StaleTempFiles(owner)), LONG_SECONDS)
            for box, writer in writers.items()
        ),
        Task("ledger check", wanted.ledger, partial(_check, ledger, on_event), LONG_SECONDS),
        Task(
            "ledger pruning", wanted.ledger, partial(_prune, ledger, inboxes, wanted.keep_days, on_event), LONG_SECONDS
        ),
        Task("heartbeat", wanted.heartbeat, lambda: heartbeat.log_heartbeat(status()), SHORT_SECONDS),
    ]
    if wanted.ping_url:
        found.append(Task(heartbeat.PING, PING_CRON, partial(_ping, wanted.ping_url, status), SHORT_SECONDS))
    return [*found, *_log_tasks(log_folder(settings), settings.log.rotated, settings.log.rotate, wanted.clean)]


def last_runs(state_dir: Path) -> dict[str, float]:
    """Return when each housekeeping task last started, as recorded by an earlier run."""
    status = documents.recall(state_dir / control_files.STATUS, StatusDocument)
    return {
        entry["task"]: entry["last_run"] for entry in (status["housekeeping"] if status else ()) if entry["last_run"]
    }


def clean_once(writers: Mapping[Path, StripedExecutor], owner: TempFileOwner) -> None:
    """Remove, at the start, the temporary files of the previous daemon.

    Returns at once; a large outbox is cleaned in the background.
    """
    for box, writer in writers.items():
        clean = partial(_clean, writer, box, StaleTempFiles(owner))
        threading.Thread(target=clean, name=f"clean-up of {box}", daemon=True).start()


def rotate_logs(folder: Path, rotated: Rotation, at_least_bytes: int) -> None:
    """Rotate the log files of at least this size, and compress the rotated ones.  Raises Unavailable, OSError."""
    if at_least_bytes <= 1:  # rotation of our own log by size happens as it is written
        log.rotate()
    log_rotation.rotate(folder / alert_log.FILE, rotated.keep, at_least_bytes)
    for name in (log.FILE, alert_log.FILE):
        log_rotation.compress(folder / name)


def _log_tasks(folder: Path | None, rotated: Rotation, daily: str, often: str) -> Iterator[Task]:
    if folder and not rotated.external:
        one_by_one = threading.Lock()  # both are due at midnight, and only one may compress
        yield Task("log rotation", daily, partial(_alone, one_by_one, rotate_logs, folder, rotated, 1), LONG_SECONDS)
        by_size = partial(_alone, one_by_one, rotate_logs, folder, rotated, rotated.max_bytes)
        yield Task("log compression", often, by_size, LONG_SECONDS)


def _alone(lock: threading.Lock, act: Callable[..., None], *args: Any) -> None:
    with lock:
        act(*args)


def _clean(writers: StripedExecutor, folder: Path, leftovers: StaleTempFiles) -> None:
    """Sweep in the threads that write there: a hung disk blocks nothing else.

    In slices, so that they can write in between.
    """
    walk = sweep_in_slices(folder, leftovers, time.monotonic())
    while writers.submit(Path(), next, walk, None).result() is not None:
        pass


def _clean_spool(folder: Path, on_event: OnEvent) -> None:
    on_event(SpoolListed(spool.jobs(folder)))
    checkpoint.sweep(folder)


def _requests(state_dir: Path, leftovers: StaleTempFiles) -> None:
    """Remove requests that a killed command left half-written."""
    with contextlib.suppress(FileNotFoundError):
        sweep(state_dir / control_files.REQUESTS, leftovers, time.monotonic())


def _check(ledger: Path, on_event: OnEvent) -> None:
    try:
        ledger_pruning.check_integrity(ledger)
    finally:
        on_event(CheckpointLedger())


def _prune(ledger: Path, inboxes: Callable[[], Mapping[Path, FileId]], keep_days: float, on_event: OnEvent) -> None:
    ledger_pruning.prune(ledger, inboxes(), time.time() - keep_days * _DAY_SECONDS, on_event, time.sleep)


def _ping(url: str, status: Callable[[], DaemonStatus | None]) -> None:
    heartbeat.ping(url, status())
