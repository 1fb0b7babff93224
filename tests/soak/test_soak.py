"""The command itself, for minutes: a clean run finds nothing, a run with a leak finds it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.soak.report import result
from tests.soak.soak import Plan, soak
from tests.support.patience import patient

MINUTES = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (None, None),
        ("descriptors", "daemon: descriptors grows by"),
        ("memory", "daemon: memory, MiB grows by"),
    ],
    ids=["clean", "descriptors", "memory"],
)
def test_a_soak_of_minutes_finds_the_planted_leak_only(tmp_path, plant, fault):
    command = ["-m", "tests.soak", "--minutes", str(MINUTES)]
    planted = ["--plant", plant] if plant else []
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, *command, *planted, "--folder", tmp_path / "place", "--out", told],
        timeout=patient(600), capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    faults = json.loads(told.read_text())["faults"]
    assert [one.startswith(fault) for one in faults] == [True] * bool(fault)
    assert done.returncode == len(faults)


def test_a_daemon_that_dies_is_a_fault(tmp_path):
    def kill(sample):
        (daemon,) = [process.pid for process in sample.processes if process.role == "daemon"]
        os.kill(daemon, signal.SIGKILL)

    run = soak(Plan(minutes=1, files_per_minute=60), tmp_path, kill)
    (fault,) = result(run.samples, run.account, run.ended).faults()
    assert fault.startswith("The daemon ended with -9 after")
