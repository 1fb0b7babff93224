"""Checks of the kernel's inotify limits for the inboxes that are watched by events.

Judges counts; inspects folders through folder_trial.py, and reads the kernel's limits.  Source: inotify(7), "/proc
interfaces".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.doctor.findings import Finding, note, ok, warning
from transcribed.doctor.folder_trial import MAX_ENTRIES, FolderReport, inspect
from transcribed.doctor.service_user import ServiceUser
from transcribed.system import filesystems
from transcribed.system.isolated_call import NoAnswer, isolated_call

LIMITS = Path("/proc/sys/fs/inotify")
COUNT_SECONDS = 15.0
TIGHT = 0.8  # of a limit: other programs of the same user need watches too


def findings(settings: Settings, user: ServiceUser, limits: Path = LIMITS) -> Iterator[Finding]:
    counts = []
    for inbox in settings.inbox:
        try:
            question = functools.partial(inspect, inbox.path)
            report = isolated_call(question, seconds=COUNT_SECONDS, identity=user.identity, what=str(inbox.path))
        except NoAnswer:
            yield note(f"The folders below {inbox.path} could not be counted in time.")
            continue
        counts += [report.folders] if _by_events(inbox, report) else []
    if counts:
        watches, instances = (_limit(limits / f"max_user_{name}") for name in ("watches", "instances"))
        yield from judge(sum(counts), len(counts), watches, instances)


def judge(folders: int, inboxes: int, watches: int | None, instances: int | None) -> Iterator[Finding]:
    """Compare the need (a watch per folder, an instance per inbox) with the kernel's limits per user."""
    if watches is None or instances is None:
        yield note("The kernel does not report its inotify limits.")
        return
    many = "more than " if folders >= MAX_ENTRIES else ""
    if folders > TIGHT * watches:
        sentence = f"The inboxes have {many}{folders} folders; the kernel allows a user {watches} inotify watches."
        yield warning(f"{sentence}  In the rest, only the scan finds new files.", _raise("watches", folders))
    elif inboxes > TIGHT * instances:
        sentence = f"{inboxes} inboxes are watched by events; the kernel allows a user {instances} inotify instances."
        yield warning(f"{sentence}  The rest are only scanned.", _raise("instances", inboxes))
    else:
        needed = f"{many}{folders} and {inboxes} are needed"
        yield ok(f"The kernel allows {watches} inotify watches and {instances} instances; {needed}.")


def _raise(what: str, needed: int) -> str:
    line = f"fs.inotify.max_user_{what} = {max(1024, 4 * needed)}"
    return f"Write `{line}` to /etc/sysctl.d/50-transcribed.conf and run `sysctl --system`."


def _by_events(inbox: Inbox, report: FolderReport) -> bool:
    return not report.missing and inbox.watch_plan(report.kind in filesystems.LOCAL).by_events


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
