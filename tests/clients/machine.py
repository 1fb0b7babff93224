"""What the tests of upload programs need of the machine: users, programs, and processes that run as those users.

Knows how to start, stop and end a process of another user; nothing of servers, uploads or the product.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.site import wait_for

SERVICE, UPLOADER = "tc-service", "tc-upload"
REPOSITORY = Path(__file__).resolve().parents[2]
UNPACKED = REPOSITORY / "build" / "vsftpd" / "usr" / "sbin"  # vsftpd and ProFTPD cannot both be installed
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin", str(UNPACKED)])
LEASE_ONLY = ("--inh-caps=-all,+lease", "--ambient-caps=-all,+lease", "--bounding-set=-all,+lease", "--no-new-privs")
NO_RIGHTS = ("--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all")


def need(*programs: str) -> None:
    """Skip the test unless these programs are here, and root runs it."""
    if os.getuid() != 0:
        pytest.skip("running servers and uploads as users of their own needs root")
    if lacking := [name for name in programs if not shutil.which(name, path=PATH)]:
        pytest.skip(f"{', '.join(lacking)} is not installed; `make test-clients` installs it")


def make_users() -> None:
    for name in (SERVICE, UPLOADER):
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "-r", "-M", "-U", "-d", "/nonexistent", "-s", "/bin/sh", name], check=True)


def give(path: Path, user: str) -> Path:
    shutil.chown(path, user, user)
    return path


def as_user(user: str, command: list[str], rights: tuple[str, ...] = NO_RIGHTS) -> list[str]:
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *rights, *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@functools.cache
def service_user() -> str:
    """Return who runs the daemon: a user of its own, or root without root's rights where others may not run Python."""
    through_shell = [
        "sh",
        "-c",
        'exec "$0" -c "import torch, transcribed"',
        sys.executable,
    ]  # it has no rights any more
    done = subprocess.run(as_user(SERVICE, through_shell), capture_output=True, cwd="/")
    return SERVICE if done.returncode == 0 else "root"


class Process:
    """A process and its children, in a session of their own."""

    def __init__(self, command: list[str], log: Path, *, env: dict[str, str] | None = None, cwd: Path | str = "/"):
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.log = log

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()

    def terminate(self, seconds: float = 30.0) -> None:
        """Ask the process to end, and kill what is left of it."""
        self._process.terminate()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.runs(), seconds)
        self.kill()

    def runs(self) -> bool:
        return self._process.poll() is None

    def must_succeed(self, seconds: float = 120.0) -> None:
        wait_for(lambda: not self.runs(), seconds, f"the end of {self._process.args}")
        assert self._process.returncode == 0, f"{self._process.args}: {self.log.read_text()}"
