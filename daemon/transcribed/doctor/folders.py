"""Checks of each inbox, its outbox and its `move_to` folder.

Judges the reports of folder_trial.py.  Knows settings and folders.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from transcribed.config import folder_checks
from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.quantities import size
from transcribed.doctor import sandbox_access
from transcribed.doctor.findings import Finding, fault, note, ok, warning
from transcribed.doctor.folder_trial import FolderReport, WriteTrial, inspect
from transcribed.doctor.sandbox_access import ConfiguredPath, places
from transcribed.doctor.service_user import ServiceUser, group_name
from transcribed.doctor.unit_file import UnitFile
from transcribed.system import filesystems
from transcribed.system.isolated_call import CallCrashed, CallTimeout, NoAnswer, isolated_call

LOOK_SECONDS = 15.0
LOW_BYTES, LOW_INODES = 2**30, 1000  # below this, an outbox's disk will soon be full
FULL_BYTES = 2**24
_MODE = 0o600  # of a file written only to test permissions

Judge = Callable[[Path, FolderReport, str], Iterator[Finding]]


def of_all(settings: Settings, unit: UnitFile, logs: Path | None) -> Iterator[Finding]:
    """Check that folders do not overlap, and that the unit's sandbox leaves them open."""
    wanted = places(settings, logs)
    try:
        misplaced, real = isolated_call(_laid_out, settings, [place.path for place in wanted], seconds=LOOK_SECONDS)
    except NoAnswer:
        yield note("A folder does not respond, so overlapping folders cannot be detected.")
        misplaced, real = [], [place.path for place in wanted]
    for sentence in misplaced:
        yield fault(f"{sentence[0].upper()}{sentence[1:]}.", "Change the configuration.")
    followed = dict(zip([place.path for place in wanted], real, strict=True))
    moved = [(followed[inbox], followed[move_to]) for inbox, move_to in sandbox_access.moves(settings)]
    yield from sandbox_access.findings(
        [ConfiguredPath(followed[place.path], place.written) for place in wanted], unit, moved
    )
    yield from sandbox_access.of_writers(settings, unit)


def _laid_out(settings: Settings, paths: list[Path]) -> tuple[list[str], list[Path]]:
    """Return the layout errors, and the paths with links resolved."""
    return list(folder_checks.layout_errors(settings)), [path.resolve() for path in paths]


def of_inbox(inbox: Inbox, user: ServiceUser, seconds: float = LOOK_SECONDS) -> Iterator[Finding]:
    """Check the inbox, its outbox and its `move_to` folder; one that hangs costs only its own findings."""
    of = functools.partial(_of, user, seconds)
    moves_to = inbox.move_to if inbox.after_success == "move" else None
    mode = None if inbox.after_success == "keep" else _MODE
    yield from of(inbox.path, functools.partial(judge_inbox, inbox, moves_to), mode=mode, onto=moves_to)
    yield from of(inbox.outbox, judge_outbox, mode=int(inbox.output_mode, 8))
    if moves_to:
        yield from of(moves_to, judge_target, mode=_MODE)


def _of(
    user: ServiceUser, seconds: float, folder: Path, judge: Judge, mode: int | None, onto: Path | None = None
) -> Iterator[Finding]:
    try:
        question = functools.partial(inspect, folder, mode=mode, onto=onto)
        report = isolated_call(question, seconds=seconds, identity=user.identity, what=str(folder))
    except (CallTimeout, CallCrashed) as error:
        yield fault(str(error), "The share may be dead: `mount` shows its server.  Other folders are not affected.")
        return
    if report.awaited:
        sentence = f"{folder} is below the mount point {report.awaited} of /etc/fstab, and nothing is mounted there."
        fix = "Files written there before mounting would become hidden."
        yield fault(sentence, f"`mount {shlex.quote(str(report.awaited))}`.  {fix}")
    if report.missing:
        yield fault(f"{user.name} cannot use {folder}: {report.missing}.", _way_in(folder, report.missing, user.name))
    else:
        yield from judge(folder, report, user.name)


