"""Replace small files atomically, and detect whether a file is open for writing.

Knows files and descriptors; nothing of their content.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any, *, mode: int | None = None) -> None:
    """Replace a JSON file.  Raises OSError; readers never see half of one."""
    replace_text(path, json.dumps(document, indent=1) + "\n", mode=mode)


def replace_text(path: Path, text: str, *, mode: int | None = None, sync: bool = False) -> None:
    """Replace a file atomically; with `sync` its bytes are on disk first.  Raises OSError; the old file stays then."""
    draft = path.with_name(f".{path.name}")
    try:
        with draft.open("w") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def is_open_for_writing(fd: int) -> bool:
    """Return True if the file is open for writing anywhere on this host, in this process too.

    Tries a read lease, which is refused then (fcntl(2), F_SETLEASE).  False if the kernel grants no leases: for files
    of another user and on most network file systems.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
