"""Put outcomes where people look for them, whole or not at all.

Write, then record, then tidy: `deliver` returns once every file and its directory entry are on disk; the ledger records
that; only then may the source be touched (source_actions.py).  Knows folders; nothing of ledgers, or of inboxes beyond
one source.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from transcribed.core.errors import Unavailable, Withdrawn
from transcribed.core.types import Outcome, Source, Transcript
from transcribed.output.renderer import NOTE, USUAL_LOOK, Look, documents, file_name
from transcribed.output.source_actions import KEEP, Ending, final_place, superseded
from transcribed.system import safe_open
from transcribed.system.safe_open import USUAL_RIGHTS, Rights
from transcribed.system.temp_files import ANYBODY, Token

MAX_TRANSCRIPT_BYTES = 2**28
RENAME_PATIENCE_SECONDS = 5.0  # a reader on an SMB share can hold a file: 797 ms was the longest seen
_HELD = {errno.EACCES, errno.EBUSY, errno.EPERM, errno.ETXTBSY}


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where the outcomes of one inbox go, and how."""

    folder: Path
    look: Look = USUAL_LOOK
    rights: Rights = USUAL_RIGHTS
    ending: Ending = KEEP
    check: Callable[[Path], None] = lambda folder: None  # raises Unavailable where a folder is not the one it was
    token: Token = ANYBODY  # in the names of its temporary files


def deliver(outcome: Outcome, outbox: Outbox) -> None:
    """Write every file of an outcome, durably.

    Raises Unavailable when the outbox cannot take them now, and Withdrawn when the source has a newer version by now:
    its own outcome will come.
    """
    _insist(outcome.job.source)
    contents = documents(outcome, outbox.look, way_to_recording(outcome.job.source, outcome.job.output, outbox))
    try:
        outbox.check(outbox.folder)
        _write(outbox, outcome, contents)
        if isinstance(outcome, Transcript):
            _remove(outbox, outcome.job.output, NOTE)
        outbox.check(outbox.folder)  # its share may have gone meanwhile
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Free space, or check the share."
        if error.errno == errno.EROFS:
            hint = "The unit's sandbox may do that; `transcribed doctor` tells, and can open it."
        raise Unavailable(f"{outbox.folder} cannot be written: {reason}.", hint) from error


def _insist(source: Source) -> None:
    if superseded(source):
        raise Withdrawn("The file has changed since it was read; its new version is a job of its own.")


def transcripts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every JSON transcript below a folder: the output's name and the text.  What cannot be read is passed over."""
    for path in folder.rglob("*.json"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.is_file() and path.stat().st_size <= MAX_TRANSCRIPT_BYTES:
                yield str(path.relative_to(folder))[: -len(".json")], path.read_text()


# --- writing -----------------------------------------------------------------------------------------


def way_to_recording(source: Source, output: str, outbox: Outbox) -> str | None:
    """From the transcripts to where the recording will be, as a relative URL; None where it will be nowhere."""
    place = final_place(source, outbox.ending)
    if place is None:
        return None
    return quote(os.fsencode(os.path.relpath(place, (outbox.folder / output).parent)))


def _write(outbox: Outbox, outcome: Outcome, contents: Sequence[tuple[str, bytes]]) -> None:
    output, source = outcome.job.output, outcome.job.source
    files = {PurePath(file_name(output, suffix)).name: data for suffix, data in contents}
    with safe_open.folder(outbox.folder, output, create=outbox.rights) as folder:
        write_whole(folder, files, outbox.rights, outbox.token, lambda: _insist(source))


def write_whole(
    folder: int,
    files: Mapping[str, bytes],
    rights: Rights,
    token: Token = ANYBODY,
    insist: Callable[[], None] = lambda: None,
) -> None:
    """Under its final name a file is whole or not there, also after a power cut.  Raises OSError; leaves nothing
    behind but files that are whole.

    `insist` is called before anything gets its final name, and may raise: a disk can hang for hours in between.
    After an error of fsync the pages count as clean and a second fsync would lie (PostgreSQL's fsyncgate), so whoever
    tries again writes anew.
    """
    temporary = {name: token.name() for name in files}
    try:
        for name, data in files.items():
            _write_synced(folder, temporary[name], data, rights)
        insist()
        for name, data in files.items():
            _rename(folder, temporary[name], name, data)
        safe_open.sync(folder)
    except BaseException:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(left, dir_fd=folder)
        raise


def _write_synced(folder: int, name: str, data: bytes, rights: Rights) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        rights.give_file(file.fileno())
        os.fsync(file.fileno())


def _rename(folder: int, temporary: str, name: str, data: bytes) -> None:
    """Rename, with patience where a reader holds the target, and with a look where a share says no but did it."""
    until = time.monotonic() + RENAME_PATIENCE_SECONDS
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
    name = file_name(output, suffix)
    with contextlib.suppress(FileNotFoundError), safe_open.folder(outbox.folder, name) as folder:
        os.unlink(PurePath(name).name, dir_fd=folder)
