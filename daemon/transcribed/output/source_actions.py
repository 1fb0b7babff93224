"""Keep, move or delete a source in its inbox, and check whether it is still the same version.

Only the version that was transcribed is ever touched, and only while nobody is known to write it.  Every step may be
cut short by a kill, and the next call goes on from there.  Knows folders; nothing of transcripts or ledgers.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from transcribed.core.errors import Unavailable
from transcribed.core.types import SIDECAR, Source
from transcribed.system import filesystems, safe_open
from transcribed.system.safe_open import DEFAULT_PERMISSIONS, sync

SECOND_LOOK_SECONDS = 120.0  # a hidden file has not changed for so long before it is deleted
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}

AfterSuccess = Literal["keep", "move", "delete"]


@dataclass(frozen=True, slots=True)
class SourceAction:
    """The action on a source whose transcript is on disk and recorded."""

    after: AfterSuccess = "keep"
    move_to: Path | None = None
    check: Callable[[Path], None] = lambda folder: None  # raises Unavailable if a folder is not the same as before


KEEP = SourceAction()


def destination(source: Source, action: SourceAction) -> Path | None:
    """Return the final path of the source; None if it is deleted."""
    if action.after == "keep":
        return source.path
    return action.move_to / source.name if action.after == "move" and action.move_to else None


def recording_url(source: Source, action: SourceAction, beside: Path) -> str | None:
    """Return the recording's final URL relative to the folder `beside`; None if it is deleted."""
    place = destination(source, action)
    if place is not None and action.after == "move" and os.path.lexists(source.path):
        place = next(free for name in _candidates(place.name) if _is_free(free := place.with_name(name), source))
    return None if place is None else quote(os.fsencode(os.path.relpath(place, beside)))


def _is_free(place: Path, source: Source) -> bool:
    """Return whether a source can be moved there, or was already by a move that did not end."""
    try:
        return source.is_version(os.lstat(place)) and os.path.samefile(place, source.path)
    except OSError:
        return True


def apply_action(source: Source, action: SourceAction, clock: Callable[[], float] = time.time) -> bool:
    """Keep, move or delete a source and its sidecar; a step that an earlier call has completed is recognized on disk.

    Return True once nothing is left to do.  False means that it must be called again later: somebody still writes the
    file, or one to be deleted waits for its second look.  Another file under its name, or none, is left alone.  Raise
    Unavailable if the disk refuses.
    """
    if action.after == "keep":
        return True
    try:
        if action.move_to:
            action.check(action.move_to)
        with safe_open.open_parent(source.inbox, source.name) as folder:
            if action.move_to:
                return _move(source, folder, action.move_to)
            return _delete(source, folder, clock)
    except FileNotFoundError as error:
        if action.move_to and not os.path.isdir(action.move_to):
            raise Unavailable(f"{action.move_to} does not exist.", "Check the share.") from error
        return True
    except OSError as error:
        raise Unavailable(f"{source.path} could not be moved or deleted: {error.strerror}.") from error


def has_newer_version(source: Source) -> bool:
    """Return whether the source's name now holds another version; False if it is gone, so the transcript is kept."""
    try:
        with safe_open.open_parent(source.inbox, source.name) as folder:
            return not _is(source, folder)
    except (OSError, ValueError):
        return False


def _is(source: Source, folder: int) -> bool:
    return source.is_version(os.stat(source.path.name, dir_fd=folder, follow_symlinks=False))


def _is_written(name: str, folder: int) -> bool:
    """Return True if the file is known to be open for writing; see `filesystems.is_open_for_writing`."""
    try:
        with safe_open.opened(name, folder) as fd:
            return filesystems.is_open_for_writing(fd)
    except PermissionError:
        return False


# --- delete ------------------------------------------------------------------------------------------


def hidden_name(source: Source) -> str:
    """Return the name under which a version waits for its second look before it is deleted."""
    version = os.fsencode(f"{source.name}\0{source.size}\0{source.mtime_ns}")
    return f".deleted-by-transcribed-{hashlib.blake2b(version, digest_size=8).hexdigest()}"


