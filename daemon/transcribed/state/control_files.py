"""Exchange status and requests between the command line and a running daemon, by files in the state directory.

The files' permissions decide who has access.  The daemon writes `status.json` and `alerts.json`, and reads `requests/`;
the command line does the reverse.  No socket, no protocol, and a request made while the daemon is down is carried out
at its next start.  Imports little: `transcribed status` must answer at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from transcribed.system.atomic_write import write_json

STATUS = "status.json"
STATUS_VERSION = 3  # of its format
ALERTS = "alerts.json"
REQUESTS = "requests"
TEST_RESULT = "test-alert.json"
MAX_REQUEST_BYTES = 64 * 1024
MAX_REQUESTS = 100  # taken at once; the rest a second later

Kind = Literal["retry", "reprocess", "test-alert"]


@dataclass(frozen=True, slots=True)
class Request:
    """A command's request to the daemon: retry a file, reprocess one that is done, or send a test alert."""

    kind: Kind
    path: Path | None = None


def write_status(state_dir: Path, status: dict[str, Any]) -> None:
    """Replace the status file.  Raises OSError; readers never see half of one."""
    write_json(state_dir / STATUS, status)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """Return the daemon's last status, or None if there is none; "alive" is True if it is still running."""
    try:
        status: dict[str, Any] = json.loads((state_dir / STATUS).read_text())
        status["alive"] = _is_daemon(int(status["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return status


def read_alerts(state_dir: Path) -> dict[str, Any] | None:
    """Return the daemon's last alert state; None if it cannot be read."""
    try:
        found = json.loads((state_dir / ALERTS).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= {"at", "log", "channels", "entries"} else None


def leave_request(state_dir: Path, kind: Kind, path: Path | None = None) -> Path:
    """Write a request for the daemon and return its path: the file is gone once taken.  Raises OSError."""
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    request = folder / secrets.token_hex(8)
    document = {"kind": kind, "path": None if path is None else str(path)}
    write_json(request, document, mode=0o644)  # root's umask may deny the daemon's user to read it
    return request


def take_requests(state_dir: Path) -> Iterator[Request | None]:
    """Take every pending request and remove its file; None stands for one that is invalid.

    One that cannot be removed is not taken: it would be repeated for ever.
    """
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    left = (path for path in folder.iterdir() if not path.name.startswith("."))  # hidden: still being written
    for path in list(itertools.islice(left, MAX_REQUESTS)):
        with contextlib.suppress(OSError):
            data = _content(path)
            path.unlink()
            yield _request(data)


def _content(path: Path) -> bytes:
    """Return the content of a request; nothing of what is no small regular file, as a pipe that would block."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, MAX_REQUEST_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _request(data: bytes) -> Request | None:
    try:
        found = json.loads(data)
        kind, path = found["kind"], found["path"]
        if kind not in get_args(Kind):
            return None
        return Request(kind, None if path is None else Path(os.fsdecode(os.fsencode(path))))
    except (ValueError, TypeError, LookupError, RecursionError):  # UnicodeEncodeError is a ValueError: no file's name
        return None


def forget_test_result(state_dir: Path) -> None:
    """Remove the result of an earlier test, before a new one is requested.  Raises OSError."""
    (state_dir / TEST_RESULT).unlink(missing_ok=True)


def write_test_result(state_dir: Path, results: list[list[str | None]]) -> None:
    """Write a pair per channel: its label, and why it failed or None.  Raises OSError."""
    write_json(state_dir / TEST_RESULT, results)


def read_test_result(state_dir: Path) -> list[list[str | None]] | None:
    """Return the result as written by `write_test_result`; None as long as there is none."""
    try:
        answer: list[list[str | None]] = json.loads((state_dir / TEST_RESULT).read_text())
    except (OSError, ValueError):
        return None
    return answer


def _is_daemon(pid: int) -> bool:
    """Return True if a process with this id is running and could be ours."""
    with contextlib.suppress(OSError):
        return pid > 0 and b"transcribed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
