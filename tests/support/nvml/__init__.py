"""A fake NVML: a library in C that does what a script says, under the real pynvml, in a process of its own.

How a script is written is told at the top of fake.c.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FAKE = Path(__file__).with_name("fake.c")
ROOT = FAKE.parents[3]
GIB = 2**30


def build(folder: Path, *lacking: str) -> Path:
    """The folder, with a libnvidia-ml.so.1 in it that lacks some functions, as those of old drivers do."""
    assert shutil.which("gcc"), "these tests need a C compiler: apt-get install gcc libc6-dev"
    folder.mkdir(parents=True)
    exports = folder / "exports"
    exports.write_text(f"{{ global: nvml*; local: {' '.join(f'{name};' for name in lacking)} *; }};")
    library = ["-shared", "-fPIC", f"-Wl,--version-script={exports}", "-o", str(folder / "libnvidia-ml.so.1")]
    subprocess.run(["gcc", "-Wall", "-Wextra", "-O1", *library, str(FAKE)], check=True)
    return folder


def no_library(folder: Path) -> Path:
    """The folder, with what cannot be loaded in the library's place: it hides the real one, where there is one."""
    folder.mkdir(parents=True)
    (folder / "libnvidia-ml.so.1").touch()
    return folder


def card(place: int | str = 0, /, **values: Any) -> str:
    """The lines of a card, or of an instance ("0/1"): a data centre's, with nobody on it, unless told otherwise.

    None takes a line away; a list gives a line for each.
    """
    plain = {"uuid": f"GPU-{place}", "name": "NVIDIA A10", "gpu": 0, "celsius": 40, "recovery": 0}
    memory = {"total": 24 * GIB, "reserved": GIB, "free": 20 * GIB, "used": 3 * GIB}
    lines: list[str] = []
    for key, value in (plain | memory | values).items():
        each = value if isinstance(value, list) else [value]
        lines += [f"{place}.{key} {one}" for one in each if one is not None]
    return "\n".join(lines)


class Script:
    """What the fake does now."""

    def __init__(self, path: Path, *parts: str) -> None:
        self.path = path
        self.write(*parts)

    def write(self, *parts: str) -> None:
        """Put another one in its place, at once and whole."""
        put(self.path, "\n".join(("driver 580.65", *parts, "")))


def put(path: Path, text: str) -> None:
    """Replace a file that other processes read, and may replace at the same time."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, path)


def environment(library: Path, script: Script) -> dict[str, str]:
    """For a process that is to see the fake."""
    folders = [str(library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders), "FAKE_NVML": str(script.path)}


class Monitor:
    """A process that asks NVML as the daemon's does, and outlives its errors so that many tests can use it."""

    def __init__(self, library: Path, script: Script) -> None:
        self.script = script
        self.beats = 0  # in the last answer
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.support.nvml import serve; serve()"],
            env=os.environ | environment(library, script),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def play(self, *parts: str) -> Monitor:
        self.script.write(*parts)
        return self

    def ask(self, ours: Iterable[int] = ()) -> Any:
        """A reading; raises what the monitor raises."""
        return self._call("ask", frozenset(ours))

    def uuid_of(self, id: str) -> Any:
        return self._call("uuid_of", id)

    def driver(self) -> Any:
        return self._call("driver", None)

    def renew(self, text_as_bytes: bool = False) -> None:
        """Begin anew, in the same process; with pynvml's old habit to give texts as bytes, if wanted."""
        self._call("renew", text_as_bytes)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _call(self, name: str, argument: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((name, argument), self._process.stdin)
        self._process.stdin.flush()
        error, answer, self.beats = pickle.load(self._process.stdout)
        if error is not None:
            raise error
        return answer


def serve() -> None:
    """The life of a Monitor's process."""
    from transcribed.recognition import nvml

    decoding = {name: getattr(nvml.pynvml, name) for name in ("nvmlDeviceGetName", "nvmlDeviceGetUUID")}
    cards = nvml.CardMonitor()
    while True:
        try:
            name, argument = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        error = answer = None
        beats: list[None] = []
        try:
            if name == "ask":
                answer = cards(argument, lambda beats=beats: beats.append(None))
            elif name == "uuid_of":
                answer = nvml.uuid_of(argument)
            elif name == "driver":
                answer = nvml.driver()
            else:
                cards = nvml.CardMonitor()
                for function, plain in decoding.items():
                    setattr(nvml.pynvml, function, plain.__wrapped__ if argument else plain)
        except Exception as raised:
            error = raised
        pickle.dump((error, answer, len(beats)), sys.stdout.buffer)
        sys.stdout.flush()
