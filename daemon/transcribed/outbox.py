"""Put outcomes where people look for them, whole or not at all; then let become of the source what was agreed.

Write, then record, then tidy: `deliver` returns once every file and its directory entry are on disk; the ledger
records that; only then `tidy` may touch the source.  Knows folders and formats; nothing of ledgers or inboxes beyond
one source.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from transcribed import beneath
from transcribed.core import Failure, Outcome, Source, Transcript
from transcribed.errors import Unavailable, Withdrawn
from transcribed.formats import FORMATS, USUAL, Format, render
from transcribed.leftovers import ANYBODY, Token
from transcribed.printable import printable

AfterSuccess = Literal["keep", "move", "delete"]

NOTE = "error.txt"
MAX_NAME_BYTES = 255
MAX_TRANSCRIPT_BYTES = 2**28
RENAME_PATIENCE_SECONDS = 5.0  # a reader on an SMB share can hold a file: 797 ms was the longest seen
_UNKNOWN_TO_SHARES = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM}
_HELD = {errno.EACCES, errno.EBUSY, errno.EPERM, errno.ETXTBSY}


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where the outcomes of one inbox go, and how."""

    folder: Path
    formats: Sequence[Format] = USUAL
    mode: int = 0o664
    after_success: AfterSuccess = "keep"
    move_to: Path | None = None
    check: Callable[[Path], None] = lambda folder: None  # raises Unavailable where a folder is not the one it was
    token: Token = ANYBODY  # in the names of its temporary files


def deliver(outcome: Outcome, outbox: Outbox) -> None:
    """Write every file of an outcome, durably.

    Raises Unavailable when the outbox cannot take them now, and Withdrawn when the source has a newer version by now:
    its own outcome will come.
    """
    _insist(outcome.job.source)
    output, texts = outcome.job.output, _texts(outcome, outbox)
    try:
        outbox.check(outbox.folder)
        _write(outbox, outcome, texts)
        if isinstance(outcome, Transcript):
            _remove(outbox, output, NOTE)
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


def _texts(outcome: Outcome, outbox: Outbox) -> list[tuple[str, str]]:
    """Suffix and content of every file of an outcome."""
    if isinstance(outcome, Transcript):
        return [(format, render(outcome, format)) for format in FORMATS if format in outbox.formats]
    return [(NOTE, note(outcome))]


def note(failure: Failure) -> str:
    """What a person reads instead of a transcript."""
    source = failure.job.source
    lines = [f"{printable(source.name)} could not be transcribed.", "", failure.reason]
    lines += [failure.hint] if failure.hint else []
    lines += ["", "If there is an older transcript beside this note, it is of an earlier version of the file."]
    lines += ["The recording itself is untouched.  To have it tried again, drop it in again, or run:"]
    return "\n".join([*lines, f"    transcribed retry {_shell_word(str(source.path))}", ""])


def file_name(output: str, suffix: str) -> str:
    """`output.suffix`; a name too long for a file system is cut on a character and told apart by a hash."""
    folder, name = os.path.split(output)
    room = MAX_NAME_BYTES - len(NOTE) - 1  # for the longest suffix, so that all files of a recording share their stem
    if len(os.fsencode(name)) > room:
        tail = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
        name = os.fsencode(name)[: room - len(tail)].decode("utf-8", "ignore") + tail
    return os.path.join(folder, f"{name}.{suffix}")


