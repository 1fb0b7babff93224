"""How the command line and a running daemon meet: by files in the state directory, whose rights decide who may.

The daemon writes `status.json` and reads `requests/`; the command line does the reverse.  No socket, no protocol, and
a request made while the daemon is down is met at its next start.  Imports little: `transcribed status` must answer at
once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STATUS = "status.json"
STATUS_VERSION = 2  # of its shape
REQUESTS = "requests"


def write_status(state_dir: Path, status: dict[str, Any]) -> None:
    """Replace the status file.  Raises OSError; readers never see half of one."""
    temporary = state_dir / f".{STATUS}"
    temporary.write_text(json.dumps(status, indent=1) + "\n")
    os.replace(temporary, state_dir / STATUS)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """What the daemon last said of itself; None if it never did.  "alive" is whether it still runs."""
    try:
        status: dict[str, Any] = json.loads((state_dir / STATUS).read_text())
        status["alive"] = _is_daemon(int(status["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return status


def ask_retry(state_dir: Path, path: Path) -> Path:
    """Leave a request that a file be tried again; returns it, and it is gone once taken.  Raises OSError."""
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    name = secrets.token_hex(8)
    (folder / f".{name}").write_bytes(os.fsencode(path))
    os.replace(folder / f".{name}", folder / name)
    return folder / name


def take_requests(state_dir: Path) -> Iterator[Path]:
    """The files that somebody asked to be tried again.  What cannot be removed is not taken: it would come for ever."""
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    for request in folder.iterdir():
        if request.name.startswith("."):  # still being written
            continue
        with contextlib.suppress(OSError):
            path = Path(os.fsdecode(request.read_bytes()))
            request.unlink()
            yield path


def _is_daemon(pid: int) -> bool:
    """Whether a process with this id runs, and could be ours."""
    with contextlib.suppress(OSError):
        return pid > 0 and b"transcribed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
