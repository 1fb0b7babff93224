"""How the command line and a running daemon meet: by files in the state directory, whose rights decide who may.

The daemon writes `status.json` and `alerts.json`, and reads `requests/`; the command line does the reverse.  No socket,
no protocol, and a request made while the daemon is down is met at its next start.  Imports little: `transcribed status`
must answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcribed.system.files import write_json

STATUS = "status.json"
STATUS_VERSION = 3  # of its shape
ALERTS = "alerts.json"
REQUESTS = "requests"
_DONE = ".done"
TEST, TEST_ANSWER = "test-alert", "test-alert.json"


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


def request_retry(state_dir: Path, path: Path, *, done: bool = False) -> Path:
    """Leave a request that a file be tried again, even if it is `done`; returns it, and it is gone once taken.

    Raises OSError.
    """
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    name = secrets.token_hex(8) + (_DONE if done else "")
    (folder / f".{name}").write_bytes(os.fsencode(path))
    os.replace(folder / f".{name}", folder / name)
    return folder / name


def take_requests(state_dir: Path) -> Iterator[tuple[Path, bool]]:
    """The files that somebody asked to be tried again, and whether even if they are done.

    What cannot be removed is not taken: it would come for ever.
    """
    folder = state_dir / REQUESTS
    folder.mkdir(exist_ok=True)
    for request in folder.iterdir():
        if request.name.startswith("."):  # still being written
            continue
        with contextlib.suppress(OSError):
            path = Path(os.fsdecode(request.read_bytes()))
            request.unlink()
            yield path, request.name.endswith(_DONE)


def request_test_alert(state_dir: Path) -> None:
    """Leave a request that a test be sent through every alert channel.  Raises OSError."""
    (state_dir / TEST_ANSWER).unlink(missing_ok=True)
    (state_dir / TEST).touch()


def take_test_request(state_dir: Path) -> bool:
    """Whether somebody asks for a test; once for each request."""
    with contextlib.suppress(OSError):
        (state_dir / TEST).unlink()
        return True
    return False


def write_test_result(state_dir: Path, results: list[list[str | None]]) -> None:
    """Channel and why it failed, of each.  Raises OSError."""
    write_json(state_dir / TEST_ANSWER, results)


def read_test_result(state_dir: Path) -> list[list[str | None]] | None:
    """None as long as there is no answer."""
    try:
        answer: list[list[str | None]] = json.loads((state_dir / TEST_ANSWER).read_text())
    except (OSError, ValueError):
        return None
    return answer


def _is_daemon(pid: int) -> bool:
    """Whether a process with this id runs, and could be ours."""
    with contextlib.suppress(OSError):
        return pid > 0 and b"transcribed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