def transcripts(folder: Path) -> Iterator[tuple[str, str]]:
    """Every JSON transcript below a folder: the output's name and the text.  What cannot be read is passed over."""
    for path in folder.rglob("*.json"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.is_file() and path.stat().st_size <= MAX_TRANSCRIPT_BYTES:
                yield str(path.relative_to(folder))[: -len(".json")], path.read_text()


# --- writing -----------------------------------------------------------------------------------------


def _write(outbox: Outbox, outcome: Outcome, texts: Sequence[tuple[str, str]]) -> None:
    output, source = outcome.job.output, outcome.job.source
    names = [PurePath(file_name(output, suffix)).name for suffix, _ in texts]
    data = [text.encode("utf-8", "backslashreplace") for _, text in texts]  # of undecodable names, escapes remain
    with beneath.folder(outbox.folder, output, create=True) as folder:
        files = dict(zip(names, data, strict=True))
        write_whole(folder, files, outbox.mode, outbox.token, lambda: _insist(source))


def write_whole(
    folder: int,
    files: Mapping[str, bytes],
    mode: int,
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
            _write_synced(folder, temporary[name], data, mode)
        insist()
        for name, data in files.items():
            _rename(folder, temporary[name], name, data)
        _sync_folder(folder)
    except BaseException:
        for left in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(left, dir_fd=folder)
        raise


def _write_synced(folder: int, name: str, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        with _where_known():
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _sync_folder(folder: int) -> None:
    with _where_known():
        os.fsync(folder)


@contextlib.contextmanager
def _where_known() -> Iterator[None]:
    """Shares may know no modes, and no syncing of folders; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNKNOWN_TO_SHARES:
            raise


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
    with contextlib.suppress(FileNotFoundError), beneath.folder(outbox.folder, name) as folder:
        os.unlink(PurePath(name).name, dir_fd=folder)


# --- tidying -----------------------------------------------------------------------------------------


def tidy(source: Source, outbox: Outbox) -> None:
    """Keep, move or delete a source whose transcript is on disk and recorded.

    Only the very version that was transcribed is touched; another file under its name, or none, is left alone.  Raises
    Unavailable to be asked again later.
    """
    if outbox.after_success == "keep":
        return
    try:
        if outbox.move_to:
            outbox.check(outbox.move_to)
        with beneath.folder(source.inbox, source.name) as folder:
            if not _is(source, folder):
                return
            if outbox.after_success == "delete":
                os.unlink(source.path.name, dir_fd=folder)
            elif outbox.move_to:
                _move(source, folder, outbox.move_to)
            _sync_folder(folder)
    except FileNotFoundError as error:
        if outbox.move_to and not os.path.isdir(outbox.move_to):
            raise Unavailable(f"{outbox.move_to} is not there.", "Check the share.") from error
    except OSError as error:
        raise Unavailable(f"{source.path} could not be put away: {error.strerror}.") from error


def superseded(source: Source) -> bool:
    """Whether another version lies under the source's name.  A source taken away has none, and keeps its transcript."""
    try:
        with beneath.folder(source.inbox, source.name) as folder:
            return not _is(source, folder)
    except (OSError, ValueError):
        return False


def _is(source: Source, folder: int) -> bool:
    return source.is_version(os.stat(source.path.name, dir_fd=folder, follow_symlinks=False))


def _move(source: Source, folder: int, target_root: Path) -> None:
    """Into the same sub-folder of `target_root`, as `a.wav`, or `a~1.wav`, `a~2.wav`, ...; never over another file."""
    old = source.path.name
    stem, suffix = os.path.splitext(old)
    with beneath.folder(target_root, source.name, create=True) as target:
        for new in itertools.chain([old], (f"{stem}~{n}{suffix}" for n in itertools.count(1))):
            try:
                os.link(old, new, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
                os.unlink(old, dir_fd=folder)
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                try:  # a share without hard links: the name is taken first, so that nothing is ever replaced
                    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
                except FileExistsError:
                    continue
                os.rename(old, new, src_dir_fd=folder, dst_dir_fd=target)
            break
        _sync_folder(target)


def _shell_word(path: str) -> str:
    """A path as a shell takes it, with nothing in it that a terminal would act on (bash, ANSI-C quoting)."""
    if path.isprintable():
        return shlex.quote(path)
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in "'\\" else f"\\x{b:02x}" for b in os.fsencode(path))
    return f"$'{''.join(plain)}'"
