"""A configured place to work, a daemon in a process of its own, and waiting for a condition."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.support.patience import patient
from transcribed.cli.main import app
from transcribed.state.control_files import read_status


def wait_for(condition, seconds=60.0, what="the condition"):
    """Return the first true value of `condition()`; fail after `seconds`."""
    until = time.monotonic() + patient(seconds)
    while not (value := condition()):
        assert time.monotonic() < until, f"{what} did not come true in {patient(seconds):.0f} s"
        time.sleep(0.02)
    return value


POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")  # root without its capabilities
ONE_THREAD = {"TRANSCRIBED_RECOGNIZE__THREADS": "1"}  # two recognizers with two threads each fight for two cores


class Site:
    """A configured place to work: one inbox, its outbox, a state directory, and the command `transcribed`."""

    def __init__(self, root: Path, **inbox) -> None:
        self.root = root
        self.inbox, self.outbox, self.state = (root / name for name in ("inbox", "outbox", "state"))
        for folder in (self.inbox, self.outbox, self.state):
            folder.mkdir(parents=True, exist_ok=True)
        self.config = root / "transcribed.toml"
        self.extra = ""
        self.configure(**inbox)

    def configure(self, **inbox) -> None:
        keys = {"path": str(self.inbox), "outbox": str(self.outbox), "quiet_seconds": 0.3} | inbox
        table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        self.config.write_text(f'state_dir = "{self.state}"\n{self.extra}\n[[inbox]]\n{table}\n')

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "transcribed", *args, "--config", str(self.config)]

    def call(self, *args: str) -> subprocess.CompletedProcess[str]:
        """The command in this process, as a shell would see it; `run` and `doctor` end theirs and need their own."""
        environment = dict(os.environ)
        try:
            done = CliRunner().invoke(app, [*args, "--config", str(self.config)], catch_exceptions=False)
        finally:  # a command changes that of its own process
            os.environ.clear()
            os.environ.update(environment)
        return subprocess.CompletedProcess(args, done.exit_code, done.stdout, done.stderr)

    def process(self, *args: str, **options) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own."""
        options = {"env": os.environ | ONE_THREAD} | options
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=patient(240), **options)

    def once(self) -> None:
        done = self.process("run", "--once")
        assert done.returncode == 0, done.stderr

    def start(self, *before: str, **environment: str) -> subprocess.Popen[bytes]:
        """A daemon in a session of its own, its log beside the configuration; `before` is what starts it, if not we."""
        with (self.root / "daemon.log").open("ab") as log:
            command, environment = [*before, *self.command("run")], os.environ | ONE_THREAD | environment
            return subprocess.Popen(command, env=environment, stderr=log, stdout=log, start_new_session=True)

    def status(self) -> dict[str, Any]:
        """What the daemon says of itself; empty as long as it says nothing."""
        return read_status(self.state) or {}

    def text(self, name: str) -> str | None:
        path = self.outbox / f"{name}.json"
        return json.loads(path.read_text())["text"] if path.exists() else None

    def wait_text(self, name: str, seconds: float = 90.0) -> str:
        return wait_for(lambda: self.text(name), seconds, f"the transcript of {name}")

    def state_written(self) -> bool:
        return (self.state / "status.json").exists()

    def outputs(self) -> set[str]:
        return {str(path.relative_to(self.outbox)) for path in self.outbox.rglob("*") if path.is_file()}


def stop(daemon: subprocess.Popen[bytes], seconds: float = 30.0) -> int:
    daemon.send_signal(signal.SIGTERM)
    return daemon.wait(patient(seconds))


def kill_tree(daemon: subprocess.Popen[bytes]) -> None:
    """What systemd does to a control group, and a power cut to everything."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()
