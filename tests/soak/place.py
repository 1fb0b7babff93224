"""The folders and the configuration of a soak, and its daemon: four inboxes that differ in what they do.

Knows the product's configuration and command line; nothing of what is dropped or measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.site import ONE_THREAD
from transcribed.core.types import Source
from transcribed.state.directory import ledger_path
from transcribed.state.ledger import Ledger

PLANTED = Path(__file__).with_name("planted")
QUIET_SECONDS = 0.3
EARLIER_FILES = 20_000  # in the ledger: SQLite's cache of 2 MiB is then full from the start
EARLIER_SECONDS = 86_400.0  # ago
KEYS: dict[str, dict[str, Any]] = {
    "keep": {},
    "move": {"after_success": "move", "formats": ["json", "html", "md", "lrc"], "output_names": "stem"},
    "delete": {"after_success": "delete", "formats": ["json", "tsv"], "priority": "high"},
    "poll": {"watch": "poll", "rescan_seconds": 1.0, "channels": "split", "formats": ["json", "txt"]},
}
# Tasks once a minute, and log files that are rotated every few hundred files.  Not the ledger's, due once a week by
# default: each of its runs may leave the 2 MiB of SQLite's cache in another of glibc's arenas, until all have had it.
# Once a minute, that is 0.6 MiB per 100 files for ten minutes.
SETTINGS = """
[log]
folder = {log}
max_mib = 0.1
keep = 2
[housekeeping]
clean = "* * * * *"
ledger = "*/15 * * * *"
heartbeat = "* * * * *"
"""


@dataclass(frozen=True, slots=True)
class Box:
    """An inbox with its outbox, and the folder to which sources are moved."""

    inbox: Path
    outbox: Path
    done: Path
    stem: bool  # transcripts are named without the suffix of the source

    def output(self, name: str) -> str:
        return str(Path(name).with_suffix("")) if self.stem else name

    def folders(self) -> tuple[Path, Path, Path]:
        return self.inbox, self.outbox, self.done


class Place:
    """Everything below `root`; made when it is not there."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.log = root, root / "state", root / "log"
        self.config, self.daemon_log = root / "transcribed.toml", root / "daemon.log"
        self.boxes = [self._box(name, keys) for name, keys in KEYS.items()]
        self.state.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._settings())

    def _fill_ledger(self) -> None:
        """Enter files of an earlier time: a daemon that has been in use for months."""
        inbox = self.boxes[0].inbox
        names = [f"earlier-{number:06}.wav" for number in range(EARLIER_FILES)]
        ledger = Ledger(ledger_path(self.state))
        ledger.import_done(
            ((Source(inbox, inbox / name, 32_000, 1, 1), name) for name in names), time.time() - EARLIER_SECONDS
        )
        ledger.close()

    def _box(self, name: str, keys: dict[str, Any]) -> Box:
        box = Box(*(self.root / name / part for part in ("in", "out", "done")), keys.get("output_names") == "stem")
        for folder in box.folders():
            folder.mkdir(parents=True, exist_ok=True)
        return box

    def _settings(self) -> str:
        head = f"state_dir = {json.dumps(str(self.state))}\n"
        tables = [self._table(box, keys) for box, keys in zip(self.boxes, KEYS.values(), strict=True)]
        return head + SETTINGS.format(log=json.dumps(str(self.log))) + "".join(tables)

    @staticmethod
    def _table(box: Box, keys: dict[str, Any]) -> str:
        moved = {"move_to": str(box.done)} if keys.get("after_success") == "move" else {}
        keys = {"path": str(box.inbox), "outbox": str(box.outbox), "quiet_seconds": QUIET_SECONDS} | moved | keys
        return "[[inbox]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())

    def watched_folders(self) -> int:
        """Return how many folders deserve a watch of inotify: those of inboxes that are not polled."""
        watched = [
            box.inbox for box, keys in zip(self.boxes, KEYS.values(), strict=True) if keys.get("watch") != "poll"
        ]
        return sum(1 for inbox in watched for _ in os.walk(inbox))

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "transcribed", *args, "--config", str(self.config)]

    def start(self, plant: str | None) -> subprocess.Popen[bytes]:
        """A daemon in a session of its own, with a leak if one is to be planted."""
        if not ledger_path(self.state).exists():
            self._fill_ledger()
        environment = os.environ | ONE_THREAD
        if plant:
            path = filter(None, (str(PLANTED), os.environ.get("PYTHONPATH")))
            environment |= {"SOAK_PLANT": plant, "PYTHONPATH": os.pathsep.join(path)}
        with self.daemon_log.open("ab") as log:
            return subprocess.Popen(
                self.command("run"), env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def ask(self, *args: str) -> subprocess.Popen[bytes]:
        """Another command, which says what it has to say to nobody."""
        return subprocess.Popen(self.command(*args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
