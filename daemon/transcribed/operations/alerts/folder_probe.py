"""Look at folders that may not answer: a share that hangs blocks whoever asks, for ever.

So each folder is looked at in a thread of its own, with a deadline, and never by two at once.  Knows folders; nothing
of what they are for.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder that answered."""

    device: int  # st_dev: folders with the same lie on the same disk
    free_bytes: int  # for users other than root
    total_bytes: int
    free_inodes: int
    total_inodes: int  # 0 where the file system does not count them
    writable: bool  # by this user


Look = Callable[[Path], FolderStatus]
NO_ANSWER = "It does not answer."


def probe_folder(folder: Path) -> FolderStatus:
    """Raises OSError; may block for ever."""
    status, disk = os.stat(folder), os.statvfs(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(20, "Not a directory", str(folder))
    writable = not disk.f_flag & os.ST_RDONLY and os.access(folder, os.W_OK | os.X_OK)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return FolderStatus(status.st_dev, free, total, disk.f_favail, disk.f_files, writable)


class FolderProber:
    def __init__(self, look: Look = probe_folder) -> None:
        self._look = look
        self._pending: dict[Path, _Asked] = {}

    def probe(self, folders: Iterable[Path], seconds: float) -> dict[Path, FolderStatus | str]:
        """What is seen of each folder within so many seconds, or a sentence why nothing is."""
        wanted = list(dict.fromkeys(folders))
        for folder in wanted:
            if folder not in self._pending:
                self._pending[folder] = _Asked(self._look, folder)
        until = time.monotonic() + seconds
        return {folder: self._answer(folder, until) for folder in wanted}

    def _answer(self, folder: Path, until: float) -> FolderStatus | str:
        """One that has not answered stays asked, and is asked anew only when it has."""
        asked = self._pending[folder]
        asked.join(max(0.0, until - time.monotonic()))
        if asked.is_alive():
            return NO_ANSWER
        del self._pending[folder]
        return asked.answer


class _Asked(threading.Thread):
    def __init__(self, look: Look, folder: Path) -> None:
        super().__init__(name=f"look at {folder}", daemon=True)
        self.answer: FolderStatus | str = NO_ANSWER
        self._look = look
        self._folder = folder
        self.start()

    def run(self) -> None:
        try:
            self.answer = self._look(self._folder)
        except OSError as error:
            self.answer = f"{error.strerror or error}."
