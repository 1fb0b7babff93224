"""Probe folders that may not answer: a hung share blocks its caller for ever.

So each folder is probed in a thread of its own, with a deadline, and never by two at once.  Knows folders; nothing
of their purpose.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from transcribed.system import filesystems
from transcribed.system.timeout import call_in_thread


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder that answered."""

    device: int  # st_dev: equal for folders on the same disk
    free_bytes: int  # for users other than root
    total_bytes: int
    free_inodes: int
    total_inodes: int  # 0 if the file system does not count them
    writable: bool  # by this user


Look = Callable[[Path], FolderStatus]
NO_ANSWER = "No answer from the folder."


def probe_folder(folder: Path) -> FolderStatus:
    """Return the status of a folder.  Raises OSError; may block for ever."""
    status, space = os.stat(folder), filesystems.space_of(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(20, "Not a directory", str(folder))
    writable = not space.is_read_only and os.access(folder, os.W_OK | os.X_OK)
    return FolderStatus(
        status.st_dev, space.free_bytes, space.total_bytes, space.free_inodes, space.total_inodes, writable
    )


class FolderProber:
    def __init__(self, look: Look = probe_folder) -> None:
        self._look = look
        self._pending: dict[Path, Future[FolderStatus]] = {}

    def probe(self, folders: Iterable[Path], seconds: float) -> dict[Path, FolderStatus | str]:
        """Return the status of each folder, or a sentence why there is none; takes at most `seconds`."""
        wanted = list(dict.fromkeys(folders))
        for folder in wanted:
            if folder not in self._pending:
                self._pending[folder] = call_in_thread(partial(self._look, folder), f"probe {folder}")
        until = time.monotonic() + seconds
        return {folder: self._answer(folder, until) for folder in wanted}

    def _answer(self, folder: Path, until: float) -> FolderStatus | str:
        """Wait for a folder's answer.  A probe that is still pending stays so, and no second one starts."""
        future = self._pending[folder]
        if not wait([future], max(0.0, until - time.monotonic())).done:
            return NO_ANSWER
        del self._pending[folder]
        try:
            return future.result()
        except OSError as error:  # ETIMEDOUT, too: a share that gave up has answered
            return f"{error.strerror or error}."
