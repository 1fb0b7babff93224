"""Calls of libc that fail as a test says, on paths below a folder, in a process of its own: a library to preload.

What it does is told at the top of shim.c.  It meets what goes through libc's symbols; io_uring and raw system calls do
not.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

CALLS = (
    "open", "fstat", "stat", "read", "write", "fsync", "truncate", "mode", "unlink", "mkdir", "rename", "link", "list"
)  # fmt: skip
KILL, DELAY, SHORT = -1, -2, -3  # instead of an error
SHIM = Path(__file__).with_name("shim.c")
_SCRIPT = struct.Struct("32s4032siii")


def build(folder: Path) -> Path:
    """Compile the library, and return its path."""
    assert shutil.which("gcc"), "these tests need a C compiler: apt-get install gcc libc6-dev"
    library = folder / "failing_calls.so"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-O1", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    return library


class Script:
    """Which call fails now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(_SCRIPT.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _SCRIPT.size)

    def environment(self, library: Path) -> dict[str, str]:
        return os.environ | {"LD_PRELOAD": str(library), "FAILING_CALLS": str(self.path)}

    def fail(self, call: str, error: int, folder: Path, passing: int = 0) -> None:
        """Let `passing` calls below the folder pass, and all later ones fail; see shim.c for the names of calls."""
        self._shared[:] = _SCRIPT.pack(call.encode(), os.fsencode(folder), error, passing, 0)

    def stop(self) -> int:
        """Let every call pass again, and return how many have failed."""
        failed: int = _SCRIPT.unpack(self._shared[:])[-1]
        self._shared[:] = bytes(_SCRIPT.size)
        return failed
