"""Write and read alert.log: one JSON line per notification, for programs and for a later look back.

Opened only to write a line, so that rotation can simply rename it.  A line that cannot be written is dropped.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from transcribed.operations.alerts.rules import Notification
from transcribed.state.control_files import is_moment
from transcribed.system import documents

FILE = "alert.log"
TAIL_BYTES = 2**18  # read from the end of the file when only its last records are wanted
KEYS = ("time", "kind", "severity", "rule", "subject", "sentence", "hint")

Record = dict[str, str]


def append(folder: Path, notifications: Iterable[Notification], now: float) -> bool:
    """Append the notifications; return True if all of them were written.  `now` in seconds since the epoch."""
    lines = [json.dumps(record(notification, now)) for notification in notifications]  # ASCII: no name can break a line
    text = "".join(f"{line}\n" for line in lines).encode()
    try:
        with open(folder / FILE, "a+b", buffering=0) as file:
            torn = file.seek(0, os.SEEK_END) and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            text = b"\n" + text if torn else text  # a full disk cut the last line short
            return file.write(text) == len(text)
    except OSError:
        return False


def record(notification: Notification, now: float) -> Record:
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    values = {"time": moment, **asdict(notification)}
    return {key: values[key] for key in KEYS}


def last(log: Path, count: int) -> list[Record]:
    """Return the last records of the current file, the oldest first; none if it cannot be read."""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return list(_records(file.read()))[-count:]
    return []


def everything(log: Path) -> list[Record]:
    """Return the records of the file and of its rotated predecessors, compressed or not, the oldest first."""
    found: list[Record] = []
    for path in log.parent.glob(f"{log.name}*"):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            data = path.read_bytes()
            found += _records(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    return sorted(found, key=lambda record: record["time"])


def _records(data: bytes) -> Iterator[Record]:
    """Yield the intact records; skip a line cut short."""
    for line in data.splitlines():
        found = documents.parse(line, Record)
        if found and all(key in found for key in KEYS) and is_moment(found["time"]):
            yield found
