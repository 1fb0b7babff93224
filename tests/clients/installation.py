"""One daemon with three inboxes - keep, move, delete - run by a user of its own, and what became of each recording.

Knows the product's folders, its configuration and its ledger; nothing of the programs that bring recordings.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.clients import machine
from tests.support.site import ONE_THREAD, wait_for
from tests.support.speech import SAMPLE_RATE, digits, save, say
from transcribed.daemon.inboxes import GRACE_WINDOWS

AFTERS = ("keep", "move", "delete")
QUIET_SECONDS = 1.5
GRACE_SECONDS = GRACE_WINDOWS * QUIET_SECONDS  # that an incomplete file is waited for
LOOK_SECONDS = 0.1  # between two looks into the outboxes
FILE_RATE = 48_000  # samples per second: 3 MB for half a minute, so that no buffer holds the half of it
SHORT, LONG = 5.0, 35.0


@dataclass(frozen=True)
class Upload:
    """A recording whose words are known, and where it is to be brought."""

    source: Path
    words: str
    after: str
    target: Path

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def size(self) -> int:
        return self.source.stat().st_size

    def is_whole(self, path: Path) -> bool:
        return sha256(path) == sha256(self.source)

    def arrived(self) -> int:
        """Return how many bytes the inbox holds of it on disk, under whatever name."""
        found = [path.lstat() for path in self.target.parent.rglob(f"*{self.target.stem}*") if path.is_file()]
        return max((min(status.st_size, status.st_blocks * 512) for status in found), default=0)


class Installation:
    def __init__(self, root: Path) -> None:
        self.root, self.moved, self.state = root, root / "moved", root / "state"
        self.sources, self.home, self.log = root / "sources", root / "home", root / "daemon.log"
        shares = (root / "in", *map(self.inbox, AFTERS), self.sources)
        for folder in (*shares, *map(self.outbox, AFTERS), self.moved, self.state):
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        for folder in (*map(self.outbox, AFTERS), self.moved, self.state):
            machine.give(folder, machine.service_user()).chmod(0o755)
        self.home.mkdir()
        machine.give(self.home, machine.UPLOADER)
        self.seen = OutboxLog(root / "out")

    def inbox(self, after: str) -> Path:
        return self.root / "in" / after

    def outbox(self, after: str) -> Path:
        return self.root / "out" / after

    def start(self) -> machine.Process:
        config = self.root / "transcribed.toml"
        config.write_text(f'state_dir = "{self.state}"\n' + "".join(map(self._table, AFTERS)))
        command = [sys.executable, "-m", "transcribed", "run", "--config", str(config)]
        as_service = machine.as_user(machine.service_user(), command, machine.LEASE_ONLY)
        daemon = machine.Process(as_service, self.log, env=os.environ | ONE_THREAD)
        wait_for((self.state / "status.json").exists, 60, "the start of the daemon")
        return daemon

    def _table(self, after: str) -> str:
        keys = {"path": str(self.inbox(after)), "outbox": str(self.outbox(after)), "after_success": after}
        keys |= {"quiet_seconds": QUIET_SECONDS, "formats": ["json"]}
        if after == "move":
            keys["move_to"] = str(self.moved)
        return "\n[[inbox]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())

    # --- what is brought ----------------------------------------------------------------------------------

    def upload(self, name: str, after: str = "keep", seconds: float = LONG, folder: str = "") -> Upload:
        """Speak four digits, a pause, and four digits, as many seconds as asked for."""
        source, dice = self.sources / f"{after}-{name}", random.Random(f"{name} {after}")
        numbers = [f"{dice.randrange(10_000):04}" for _ in "ab"]
        first, last = (say(digits(number)) for number in numbers)
        pause = max(0, round(seconds * SAMPLE_RATE) - len(first) - len(last))
        faint = np.random.default_rng(0).normal(0, 1e-4, pause).astype(np.float32)  # zeros look preallocated
        save(source, np.concatenate([first, faint, last]), rate=FILE_RATE).chmod(0o644)
        (target := self.inbox(after) / folder / name).parent.mkdir(exist_ok=True)
        target.parent.chmod(0o777)
        return Upload(source, digits("".join(numbers)), after, target)

    def outlast_patience(self, upload: Upload) -> None:
        """Wait longer than an incomplete file is waited for: until half of one is transcribed, and then a whole one."""
        name = f"{upload.after}-{upload.target.stem}.wav"
        half, whole = self.upload(f"half-of-{name}"), self.upload(f"beside-{name}", seconds=SHORT)
        self._drop(half, half.size // 2)
        text = wait_for(lambda: self.text(half), GRACE_SECONDS + 120, "the transcript of half a recording")
        assert half.words.startswith(text)
        assert text != half.words
        self._drop(whole, whole.size)
        wait_for(lambda: self.text(whole) == whole.words, 60, "the transcript of a whole recording")

    def _drop(self, upload: Upload, size: int) -> None:
        """Put the beginning of a recording into its inbox, with nobody who writes the rest."""
        hidden = upload.target.with_name(f".{upload.name}")
        hidden.write_bytes(upload.source.read_bytes()[:size])
        hidden.rename(upload.target)

    # --- what became of it --------------------------------------------------------------------------------

    def output(self, upload: Upload) -> Path:
        return self.outbox(upload.after) / f"{upload.target.relative_to(self.inbox(upload.after))}.json"

    def text(self, upload: Upload) -> str | None:
        path = self.output(upload)
        return json.loads(path.read_text())["text"] if path.exists() else None

    def done(self, upload: Upload) -> list[int]:
        """Return the size of each version that the ledger has as transcribed."""
        query = "select size from job where path = ? and state = 'done' and error is null"
        db = sqlite3.connect(f"file:{self.state}/ledger.db?mode=ro", uri=True, timeout=30)
        try:
            return [size for (size,) in db.execute(query, [bytes(upload.target)])]
        finally:
            db.close()

    def place(self, upload: Upload) -> Path | None:
        """Return where the whole recording is now: kept, moved, or hidden until it is deleted."""
        stem, suffix = upload.target.stem, upload.target.suffix
        candidates = {
            "keep": [upload.target],
            "move": [*self.moved.rglob(f"{stem}{suffix}"), *self.moved.rglob(f"{stem}~*{suffix}")],
            "delete": [*upload.target.parent.glob(".deleted-by-transcribed-*")],
        }[upload.after]
        return next((path for path in candidates if path.is_file() and upload.is_whole(path)), None)


class OutboxLog(threading.Thread):
    """A thread that keeps each text that was ever to be read in the outboxes, and the name of each note."""

    def __init__(self, root: Path) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._versions: set[tuple[Path, int, int]] = set()
        self._end = threading.Event()
        self.texts: dict[Path, list[str]] = {}
        self.notes: set[Path] = set()

    def run(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            for path in self._root.rglob("*.json"):
                self._read(path)
            self.notes |= set(self._root.rglob("*.error.txt"))

    def end(self) -> None:
        self._end.set()
        self.join()

    def of(self, path: Path) -> list[str]:
        return self.texts.get(path, [])

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            status = path.stat()
            version = (path, status.st_ino, status.st_mtime_ns)
            if version not in self._versions:
                self.texts.setdefault(path, []).append(json.load(file)["text"])
                self._versions.add(version)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
