"""Record the mount of each folder, and refuse a folder whose mount is gone: files written below an empty mount point
are hidden once the share is back.

A new share is accepted; a vanished one is waited for, also after a restart.  Knows folders and one file of its own;
nothing of what is written to them.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from transcribed.core.errors import Unavailable
from transcribed.system import atomic_write, documents

FILE = "mounts.json"


class Mounts:
    """The recorded mounts; safe in any thread."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._lock = threading.Lock()
        self._roots = documents.recall(self._path, dict[str, str]) or {}

    def check(self, folder: Path) -> None:
        """Raise Unavailable if the folder's recorded mount is gone, OSError if the folder is missing."""
        root = root_of(folder)
        with self._lock:
            known = self._roots.get(str(folder))
            if known is not None and root in Path(known).parents:
                raise Unavailable(
                    f"{folder} cannot be written: {known} is not mounted.",
                    f"Mount it again.  If {folder} has moved for good, remove {self._path} and restart.",
                )
            if known != str(root):
                self._roots[str(folder)] = str(root)
                self._write()

    def holds(self, folder: Path) -> bool:
        """Return True if the folder exists and is on its recorded mount."""
        try:
            self.check(folder)
        except (Unavailable, OSError):
            return False
        return True

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # kept in memory for this run at least
            atomic_write.write_json(self._path, self._roots, mode=0o600)


def root_of(folder: Path) -> Path:
    """Return the highest parent on the same device: the mount point of its file system.  Raises OSError.

    Compares st_dev, as os.path.ismount does, and so does not see a bind mount of the same file system, where nothing
    is hidden either.
    """
    real = Path(os.path.realpath(folder, strict=True))
    device = real.stat().st_dev
    while real != real.parent and real.parent.stat().st_dev == device:
        real = real.parent
    return real