def judge_inbox(
    inbox: Inbox, moves_to: Path | None, folder: Path, report: FolderReport, user: str
) -> Iterator[Finding]:
    if report.unread:
        yield fault(f"{user} cannot list {folder}: {report.unread}.", _way_in(folder, report.unread, user))
        return
    yield ok(f"{user} can read {folder}; {watched(inbox, report.kind)}.")
    if inbox.watch == "events" and report.kind not in filesystems.LOCAL:
        sentence = f"{folder} is on {report.kind}, which sends no events for changes by other machines."
        yield warning(sentence, 'Set watch = "auto"; until then, the regular scan finds files within a minute.')
    for closed, what in ((report.closed_files, "read {} of the files"), (report.closed_folders, "enter {} folders")):
        if closed:
            sentence = f"{user} cannot {what.format(closed)} in {folder}."
            yield warning(sentence, f"Let new files and folders be readable by {user} or its group (umask, or an ACL).")
    if report.trial and report.trial.refused:
        yield _refused(folder, report.trial.refused, user)
    elif report.trial and report.trial.moved:
        sentence = f"Recordings cannot be moved from {folder} to {moves_to}: {report.trial.moved}."
        yield fault(sentence, "Set move_to to a folder on the same file system that the service can write.")


def watched(inbox: Inbox, kind: str) -> str:
    """Return how new files are noticed, and why."""
    local = kind in filesystems.LOCAL
    plan = inbox.watch_plan(local)
    if plan.by_events:
        return f"new files are noticed by events ({kind}{' is local' if local else ''}) and by a scan every minute"
    why = "as configured" if inbox.watch == "poll" else "no events for changes by other machines"
    return f"the folder is scanned every {plan.rescan_seconds:g} s ({kind}: {why})"


def judge_outbox(folder: Path, report: FolderReport, user: str) -> Iterator[Finding]:
    if report.trial and not report.trial.refused:
        yield ok(f"{user} can create, sync, rename and remove files in {folder} ({report.kind}).")
    yield from _of_room(folder, report)
    if report.trial:
        yield from _of_trial(folder, report.trial, user)


def judge_target(folder: Path, report: FolderReport, user: str) -> Iterator[Finding]:
    if report.trial and not report.trial.refused:
        yield ok(f"{folder} accepts finished recordings ({report.kind}).")
    yield from _of_trial(folder, report.trial or WriteTrial(), user)


def _of_room(folder: Path, report: FolderReport) -> Iterator[Finding]:
    if report.free_bytes < LOW_BYTES:
        level = fault if report.free_bytes < FULL_BYTES else warning
        yield level(
            f"The disk of {folder} has only {size(report.free_bytes)} left.", "Free some space; transcripts wait."
        )
    if report.free_inodes is not None and report.free_inodes < LOW_INODES:
        sentence = f"The disk of {folder} can hold only {report.free_inodes} more files (inodes)."
        yield warning(sentence, "Remove small files; `df -i` shows the inodes in use.")


def _of_trial(folder: Path, trial: WriteTrial, user: str) -> Iterator[Finding]:
    if trial.refused:
        yield _refused(folder, trial.refused, user)
        return
    if not trial.knows_case:
        yield note(f"{folder} treats A.wav and a.wav as one file; their transcripts get different names.")
    if not trial.keeps_mode:
        yield note(f"{folder} does not store file modes; its mount options decide who can read transcripts.")
    elif not trial.keeps_group:
        sentence = f"Files that {user} writes in {folder} do not get the folder's group, {group_name(trial.group)}."
        yield note(sentence, f"Run `chmod g+s {shlex.quote(str(folder))}` so that everyone with access can read them.")


def _refused(folder: Path, reason: str, user: str) -> Finding:
    return fault(f"{user} cannot write in {folder}: {reason}.", _way_in(folder, reason, user))


def _way_in(path: Path, reason: str, user: str) -> str:
    folder = shlex.quote(str(path))
    match reason:
        case "No such file or directory":
            return f"Run `install -d -m 2775 -g {user} {folder}`, or mount the share."
        case "Not a directory":
            return "Configure a folder."
        case "Read-only file system":
            return "Mount it writable; `dmesg` shows whether an error made it read-only."
        case "No space left on device" | "Disk quota exceeded":
            return "Free some space, or raise the quota."
        case "Permission denied" | "Operation not permitted":
            return (
                f"Run `setfacl -m u:{user}:rwx {folder}` and grant `u:{user}:x` on its parents, or add {user} to the "
                "group."
            )
    return "Check the disk or share of the folder."
