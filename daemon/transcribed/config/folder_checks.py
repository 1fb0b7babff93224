"""Checks of the configured folders: separate from each other, present, and accessible to this user.

Knows settings and folders; builds nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transcribed.core.errors import is_lasting
from transcribed.system import filesystems

if TYPE_CHECKING:
    from transcribed.config.inbox import Inbox
    from transcribed.config.settings import Settings

_SANDBOX = (
    "it is mounted read-only, or blocked by the unit's sandbox; in that case run `transcribed doctor --write-drop-in`"
)


def permission_errors(settings: Settings) -> Iterator[str]:
    """Yield a sentence per folder that this user cannot access.  A missing folder may be a share, and passes."""
    for inbox in settings.inbox:
        yield from _check_rights(inbox)


def layout_errors(settings: Settings) -> Iterator[str]:
    """Yield a sentence per folder that overlaps another or is misplaced, for any user."""
    if not settings.inbox:
        yield "no [[inbox]] is configured; add at least one with `path` and `outbox`"
    for inbox in settings.inbox:
        yield from _check_places(inbox, settings)
    for one, other in _pairs(settings.inbox):
        if _within(one.path, other.path) or _within(other.path, one.path):
            yield f"the inboxes {one.path} and {other.path} overlap; every file would be found twice"
        if _within(one.outbox, other.outbox) or _within(other.outbox, one.outbox):
            yield f"{one.path} and {other.path} share the outbox {one.outbox}; give each its own, or names collide"


def _check_places(inbox: Inbox, settings: Settings) -> Iterator[str]:
    for what, folder in (("outbox", inbox.outbox), ("state_dir", settings.state_dir), ("move_to", inbox.move_to)):
        if folder and any(_within(folder, other.path) for other in settings.inbox):
            yield f"the {what} {folder} lies in an inbox; files written there would be taken for recordings"
    if inbox.after_success == "move" and not inbox.move_to:
        yield f'the inbox {inbox.path} has after_success = "move" but no move_to'
    if inbox.move_to and _on_two_file_systems(inbox.move_to, inbox.path):
        yield f"move_to {inbox.move_to} is not on the file system of the inbox {inbox.path}"


def _on_two_file_systems(one: Path, other: Path) -> bool:
    return os.path.exists(one) and os.path.exists(other) and one.stat().st_dev != other.stat().st_dev


def _check_rights(inbox: Inbox) -> Iterator[str]:
    moves = inbox.after_success != "keep"
    yield from _check_access(inbox.path, os.R_OK | os.X_OK | (os.W_OK if moves else 0))
    yield from _check_access(inbox.outbox, os.W_OK | os.X_OK)
    if inbox.output_group and os.geteuid() and inbox.permissions.gid not in (os.getegid(), *os.getgroups()):
        yield f"this user (uid {os.getuid()}) is not in the group {inbox.output_group} (output_group); add the user"


def _check_access(folder: Path, rights: int) -> Iterator[str]:
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except OSError as error:
        if is_lasting(error):
            yield f"{folder} cannot be accessed by this user (uid {os.getuid()}): {error.strerror}"
        return
    if not is_folder:
        yield f"{folder} is not a folder"
    elif not os.access(folder, rights):
        verb = "written" if rights & os.W_OK else "read"
        advice = _SANDBOX if _is_read_only(folder) else "grant access, or add the user to the folder's group"
        yield f"{folder} cannot be {verb} by this user (uid {os.getuid()}); {advice}"


def _is_read_only(folder: Path) -> bool:
    """Return whether the file system is mounted read-only, so that permissions do not matter."""
    return filesystems.space_of(folder).is_read_only


def _pairs(inboxes: Sequence[Inbox]) -> Iterator[tuple[Inbox, Inbox]]:
    return ((one, other) for place, one in enumerate(inboxes) for other in inboxes[place + 1 :])


def _within(path: Path, folder: Path) -> bool:
    path, folder = path.resolve(), folder.resolve()
    return path == folder or folder in path.parents
