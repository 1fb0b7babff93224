"""How the command line and a running daemon meet: by files in the state directory, whose rights decide who may.

The daemon writes `status.json` and `alerts.json`, and reads `requests/`; the command line does the reverse.  No socket,
no protocol, and a request made while the daemon is down is met at its next start.  Imports little: `transcribed status`
must answer at once.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from transcribed.system.files import write_json

STATUS = "status.json"
STATUS_VERSION = 3  # of its shape
ALERTS = "alerts.json"
REQUESTS = "requests"
TEST_RESULT = "test-alert.json"
MAX_REQUEST_BYTES = 64 * 1024

Kind = Literal["retry", "reprocess", "test-alert"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a command asks of the daemon: that a file be tried again, even if it is done, or that alerts be tested."""

    kind: Kind
    path: Path | None = None


def write_status(state_dir: Path, status: dict[str, Any]) -> None:
    """Replace the status file.  Raises OSError; readers never see half of one."""
    write_json(state_dir / STATUS, status)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """What the daemon last said of itself; None if it never did.  "alive" is whether it still runs."""
    try:
        status: dict[str, Any] = json.loads((state_dir / STATUS).read_text())
        status["alive"] = _is_daemon(int(status["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return status


def read_alerts(state_dir: Path) -> dict[str, Any] | None:
    """What the daemon's watchman last wrote; None where nothing can be read."""
    try:
        found = json.loads((state_dir / ALERTS).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= {"at", "log", "channels", "entries"} else None


def leave_request(state_dir: Path, kind: Kind, path: Path | None = None) -> Path:
    """Leave a request for the daemon and return it: it is gone once taken.  Raises OSError."""
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    request = folder / secrets.token_hex(8)
    write_json(request, {"kind": kind, "path": None if path is None else str(path)})
    return request


def take_requests(state_dir: Path) -> Iterator[Request]:
    """Take every request that was left, oldest first.  What cannot be read is removed; what cannot be removed is not
    taken: it would come for ever.
    """
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    left = [path for path in folder.iterdir() if not path.name.startswith(".")]  # hidden: still being written
    for path in left:
        with contextlib.suppress(OSError):
            data = path.read_bytes()[:MAX_REQUEST_BYTES]
            path.unlink()
            if request := _request(data):
                yield request


def _request(data: bytes) -> Request | None:
    try:
        found = json.loads(data)
        kind, path = found["kind"], found["path"]
    except (ValueError, TypeError, LookupError):
        return None
    if kind not in get_args(Kind) or not isinstance(path, str | None):
        return None
    return Request(kind, None if path is None else Path(path))


def forget_test_result(state_dir: Path) -> None:
    """Before a test alert is requested: an earlier result is none of it.  Raises OSError."""
    (state_dir / TEST_RESULT).unlink(missing_ok=True)


def write_test_result(state_dir: Path, results: list[list[str | None]]) -> None:
    """Channel and why it failed, of each.  Raises OSError."""
    write_json(state_dir / TEST_RESULT, results)


def read_test_result(state_dir: Path) -> list[list[str | None]] | None:
    """None as long as there is no answer."""
    try:
        answer: list[list[str | None]] = json.loads((state_dir / TEST_RESULT).read_text())
    except (OSError, ValueError):
        return None
    return answer


def _is_daemon(pid: int) -> bool:
    """Whether a process with this id runs, and could be ours."""
    with contextlib.suppress(OSError):
        return pid > 0 and b"transcribed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
