"""alert.log: one JSON line per notice, for programs and for whoever asks later what happened.

Opened only to write a line, so that whoever rotates it may simply rename it.  A line that cannot be written is dropped.
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
from typing import Any

from transcribed.operations.alerts.rules import Notification

FILE = "alert.log"
TAIL_BYTES = 2**18  # of the end of a file, where not all of it is wanted
KEYS = ("time", "kind", "severity", "rule", "subject", "sentence", "hint")

Record = dict[str, str]


def append(folder: Path, notifications: Iterable[Notification], now: float) -> bool:
    """Whether all of it was written; `now` in seconds since the epoch."""
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
    """The last records of the file now written to, the oldest first; none where it cannot be read."""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return list(_records(file.read()))[-count:]
    return []


def everything(log: Path) -> list[Record]:
    """What the file and those rotated away beside it hold, compressed or not, the oldest first."""
    found: list[Record] = []
    for path in log.parent.glob(f"{log.name}*"):
        with contextlib.suppress(OSError, EOFError, zlib.error):
            data = path.read_bytes()
            found += _records(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    return sorted(found, key=lambda record: record["time"])


def _records(data: bytes) -> Iterator[Record]:
    """What is whole; a line cut short is passed over."""
    for line in data.splitlines():
        with contextlib.suppress(ValueError):
            found: Any = json.loads(line)
            if isinstance(found, dict) and all(isinstance(found.get(key), str) for key in KEYS):
                yield found
