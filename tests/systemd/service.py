"""The service in a machine: installed as the README says, configured, fed and asked as people do it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path

from tests.support.patience import patient
from tests.support.site import wait_for
from tests.systemd.container import BUILD, Machine

REPOSITORY = Path(__file__).parents[2]
RECORDINGS = REPOSITORY / "daemon" / "transcribed" / "cli" / "demo_recordings"
EXPECTED: dict[str, str] = json.loads((RECORDINGS / "expected.json").read_text())
UNIT = "transcribed.service"
CONFIG = "/etc/transcribed/transcribed.toml"
INBOX, OUTBOX = "/srv/transcribed/inbox", "/srv/transcribed/outbox"
DROP_INS = "/etc/systemd/system/transcribed.service.d"
PROGRAM = "/opt/transcribed"
LENT = {Path(sysconfig.get_path("purelib")): "/opt/packages"}
"""The packages that the tests run with: a second copy of PyTorch would take minutes and gigabytes."""


def install(machine: Machine) -> None:
    """`make install`, as on any machine."""
    source = machine.at("/root/transcribed")
    unwanted = shutil.ignore_patterns(".venv", ".git", "build", "__pycache__", ".*_cache", "*.egg-info", "tests")
    shutil.copytree(REPOSITORY, source, ignore=unwanted, symlinks=True)
    _fetch_build_tools(machine.at("/root/wheels"))
    prepare(machine, PROGRAM)
    make(machine, "install")


def prepare(machine: Machine, place: str) -> None:
    """An environment in which pip finds every dependency installed already."""
    machine.run("python3", "-m", "venv", place)
    (packages,) = machine.at(f"{place}/lib").glob("python3*/site-packages")
    (packages / "lent.pth").write_text("/opt/packages\n")


def make(machine: Machine, *arguments: str) -> str:
    offline = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/root/wheels", "PIP_DISABLE_PIP_VERSION_CHECK=1")
    return machine.run(*offline, "make", "-C", "/root/transcribed", *arguments, seconds=240).stdout


def _fetch_build_tools(target: Path) -> None:
    """What pip builds our wheel with; kept in build/."""
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    kept = BUILD / "wheels"
    if not kept.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", kept]
        subprocess.run([*pip, *wanted], check=True, timeout=patient(240))
    shutil.copytree(kept, target)


class Service:
    """One unit: the plain one, or an instance."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._since = time.time()

    # --- as an administrator ---------------------------------------------------------------------

    def configure(self, text: str = "", *, inbox: str = "", path: str = INBOX, outbox: str = OUTBOX) -> None:
        """The inbox with `inbox` in its table, after `text`; on the CPU, quick to see that a file has settled."""
        cpu = "" if "[recognize]" in text else '[recognize]\ndevice = "cpu"\n'
        table = f'[[inbox]]\npath = "{path}"\noutbox = "{outbox}"\nquiet_seconds = 0.3\n{inbox}\n'
        self.machine.at(CONFIG).write_text(f"{text}\n{cpu}{table}")

    def drop_in(self, name: str, text: str) -> None:
        folder = self.machine.at(DROP_INS)
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")

    def remove_drop_ins(self) -> None:
        shutil.rmtree(self.machine.at(DROP_INS), ignore_errors=True)
        self.machine.run("systemctl", "daemon-reload")

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.machine.run("systemctl", *arguments, UNIT, check=check)

    def start(self) -> int:
        """Returns the process."""
        self.systemctl("start")
        return self.pid()

    def signal(self, name: str) -> None:
        """To the daemon itself, none of its children."""
        self.systemctl("kill", f"--signal={name}", "--kill-whom=main")

    def pid(self) -> int:
        return int(self.show("MainPID"))

    def show(self, key: str) -> str:
        return self.systemctl("show", "--value", f"--property={key}").stdout.strip()

    def is_active(self) -> bool:
        return self.show("ActiveState") == "active" and self.pid() != 0

    def journal(self, *arguments: str) -> str:
        """Of the test: what the unit said, and systemd of it."""
        since = f"--since=@{self._since:.3f}"
        return self.machine.run("journalctl", "--no-pager", f"--unit={UNIT}", since, *arguments, check=False).stdout

    def restarted(self, before: int) -> int:
        """Wait for another process than `before`."""
        return wait_for(lambda: self.is_active() and self.pid() != before and self.pid(), 90, "a restart")

    def reset(self) -> None:
        """As just installed: stopped, without drop-ins, with nothing remembered and nothing to do."""
        self.systemctl("stop")
        self.remove_drop_ins()
        self.systemctl("reset-failed", check=False)
        for folder in (INBOX, OUTBOX, "/var/lib/transcribed", "/var/log/transcribed"):
            self.machine.run("find", folder, "-mindepth", "1", "-delete", check=False)
        self._since = time.time()

    # --- as the people who drop recordings -------------------------------------------------------

    def drop(self, *names: str, inbox: str = INBOX) -> None:
        for name in names:
            shutil.copyfile(RECORDINGS / name, self.machine.at(f"{inbox}/{name}"))

    def text(self, name: str, outbox: str = OUTBOX) -> str | None:
        path = self.machine.at(f"{outbox}/{name}.json")
        return json.loads(path.read_text())["text"] if path.exists() else None

    def wait_text(self, name: str, outbox: str = OUTBOX, seconds: float = 120.0) -> str:
        return wait_for(lambda: self.text(name, outbox), seconds, f"the transcript of {name}")

    def outputs(self) -> set[str]:
        return {path.name for path in self.machine.at(OUTBOX).iterdir()}

    def status(self) -> str:
        """The line that `systemctl status` shows."""
        return self.show("StatusText")
