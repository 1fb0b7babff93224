"""Run the README's two commands on a bare Debian, as somebody who has just cloned the repository: `make test-bare`.

    python -m tests.tools.bare_machine [RELEASE] [-- PYTEST OPTIONS]

RELEASE is Debian's name of one, by default this machine's.  The system is made by debootstrap: minbase, git, make,
Python and its venv, nothing else.  Wherever this machine's own pip and apt are pointed at, those of the bare one are
too: by `pip config list` and by apt's own files.  Knows commands; nothing of what they set up.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.systemd import container

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("git", "make", "python3", "python3-venv")
THERE = "/home/newcomer/transcribed"
APT = ("apt.conf.d", "sources.list", "sources.list.d", "trusted.gpg", "trusted.gpg.d", "keyrings", "auth.conf.d")
CERTIFICATES = (Path("/etc/ssl/certs"), Path("/usr/share/ca-certificates"))


def main(release: str, options: list[str]) -> int:
    if reason := container.lacking():
        print(f"No bare machine can be made here: {reason}.")
        return 1
    root = container.BUILD / f"bare-{release}.running"
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", container.tree(PACKAGES, release), root], check=True)
    try:
        _point_apt(root, release)
        subprocess.run(["git", "clone", "-q", REPOSITORY, root / THERE.lstrip("/")], check=True)
        for command in (["make", "demo"], ["make", "test", f"ARGS={' '.join(options)}"]):
            print(f"--- {release}: {' '.join(command)}", flush=True)
            if code := _run(root, command):
                return code
        return 0
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(root: Path, command: list[str]) -> int:
    settings, lent = _pip()
    nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={root}", f"--chdir={THERE}"]
    nspawn += [f"--setenv={name}={value}" for name, value in settings.items()]
    nspawn += [f"--bind-ro={path}" for path in sorted({*lent, *filter(Path.exists, CERTIFICATES)})]
    torch = [f"TORCH={os.environ['TORCH']}"] if "TORCH" in os.environ else []
    return subprocess.run([*nspawn, *command, *torch], stdin=subprocess.DEVNULL).returncode


def _pip() -> tuple[dict[str, str], set[Path]]:
    """Return pip's settings on this machine as its environment variables, and the files and folders they name.

    The files of an index in a folder lie beside that folder.
    """
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    settings = dict(re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", told.stdout, re.MULTILINE))
    words = (word for value in settings.values() for word in value.split())
    places = {Path(urlsplit(word).path).parent if word.startswith("file:") else Path(word) for word in words}
    variables = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()}
    return variables, {place for place in places if place.is_absolute() and place.exists()}


def _point_apt(root: Path, release: str) -> None:
    """Have its apt ask whom ours asks, for its own release."""
    for name in APT:
        here, there = Path("/etc/apt", name), root / "etc/apt" / name
        if there.is_dir():
            shutil.rmtree(there)
        there.unlink(missing_ok=True)
        if here.is_dir():
            shutil.copytree(here, there)
        elif here.exists():
            shutil.copy(here, there)
    for sources in (root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*.*")):
        if sources.exists():
            sources.write_text(re.sub(rf"\b{container.codename()}\b", release, sources.read_text()))


if __name__ == "__main__":
    arguments, _, options = " ".join(sys.argv[1:]).partition("--")
    sys.exit(main(arguments.strip() or container.codename(), options.split()))
