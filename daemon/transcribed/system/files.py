"""Replace small files whole, and tell whether a file is open for writing.

Knows files and descriptors; nothing of what is in them.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, document: Any) -> None:
    """Replace a file.  Raises OSError; readers never see half of one."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(temporary, path)


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