def _delete(source: Source, folder: int, clock: Callable[[], float]) -> bool:
    """Hide a source, and unlink it later if nobody has written to it since; else give it back its name.

    Who holds the file open goes on writing to it, and on a share that cannot be seen: only what it holds later tells.
    """
    name, hidden = source.path.name, hidden_name(source)
    try:
        status = os.stat(hidden, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        if not _is(source, folder):
            return True
        if not _is_written(name, folder):
            _hide(name, hidden, folder)
        return False
    if not source.is_version(status):
        _give_back(hidden, name, folder)
        return True
    if _is_written(hidden, folder) or 0 <= clock() - status.st_ctime < SECOND_LOOK_SECONDS:
        return False
    for left in (hidden + SIDECAR, hidden):  # the recording last: as long as it is there, this is tried again
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left, dir_fd=folder)
    sync(folder)
    with contextlib.suppress(FileNotFoundError):
        return not _is(source, folder)  # the same file, dropped in again meanwhile
    return True


def _hide(name: str, hidden: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        safe_open.rename(name + SIDECAR, hidden + SIDECAR, folder, folder)
    safe_open.rename(name, hidden, folder, folder)
    sync(folder)


def _give_back(hidden: str, name: str, folder: int) -> None:
    new = _rename(hidden, name, folder, folder)
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        safe_open.rename(hidden + SIDECAR, new + SIDECAR, folder, folder)
    sync(folder)


# --- move --------------------------------------------------------------------------------------------


def _move(source: Source, folder: int, target_root: Path) -> bool:
    """Move a source into the same sub-folder of `target_root`, its sidecar beside it, whatever an earlier call did."""
    name = source.path.name
    if not _is(source, folder):
        return True
    if _is_written(name, folder):
        return False
    with safe_open.open_parent(target_root, source.name, create=DEFAULT_PERMISSIONS) as target:

        def move_sidecar(new: str) -> None:
            with contextlib.suppress(FileNotFoundError):
                _transfer(name + SIDECAR, new + SIDECAR, folder, target)

        _transfer(name, name, folder, target, move_sidecar)
    return True


def _transfer(
    old: str, wanted: str, folder: int, target: int, before_it_goes: Callable[[str], None] = lambda new: None
) -> None:
    """Move a file under a free name like `wanted`; it is durable in the new folder before it leaves the old one."""
    new = _link(old, wanted, folder, target)
    if new is None:  # a share without hard links, or a file that we may not link
        before_it_goes(wanted)
        _rename(old, wanted, folder, target)
    else:
        sync(target)
        before_it_goes(new)
        _unlink_or_undo(old, new, folder, target)
    sync(target)
    sync(folder)


def _link(old: str, wanted: str, folder: int, target: int) -> str | None:
    """Link a file under a free name, and return it; that of an earlier link if there is one, None without links."""
    status = os.stat(old, dir_fd=folder, follow_symlinks=False)
    for new in _candidates(wanted):
        try:
            os.link(old, new, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
        except FileExistsError:
            if not os.path.samestat(status, os.stat(new, dir_fd=target, follow_symlinks=False)):
                continue
        except OSError as error:
            if error.errno in _NO_LINKS:
                return None
            raise
        return new
    raise AssertionError("there is always another name")


def _unlink_or_undo(old: str, new: str, folder: int, target: int) -> None:
    """Unlink the old name; if that is refused, as in a sticky folder, the new one goes, so that nothing is doubled."""
    try:
        os.unlink(old, dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(new, dir_fd=target)
        raise


def _rename(old: str, wanted: str, folder: int, target: int) -> str:
    """Rename a file to a free name like `wanted`, and return it."""
    for new in _candidates(wanted):
        with contextlib.suppress(FileExistsError):
            safe_open.rename(old, new, folder, target)
            return new
    raise AssertionError("there is always another name")


def _candidates(name: str) -> Iterator[str]:
    """Yield `a.wav`, `a~1.wav`, `a~2.wav`, ..."""
    stem, suffix = os.path.splitext(name)
    yield name
    yield from (f"{stem}~{n}{suffix}" for n in itertools.count(1))
