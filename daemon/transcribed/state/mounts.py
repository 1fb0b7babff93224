"""Remember on which mounts folders lay, and refuse one whose mount has gone: what is written below an empty mount point
is out of sight once the share is back.

A share that appears is welcome, one that vanishes is awaited, also after a restart.  Knows folders and one file of
its own; nothing of what is written to them.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

from transcribed.core.errors import Unavailable
from transcribed.system import files

FILE = "mounts.json"


class Mounts:
    """Any thread may ask."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._lock = threading.Lock()
        self._roots = _read(self._path)

    def check(self, folder: Path) -> None:
        """Raises Unavailable where a mount that held the folder is not there, OSError where the folder is not."""
        root = root_of(folder)
        with self._lock:
            known = self._roots.get(str(folder))
            if known is not None and root in Path(known).parents:
                raise Unavailable(
                    f"{folder} cannot be written: {known} is not mounted.",
                    f"Mount it again; or, if {folder} is to be where it is now, remove {self._path} and restart.",
                )
            if known != str(root):
                self._roots[str(folder)] = str(root)
                self._write()

    def holds(self, folder: Path) -> bool:
        """Whether the folder is there, on the mount it was on when it was last there."""
        try:
            self.check(folder)
        except (Unavailable, OSError):
            return False
        return True

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # it is remembered for this run at least
            files.write_json(self._path, self._roots)


def root_of(folder: Path) -> Path:
    """The highest folder above it on the same device: where its file system is mounted.  Raises OSError.

    Read off st_dev, as os.path.ismount does, and so blind to a bind mount out of the same file system, where nothing is
    out of sight either.
    """
    real = Path(os.path.realpath(folder, strict=True))
    device = real.stat().st_dev
    while real != real.parent and real.parent.stat().st_dev == device:
        real = real.parent
    return real


def _read(path: Path) -> dict[str, str]:
    try:
        return {str(folder): str(root) for folder, root in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}
