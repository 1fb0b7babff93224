"""What is measured: of each process its memory, descriptors and threads; of folders, their bytes and files.

Knows /proc, the product's processes and where it keeps what; nothing of how a sample is judged.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.soak.place import EARLIER_FILES, Place
from transcribed.state.directory import ledger_path
from transcribed.system.temp_files import TEMPORARY

KIB = 1024
PRIVATE = re.compile(rb"^(?:Private_Clean|Private_Dirty|Swap): +(\d+) kB$", re.M)  # proc(5): USS, and what is swapped
# Which process it is: by a library that it has loaded, the first of these.  Preparing ones load PyTorch, too.
LIBRARIES = {b"libavcodec": "prepare", b"libtorch": "recognizer", b"libnvidia-ml": "nvml"}
LOADED_SECONDS = 20.0  # after which a process has loaded its libraries
OVERDUE_SECONDS = 300.0  # a hidden source is deleted after 120 s and the next look, once a minute
HIDDEN = ".deleted-by-transcribed-"  # output/source_actions.py
ROWS = "select count(*), coalesce(sum(state in ('queued', 'active')), 0) from job"


@dataclass(frozen=True, slots=True)
class ProcessSample:
    role: str
    pid: int
    started: float
    memory_bytes: int  # private
    descriptors: int
    threads: int
    watches: int  # of inotify


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment; `totals` by measure."""

    seconds: float  # since the first
    handled: int  # files, so far
    processes: list[ProcessSample]
    totals: dict[str, int] = field(default_factory=dict)


class Sampler:
    """Measures a daemon, its children and its place."""

    def __init__(self, place: Place, pid: int) -> None:
        self._place, self._daemon = place, psutil.Process(pid)
        self._roles: dict[tuple[int, float], str] = {(pid, self._daemon.create_time()): "daemon"}
        self._began, self._handled = time.monotonic(), 0

    def take(self) -> Sample:
        tree = [self._daemon, *self._daemon.children(recursive=True)]
        processes = [sample for process in tree if (sample := self._process(process))]
        totals = {"processes": len(tree)} | self._ledger() | self._files()
        totals["surplus watches"] = sum(p.watches for p in processes) - self._place.watched_folders()
        return Sample(time.monotonic() - self._began, self._handled, processes, totals)

    def _process(self, process: psutil.Process) -> ProcessSample | None:
        """Of a process whose role is known; None if it has just started, or is about to end."""
        key = process.pid, process.create_time()
        with contextlib.suppress(OSError, psutil.Error):
            if role := self._roles.get(key) or role_of(*key):
                self._roles[key] = role
                return ProcessSample(role, *key, *measure(process.pid))
        return None

    def _ledger(self) -> dict[str, int]:
        """Rows and size, as a reader sees them: with what is only in the write-ahead log."""
        path = ledger_path(self._place.state)
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
            rows, waiting = db.execute(ROWS).fetchone()
            (pages,), (page_bytes,) = (db.execute(f"pragma {name}").fetchone() for name in ("page_count", "page_size"))
        self._handled = max(self._handled, rows - waiting - EARLIER_FILES)  # a retried file waits again
        wal = path.with_name(f"{path.name}-wal")
        return {"waiting files": waiting, "ledger bytes": pages * page_bytes, "wal bytes": size(wal)}

    def _files(self) -> dict[str, int]:
        state, spool = files(self._place.state), files(self._place.state / "spool")
        boxes = [path for box in self._place.boxes for folder in box.folders() for path in files(folder)]
        return {
            "spool files": len(spool),
            "spool bytes": sum(map(size, spool)),
            "state files": len(state) - len(spool),
            "box files": sum(not path.name.startswith(HIDDEN) for path in boxes),
            "overdue files": sum(path.name.startswith(HIDDEN) and is_overdue(path) for path in boxes),
            "temporary files": sum(path.name.startswith(TEMPORARY) for path in boxes),
            "log bytes": size(self._place.daemon_log),
            "rotated log bytes": sum(map(size, files(self._place.log))),
        }


def role_of(pid: int, started: float) -> str | None:
    """Return what a process is for; None while it has not loaded the library that shows it."""
    maps = Path(f"/proc/{pid}/maps").read_bytes()
    role = next((role for library, role in LIBRARIES.items() if library in maps), None)
    return role if role == "prepare" or time.time() - started > LOADED_SECONDS else None


def measure(pid: int) -> tuple[int, int, int, int]:
    """Return private bytes, descriptors, threads and inotify's watches.  Raises OSError if the process has ended."""
    proc = Path(f"/proc/{pid}")
    private = sum(map(int, PRIVATE.findall((proc / "smaps_rollup").read_bytes()))) * KIB
    return private, len(os.listdir(proc / "fd")), len(os.listdir(proc / "task")), sum(_watches(proc))


def _watches(proc: Path) -> Iterator[int]:
    for descriptor in os.listdir(proc / "fd"):
        with contextlib.suppress(OSError):
            if os.readlink(proc / "fd" / descriptor) == "anon_inode:inotify":
                yield (proc / "fdinfo" / descriptor).read_bytes().count(b"inotify wd:")


def files(folder: Path) -> list[Path]:
    """Every file below a folder; those that go away meanwhile are left out."""
    return [Path(at, name) for at, _, names in os.walk(folder) for name in names]


def is_overdue(path: Path) -> bool:
    """Return whether a hidden source should have been deleted by now."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_ctime > OVERDUE_SECONDS
    return False


def size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
