"""The units as they are shipped: systemd finds no fault in them, and rates them well.  Needs no systemd that runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import patient

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")

UNITS = Path(__file__).parents[2] / "systemd"
DROP_INS = sorted(path.stem for path in (UNITS / "drop-ins").glob("*.conf"))
TOGETHER = "all"  # the drop-ins of one machine that needs them all
EXPOSURE = 20  # tenths; 2.0 at the most
NEWER = {"notify-reload": 253}  # drop-ins for later versions of systemd than the unit needs


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units as installed, and one more for each drop-in; only the program is another, that exists here."""
    folder = tmp_path_factory.mktemp("units")
    unit = (UNITS / "transcribed.service").read_text().replace("/opt/transcribed/bin/transcribed", "/bin/true")
    for name in ("transcribed", "transcribed@", *DROP_INS, TOGETHER):
        (folder / f"{name}.service").write_text(unit)
    shutil.copytree(UNITS / "transcribed@.service.d", folder / "transcribed@.service.d")
    for name in DROP_INS:
        for unit_name in {name, name if name in NEWER else TOGETHER}:
            place = folder / f"{unit_name}.service.d"
            place.mkdir(exist_ok=True)
            shutil.copy(UNITS / "drop-ins" / f"{name}.conf", place)
    return folder


def _analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=patient(60)
    )


def _version() -> int:
    return int(_analyze("--version").stdout.split()[1])


@pytest.mark.parametrize("name", ["transcribed", "transcribed@", *DROP_INS, TOGETHER])
def test_systemd_finds_no_fault_in_a_unit(units, name):
    if _version() < NEWER.get(name, 0):
        pytest.skip(f"drop-ins/{name}.conf is for systemd {NEWER[name]} or newer")
    done = _analyze("verify", "--man=no", units / f"{name}.service")
    assert (done.returncode, done.stderr + done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["transcribed", "transcribed@", *DROP_INS, TOGETHER])
def test_a_unit_is_rated_two_or_better(units, name):
    done = _analyze("security", "--offline=true", f"--threshold={EXPOSURE}", units / f"{name}.service")
    assert done.returncode == 0, done.stdout
    assert re.search(r"exposure level for \S+: [0-9.]+", done.stdout)


def test_an_instance_is_the_same_unit_but_for_its_own_places():
    assert (UNITS / "transcribed@.service").read_text() == (UNITS / "transcribed.service").read_text()
    changed = _settings(UNITS / "transcribed@.service.d" / "10-instance.conf")
    assert {key for key, _ in changed} == {"Description", "Environment", "StateDirectory", "LogsDirectory"}
    assert all("%i" in value for _, value in changed if value)


def test_every_setting_stands_once_unless_it_is_a_list():
    keys = [key for key, _ in _settings(UNITS / "transcribed.service")]
    assert {key for key in keys if keys.count(key) > 1} == {"ExecReload", "DeviceAllow", "SystemCallFilter"}


def _settings(path: Path) -> list[tuple[str, str]]:
    lines = (line for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]
