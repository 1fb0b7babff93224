"""Replace small files whole, and tell whether a file is open for writing.

Knows files and descriptors; nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any) -> None:
    """Replace a file.  Raises OSError; readers never see half of one."""
    replace_text(path, json.dumps(document, indent=1) + "\n")


def replace_text(path: Path, text: str, *, mode: int | None = None, sync: bool = False) -> None:
    """Replace a file whole, or leave it as it was; with `sync` its bytes are on disk first.  Raises OSError."""
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
    """Whether it is open for writing anywhere on this host, in this process too: a read lease is refused then.

    fcntl(2), F_SETLEASE.  Not told for files of another user and on most network file systems: False.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
