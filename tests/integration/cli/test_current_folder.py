"""The folder in which a command is started: whatever lies there, nothing of it is executed, by root or anybody."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import patient

COMMANDS = {
    "help": [],
    "run": ["run", "--once"],
    "demo": ["demo"],
    "status": ["status"],
    "capacity": ["capacity"],
    "alerts": ["alerts"],
    "test-alert": ["test-alert"],
    "check-config": ["check-config"],
    "doctor": ["doctor", "--quick"],
    "full doctor": ["doctor"],
    "example-config": ["example-config"],
    "models": ["models", "verify"],
    "explain": ["explain", "a.wav"],
    "retry": ["retry", "a.wav"],
    "reprocess": ["reprocess", "a.wav"],
    "export": ["export", "1", "--format", "txt"],
}
HOSTILE = """import os
with open({marker!r}, "a") as file:
    file.write(__file__ + "\\n")
raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder with a file for every module that a process could import, and the file that tells if one was."""
    folder = tmp_path_factory.mktemp("hostile")
    marker = folder.parent / "executed"
    installed = Path(shutil.__file__).parent / "site-packages", *map(Path, sys.path)
    names = {path.stem if path.suffix == ".py" else path.name for place in installed for path in place.glob("[a-z_]*")}
    for name in {*sys.stdlib_module_names, *(name for name in names if name.isidentifier())}:
        (folder / f"{name}.py").write_text(HOSTILE.format(marker=str(marker)))
    return folder, marker


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("demo", "full doctor") else ()) for name in COMMANDS],
)
def test_no_command_executes_what_lies_in_the_current_folder(hostile, site, name):
    """Of `python -m transcribed` that cannot be said: Python itself then begins with the current folder."""
    folder, marker = hostile
    command = [str(Path(sys.executable).with_name("transcribed")), *COMMANDS[name]]
    environment = os.environ | {"TRANSCRIBED_CONFIG": str(site.config)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=patient(120))
    assert "Traceback" not in done.stderr
    assert not marker.exists(), marker.read_text()
