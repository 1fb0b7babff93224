"""A Debian machine of our own: made by debootstrap, booted with its systemd by systemd-nspawn, entered by nsenter.

Like this machine in its release, and so in its Python; knows nothing of what is installed and run there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.patience import patient

BUILD = Path(__file__).parents[2] / "build" / "systemd"
PACKAGES = ("dbus", "logrotate", "make", "python3", "python3-venv", "systemd", "systemd-sysv")
TOOLS = ("apt-get", "debootstrap", "nsenter", "setpriv", "systemd-nspawn", "unshare")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_SECONDS = 90.0
REBOOT = 133  # the exit status by which systemd-nspawn --keep-unit asks to be started anew
HIERARCHIES = ("systemd", "unified", ".")  # of control groups that systemd uses: v1, both, v2


def lacking() -> str | None:
    """Why no such machine can be made here, as a sentence; None where it can."""
    if os.geteuid() != 0:
        return "making containers needs root"
    if missing := [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]:
        return f"not installed: {', '.join(missing)} (Debian: apt-get install debootstrap systemd-container)"
    if not _mirror():
        return "this is no Debian whose packages apt knows"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        return "this machine may not make containers"
    return None


def tree(packages: Sequence[str] = PACKAGES, release: str | None = None) -> Path:
    """The system that machines are copies of; made once for these packages, and kept in build/."""
    release = release or codename()
    name = f"{release}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:8]}"
    made, partial = BUILD / name, BUILD / f"{name}.partial"
    if not made.exists():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _debootstrap(partial, packages, release)
        partial.rename(made)
    return made


def _debootstrap(target: Path, packages: Sequence[str], release: str) -> None:
    wanted = ["--variant=minbase", f"--include={','.join(packages)}", release, str(target), str(_mirror())]
    with (BUILD / "debootstrap.log").open("wb") as log:
        done = subprocess.run(
            ["debootstrap", *wanted], stdout=log, stderr=log, env=os.environ | _environment(), timeout=patient(600)
        )
    assert done.returncode == 0, f"debootstrap failed; see {log.name}"
    for package in (target / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()


def codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def _mirror() -> str | None:
    """Where this machine's own packages come from."""
    fields = ["--format", "$(CODENAME) $(COMPONENT) $(SITE) $(REPO_URI)", "Created-By: Packages"]
    known = subprocess.run(
        ["apt-get", "indextargets", *fields], capture_output=True, text=True, timeout=patient(60)
    ).stdout
    places = (line.split() for line in known.splitlines())
    return next((place[3] for place in places if place[:2] == [codename(), "main"]), None)


def _environment() -> dict[str, str]:
    return {"PATH": PATH, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Machine:
    """A copy of the tree that is booted, rebooted and thrown away."""

    def __init__(self, lent: Mapping[Path, str]) -> None:
        """`lent`: folders of this machine, and where they are seen there, read only."""
        self.root = BUILD / "machine"
        self._lent = lent
        self._name = f"transcribed-test-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", tree(), self.root], check=True)

    def boot(self) -> None:
        # A death of ours ends the machine.  No network: what is tested needs none.
        command = ["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", "--quiet", "--boot", "--private-network"]
        command += ["--register=no", "--keep-unit", f"--machine={self._name}", f"--directory={self.root}"]
        command += [f"--bind-ro={here}:{there}" for here, there in self._lent.items()]
        with (BUILD / "boot.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._enter_group
            )
        self._wait_until_up()

    def reboot(self) -> None:
        assert self._process is not None
        self.run("systemctl", "reboot", check=False)
        assert self._process.wait(patient(60)) == REBOOT
        self.boot()

    def throw_away(self) -> None:
        if self._process:
            if init := self._init():
                os.kill(init, signal.SIGKILL)  # everything there ends with it
            self._process.wait(patient(30))
        for group in self._groups():
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *command: str | Path, check: bool = True, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
        """A command of root's there.  With `check`, one that fails fails the test, with all it said."""
        entered = ["nsenter", "--all", f"--target={self._init()}", *map(str, command)]
        done = subprocess.run(entered, capture_output=True, text=True, timeout=seconds, env=_environment(), cwd="/")
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def at(self, path: str | Path) -> Path:
        """A file there, with all that is mounted there, as a path here."""
        return Path(f"/proc/{self._init()}/root{path}")

    def _init(self) -> int | None:
        """Its process 1, by its number here."""
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            return next((p.pid for p in psutil.Process(self._process.pid).children() if p.name() == "systemd"), None)
        return None

    def _wait_until_up(self) -> None:
        until = time.monotonic() + BOOT_SECONDS
        while not self._init() or not self._is_up():
            assert time.monotonic() < until, f"it did not come up:\n{(BUILD / 'boot.log').read_text()[-3000:]}"
            time.sleep(0.1)

    def _is_up(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def _groups(self) -> Iterator[Path]:
        """Control groups for this machine alone: two without would share theirs, and end each other's services."""
        lines = (line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines())
        ours = {path for _, kind, path in lines if kind in ("", "name=systemd")}
        for hierarchy in HIERARCHIES:
            place = Path("/sys/fs/cgroup", hierarchy)
            yield from (place / path.lstrip("/") / self._name for path in ours if (place / "cgroup.procs").exists())

    def _enter_group(self) -> None:
        for group in self._groups():
            with contextlib.suppress(OSError):
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(os.getpid()))


def python_of(root: Path) -> Sequence[int]:
    """The version of Debian's Python in a tree, such as (3, 11)."""
    newest = max((root / "usr/bin").glob("python3.[0-9]*[0-9]"))
    return tuple(int(part) for part in newest.name.removeprefix("python").split("."))


def same_python(root: Path) -> bool:
    """Whether packages of the Python that runs us can be imported there."""
    return python_of(root) == sys.version_info[:2]
