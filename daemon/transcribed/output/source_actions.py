"""Keep, move or delete a source in its inbox, and check whether it is still the same version.

Only the version that was transcribed is ever touched.  Knows folders; nothing of transcripts or ledgers.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from transcribed.core.errors import Unavailable
from transcribed.core.types import SIDECAR, Source
from transcribed.system import safe_open
from transcribed.system.safe_open import DEFAULT_PERMISSIONS, sync

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
    return None if place is None else quote(os.fsencode(os.path.relpath(place, beside)))


def apply_action(source: Source, action: SourceAction) -> None:
    """Keep, move or delete a source and its sidecar.

    Another file under its name, or none, is left alone.  Raise Unavailable if it must be retried later.
    """
    if action.after == "keep":
        return
    try:
        if action.move_to:
            action.check(action.move_to)
        with safe_open.open_parent(source.inbox, source.name) as folder:
            if not _is(source, folder):
                return
            _put_away(source.path.name, source.name, folder, action)
            with contextlib.suppress(FileNotFoundError):
                _put_away(source.path.name + SIDECAR, source.name, folder, action)
            sync(folder)
    except FileNotFoundError as error:
        if action.move_to and not os.path.isdir(action.move_to):
            raise Unavailable(f"{action.move_to} does not exist.", "Check the share.") from error
    except OSError as error:
        raise Unavailable(f"{source.path} could not be moved or deleted: {error.strerror}.") from error


def _put_away(name: str, below: str, folder: int, action: SourceAction) -> None:
    if action.after == "delete":
        os.unlink(name, dir_fd=folder)
    elif action.move_to:
        _move(name, folder, action.move_to, below)


def has_newer_version(source: Source) -> bool:
    """Return whether the source's name now holds another version; False if it is gone, so the transcript is kept."""
    try:
        with safe_open.open_parent(source.inbox, source.name) as folder:
            return not _is(source, folder)
    except (OSError, ValueError):
        return False


def _is(source: Source, folder: int) -> bool:
    return source.is_version(os.stat(source.path.name, dir_fd=folder, follow_symlinks=False))


def _move(old: str, folder: int, target_root: Path, below: str) -> None:
    """Move a file into the same sub-folder of `target_root`, as `a.wav`, `a~1.wav`, `a~2.wav`, ...; never overwrite."""
    stem, suffix = os.path.splitext(old)
    with safe_open.open_parent(target_root, below, create=DEFAULT_PERMISSIONS) as target:
        for new in itertools.chain([old], (f"{stem}~{n}{suffix}" for n in itertools.count(1))):
            try:
                os.link(old, new, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
                os.unlink(old, dir_fd=folder)
            except FileExistsError:
                continue
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                try:  # a share without hard links: reserve the name first, so that no file is overwritten
                    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
                except FileExistsError:
                    continue
                os.rename(old, new, src_dir_fd=folder, dst_dir_fd=target)
            break
        sync(target)
