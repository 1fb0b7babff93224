"""Write outcomes to the outbox, whole or not at all.

Write, then record, then clean up: `deliver` returns once every file and its directory entry are on disk; the ledger
records that; only then may the source be touched (source_actions.py).  Knows folders; nothing of ledgers, or of inboxes
beyond one source.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from transcribed.core.errors import Obstructed, Unavailable, Withdrawn
from transcribed.core.types import Job, Outcome, Source, Transcript
from transcribed.output.renderer import DEFAULT_SETTINGS, NOTE, OutputSettings, file_name, render_files
from transcribed.output.source_actions import KEEP, SourceAction, has_newer_version, recording_url
from transcribed.system import safe_open
from transcribed.system.documents import read_bytes
from transcribed.system.safe_open import DEFAULT_PERMISSIONS, Permissions
from transcribed.system.temp_files import UNOWNED, TempFileOwner, files_below

MAX_TRANSCRIPT_BYTES = 2**28
RENAME_TIMEOUT_SECONDS = 5.0  # a reader on an SMB share can hold a file: 797 ms was the longest seen
# What one name or sub-folder in an outbox causes: a link, a folder or a stranger's file in its place, a name that the
# share does not allow.
_OF_A_NAME = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.EINVAL,
    errno.EILSEQ,
    errno.ENAMETOOLONG,
}
_HELD = {errno.EACCES, errno.EBUSY, errno.ETXTBSY}  # not EPERM: a stranger's file in a sticky folder is not let go


@dataclass(frozen=True, slots=True)
class Outbox:
    """The destination of the outcomes of one inbox, and its settings."""

    folder: Path
    settings: OutputSettings = DEFAULT_SETTINGS
    permissions: Permissions = DEFAULT_PERMISSIONS
    source_action: SourceAction = KEEP
    check: Callable[[Path], None] = lambda folder: None  # raises Unavailable if a folder is not the same as before
    owner: TempFileOwner = UNOWNED  # part of the names of its temporary files


def deliver(outcome: Outcome, outbox: Outbox) -> None:
    """Write every file of an outcome, durably.

    Raise Unavailable if the outbox cannot be written now, Obstructed if only these files cannot, and Withdrawn if the
    source has a newer version, which gets an outcome of its own.
    """
    _require_current(outcome.job.source)
    beside = (outbox.folder / outcome.job.output).parent
    url = recording_url(outcome.job.source, outbox.source_action, beside)
    contents = render_files(outcome, outbox.settings, url)
    try:
        outbox.check(outbox.folder)
        _write(outbox, outcome, contents)
        if isinstance(outcome, Transcript):
            _remove(outbox, outcome.job.output, NOTE)
        outbox.check(outbox.folder)  # its share may have gone meanwhile
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _OF_A_NAME and _can_create(outbox):
            sentence = f"{outbox.folder / outcome.job.output} cannot be written: {reason}."
            raise Obstructed(sentence, "Remove or rename what is in its place, or give the service access.") from error
        hint = "Free space, or check the share."
        if error.errno == errno.EROFS:
            hint = "The unit's sandbox may be the cause; `transcribed doctor` checks it and can open the sandbox."
        raise Unavailable(f"{outbox.folder} cannot be written: {reason}.", hint) from error


def _can_create(outbox: Outbox) -> bool:
    """Return True if the outbox accepts a new file: then an error is a matter of names in it."""
    path = outbox.folder / outbox.owner.name()
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        path.unlink()
    except OSError:
        return False
    return True


def remove_note(job: Job, outbox: Outbox) -> None:
    """Remove the note on a job's failure, if there is one.  Raises OSError."""
    _remove(outbox, job.output, NOTE)


def _require_current(source: Source) -> None:
    if has_newer_version(source):
        raise Withdrawn("The file has changed since it was read; the new version is a separate job.")


def transcripts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every JSON file below a folder: its name without the suffix, and its content.

    Unreadable files are skipped, and links are not followed.
    """
    with contextlib.suppress(OSError):
        for entry in files_below(folder):
            if entry.name.endswith(".json") and (data := read_bytes(Path(entry.path), MAX_TRANSCRIPT_BYTES)):
                yield os.path.relpath(entry.path, folder)[: -len(".json")], data


# --- writing -----------------------------------------------------------------------------------------


def _write(outbox: Outbox, outcome: Outcome, contents: Sequence[tuple[str, bytes]]) -> None:
    output, source = outcome.job.output, outcome.job.source
    files = {PurePath(file_name(output, suffix)).name: data for suffix, data in contents}
    with safe_open.open_parent(outbox.folder, output, create=outbox.permissions) as folder:
        write_atomically(folder, files, outbox.permissions, outbox.owner, lambda: _require_current(source))


def write_atomically(
    folder: int,
    files: Mapping[str, bytes],
    permissions: Permissions,
    owner: TempFileOwner = UNOWNED,
    insist: Callable[[], None] = lambda: None,
) -> None:
    """Write files so that each is complete or absent under its final name, even after a power cut.

    Raise OSError; only complete files are left behind.  `insist` is called before any file gets its final name, and may
    raise: a disk can hang for hours in between.  After an fsync error the pages count as clean and a second fsync would
    falsely succeed (PostgreSQL's fsyncgate), so a retry must write the files again.
    """
    temporary = {name: owner.name() for name in files}
    try:
        for name, data in files.items():
            _write_synced(folder, temporary[name], data, permissions)
        insist()
        for name, data in files.items():
            _rename(folder, temporary[name], name, data)
        safe_open.sync(folder)
    except BaseException:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(left, dir_fd=folder)
        raise


def _write_synced(folder: int, name: str, data: bytes, permissions: Permissions) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        permissions.give_file(file.fileno())
        os.fsync(file.fileno())


def _rename(folder: int, temporary: str, name: str, data: bytes) -> None:
    """Rename a file; wait while a reader holds the target, and check whether a share that reported an error did it."""
    until = time.monotonic() + RENAME_TIMEOUT_SECONDS
    while True:
        try:
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            return
        except OSError as error:
            if error.errno == errno.ENOENT and _holds(folder, name, data):
                return
            if error.errno not in _HELD or time.monotonic() > until:
                raise
        time.sleep(0.05)


def _holds(folder: int, name: str, data: bytes) -> bool:
    with contextlib.suppress(OSError), open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
        return file.read() == data
    return False


def _remove(outbox: Outbox, output: str, suffix: str) -> None:
    """Remove a file of ours; what a stranger has put in its place stays."""
    name = file_name(output, suffix)
    with (
        contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError),
        safe_open.open_parent(outbox.folder, name) as folder,
    ):
        os.unlink(PurePath(name).name, dir_fd=folder)
