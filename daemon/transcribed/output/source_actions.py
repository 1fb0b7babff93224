"""What becomes of a source in its inbox: it is kept, moved or deleted; and whether it is the version it was.

Only the very version that was transcribed is ever touched.  Knows folders; nothing of transcripts or ledgers.
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
    """What becomes of a source whose transcript is on disk and recorded."""

    after: AfterSuccess = "keep"
    move_to: Path | None = None
    check: Callable[[Path], None] = lambda folder: None  # raises Unavailable where a folder is not the one it was


KEEP = SourceAction()


def destination(source: Source, action: SourceAction) -> Path | None:
    """Where it will be in the end; None if nowhere."""
    if action.after == "keep":
        return source.path
    return action.move_to / source.name if action.after == "move" and action.move_to else None


def recording_url(source: Source, action: SourceAction, beside: Path) -> str | None:
    """Return the relative URL, from a folder, of where the recording will be; None where it will be nowhere."""
    place = destination(source, action)
    return None if place is None else quote(os.fsencode(os.path.relpath(place, beside)))


def apply_action(source: Source, action: SourceAction) -> None:
    """Keep, move or delete it, and what lies beside it for it.

    Another file under its name, or none, is left alone.  Raises Unavailable to be asked again later.
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
            raise Unavailable(f"{action.move_to} is not there.", "Check the share.") from error
    except OSError as error:
        raise Unavailable(f"{source.path} could not be put away: {error.strerror}.") from error


def _put_away(name: str, below: str, folder: int, action: SourceAction) -> None:
    if action.after == "delete":
        os.unlink(name, dir_fd=folder)
    elif action.move_to:
        _move(name, folder, action.move_to, below)


def has_newer_version(source: Source) -> bool:
    """Whether another version lies under the source's name.  A source taken away has none, and keeps its transcript."""
    try:
        with safe_open.open_parent(source.inbox, source.name) as folder:
            return not _is(source, folder)
    except (OSError, ValueError):
        return False


def _is(source: Source, folder: int) -> bool:
    return source.is_version(os.stat(source.path.name, dir_fd=folder, follow_symlinks=False))


def _move(old: str, folder: int, target_root: Path, below: str) -> None:
    """Into the same sub-folder of `target_root`, as `a.wav`, or `a~1.wav`, `a~2.wav`, ...; never over another file."""
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
                try:  # a share without hard links: the name is taken first, so that nothing is ever replaced
                    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
                except FileExistsError:
                    continue
                os.rename(old, new, src_dir_fd=folder, dst_dir_fd=target)
            break
        sync(target)
