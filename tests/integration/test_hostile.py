"""The whole hostile corpus through the whole product, once: what comes out for each file, and what must never happen.

The product runs as `transcribed run --once`, in a process of its own, with nothing replaced. It does not know how the
product is built, but for one test, which traces the system calls of a preparer whose network nobody has taken away.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import hostile
from tests.hostile import Case

CASES = hostile.plan()
FORMATS = ("json", "srt", "vtt", "txt")
NOTE = "error.txt"
LIMIT_SECONDS = 180
LONGEST_NAME = 255
HASHED_BYTES = 2**30  # larger files are compared by their looks only

Seen = dict[str, tuple[object, ...]]


@dataclass(frozen=True)
class Run:
    """What was there before the product ran, and what is there now."""

    root: Path
    code: int
    log: str
    hits: list[str]  # what the HTTP server was asked for
    before: Seen
    after: Seen

    @property
    def outputs(self) -> set[str]:
        outbox = self.root / "outbox"
        return {str(path.relative_to(outbox)) for path in outbox.rglob("*") if not path.is_dir()}

    def read(self, output: str) -> str:
        return (self.root / "outbox" / output).read_text()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    root = tmp_path_factory.mktemp("hostile")
    for name in ("inbox", "outbox", "state"):
        (root / name).mkdir()
    hits: list[str] = []
    with _server(hits, root / "outside") as port:
        hostile.build(root / "inbox", port)
        before = _seen(root)
        done = _transcribed(root)
        after = _seen(root)
    yield Run(root, done.returncode, done.stderr, hits, before, after)
    shutil.rmtree(root, ignore_errors=True)


class _server:  # noqa: N801  used like a function
    """An HTTP server with recordings; it writes down what it is asked for."""

    def __init__(self, hits: list[str], folder: Path) -> None:
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def send_head(self) -> object:  # type: ignore[override]
                hits.append(f"{self.command} {self.path}")
                return super().send_head()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> int:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self._server.server_address[1]

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _transcribed(root: Path) -> subprocess.CompletedProcess[str]:
    config = root / "transcribed.toml"
    config.write_text(
        f"""
        state_dir = {json.dumps(str(root / "state"))}

        [[inbox]]
        path = {json.dumps(str(root / "inbox"))}
        outbox = {json.dumps(str(root / "outbox"))}
        quiet_seconds = 0.3

        [prepare]
        processes = 2
        max_hours = {hostile.MAX_SECONDS / 3600}
        """
    )
    command = [sys.executable, "-m", "transcribed", "run", "--once", "--config", str(config)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", timeout=LIMIT_SECONDS)


def _seen(root: Path) -> Seen:
    """Every file and folder of the inbox and of the folder beside it: its kind, its looks and its bytes."""
    places = [root / "inbox", *(root / "inbox").rglob("*"), *(root / "outside").rglob("*")]
    return {os.fspath(path): _looks(path) for path in places}


def _looks(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    looks = (stat.filemode(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ino, status.st_nlink)
    if stat.S_ISREG(status.st_mode) and status.st_size <= HASHED_BYTES:
        return *looks, hashlib.sha256(path.read_bytes()).digest()
    return looks


# --- what comes out --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name)[1:61])
def test_each_file_ends_as_its_user_would_want(run: Run, case: Case) -> None:
    outputs = _outputs_of(run, case)
    assert set(outputs) == _expected_suffixes(case), _what_happened(run, case, outputs)
    if case.outcome == "note":
        assert case.fragment in run.read(outputs[NOTE])
    elif case.outcome != "ignored":
        _check_transcript(case, json.loads(run.read(outputs["json"])), run.read(outputs["txt"]))


def test_nothing_else_is_in_the_outbox(run: Run) -> None:
    wanted = {output for case in CASES for output in _outputs_of(run, case).values()}
    assert run.outputs == wanted


def test_nothing_is_left_waiting(run: Run) -> None:
    assert run.code == 0, run.log[-3000:]


def test_no_two_files_share_an_output(run: Run) -> None:
    outputs = [output for case in CASES for output in _outputs_of(run, case).values()]
    assert len(outputs) == len(set(outputs))


def _expected_suffixes(case: Case) -> set[str]:
    return {"note": {NOTE}, "ignored": set()}.get(case.outcome, set(FORMATS))


def _outputs_of(run: Run, case: Case) -> dict[str, str]:
    """By suffix, the files in the outbox that belong to a case; a name too long for them is cut."""
    found = {}
    for suffix in (*FORMATS, NOTE):
        whole = f"{case.name}.{suffix}"
        if len(os.fsencode(os.path.basename(whole))) <= LONGEST_NAME:
            found |= {suffix: whole} if _is_of(run, case, whole) else {}
        else:
            found |= {suffix: output for output in run.outputs if _cut_from(output, case.name, suffix) and _is_of(run, case, output)}
    return found


def _cut_from(output: str, name: str, suffix: str) -> bool:
    start = os.fsdecode(os.fsencode(name)[:200]).rstrip("\udce5\udcbd\udc95\udc84\udcb0\udcf0\udc9f\udc8e\udc99")
    return output.startswith(start) and output.endswith(f".{suffix}")
