"""Exchange status and requests between the command line and a running daemon, by files in the state directory.

The files' permissions decide who has access.  The daemon writes `status.json` and `alerts.json`, and reads `requests/`;
the command line does the reverse.  No socket, no protocol, and a request made while the daemon is down is carried out
at its next start.  Imports little: `transcribed status` must answer at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict

from transcribed.state.status_document import AlertsDocument, StatusDocument
from transcribed.system import documents
from transcribed.system.atomic_write import write_json

STATUS = "status.json"
ALERTS = "alerts.json"
REQUESTS = "requests"
REQUESTS_MODE = 0o770  # the daemon's group may leave requests
TEST_RESULT = "test-alert.json"
MAX_REQUEST_BYTES = 64 * 1024
MAX_REQUESTS = 100  # taken at once; the rest a second later

Kind = Literal["retry", "reprocess", "test-alert"]


@dataclass(frozen=True, slots=True)
class Request:
    """A command's request to the daemon: retry a file, reprocess one that is done, or send a test alert."""

    kind: Kind
    path: Path | None = None


class RequestDocument(TypedDict):
    kind: Kind
    path: str | None


def write_status(state_dir: Path, status: dict[str, Any]) -> None:
    """Replace the status file.  Raises OSError; readers never see half of one."""
    write_json(state_dir / STATUS, status, mode=0o640)


def read_status(state_dir: Path) -> StatusDocument | None:
    """Return the daemon's last status; None if there is none, or it is damaged or of another version of the program."""
    status = documents.read(state_dir / STATUS, StatusDocument)
    if status is None or not is_moment(status["at"]):
        return None
    status["alive"] = _is_daemon(status["pid"])
    return status


def read_alerts(state_dir: Path) -> AlertsDocument | None:
    """Return the daemon's last alert state; None if it cannot be read."""
    state = documents.read(state_dir / ALERTS, AlertsDocument)
    return state if state and is_moment(state["at"]) else None


def read_alert_state(state_dir: Path) -> object:
    """Return what the last daemon knew of its alerts, for the next one to take what fits; None without it."""
    return documents.recall(state_dir / ALERTS, dict[str, Any])


def is_moment(text: str) -> bool:
    """Return True if a text is a moment as we write it: in ISO 8601, with its offset from UTC."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def leave_request(state_dir: Path, kind: Kind, path: Path | None = None) -> Path:
    """Write a request for the daemon and return its path: the file is gone once taken.  Raises OSError."""
    folder = _requests_folder(state_dir)
    request = folder / secrets.token_hex(8)
    document = {"kind": kind, "path": None if path is None else str(path)}
    write_json(request, document, mode=0o644)  # root's umask may deny the daemon's user to read it
    return request


def take_requests(state_dir: Path) -> Iterator[Request | None]:
    """Take every pending request and remove its file; None stands for one that is invalid.

    One that cannot be removed is not taken: it would be repeated for ever.
    """
    folder = _requests_folder(state_dir)
    left = (path for path in folder.iterdir() if not path.name.startswith("."))  # hidden: still being written
    for path in list(itertools.islice(left, MAX_REQUESTS)):
        with contextlib.suppress(OSError):
            found = documents.read(path, RequestDocument, MAX_REQUEST_BYTES)
            path.unlink()
            yield _request(found)


def _requests_folder(state_dir: Path) -> Path:
    """Return the folder of requests; make it if need be, for the daemon and its group, whoever calls this."""
    folder = state_dir / REQUESTS
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(REQUESTS_MODE)
        owner = state_dir.stat()
        if os.geteuid() == 0:  # a command of root's, before the first start
            os.chown(folder, owner.st_uid, owner.st_gid)
    return folder


def _request(found: RequestDocument | None) -> Request | None:
    if found is None or found["path"] is None:
        return found and Request(found["kind"])
    try:
        return Request(found["kind"], Path(os.fsdecode(os.fsencode(found["path"]))))
    except UnicodeEncodeError:  # no file can have that name
        return None


def forget_test_result(state_dir: Path) -> None:
    """Remove the result of an earlier test, before a new one is requested.  Raises OSError."""
    (state_dir / TEST_RESULT).unlink(missing_ok=True)


def write_test_result(state_dir: Path, results: list[list[str | None]]) -> None:
    """Write a pair per channel: its label, and why it failed or None.  Raises OSError."""
    write_json(state_dir / TEST_RESULT, results, mode=0o640)


def read_test_result(state_dir: Path) -> list[tuple[str, str | None]] | None:
    """Return the result as written by `write_test_result`; None as long as there is none."""
    return documents.read(state_dir / TEST_RESULT, list[tuple[str, str | None]])


def _is_daemon(pid: int) -> bool:
    """Return True if a process with this id is running and could be ours."""
    with contextlib.suppress(OSError):
        return pid > 0 and b"transcribed" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
