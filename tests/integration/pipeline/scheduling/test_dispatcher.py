"""Cards end to end, without one: a fake NVML under the real pynvml, real processes, the real loop of decisions.

The recognizer is a stand-in that holds the card's memory as the script tells it; all else is what runs in production.
"""

import json
import os
import shutil
import time

import pytest

from tests.support import scripted_card
from tests.support.loop import Loop
from tests.support.nvml import GIB, Script, build, environment
from tests.support.site import Site, kill_tree, stop, wait_for
from transcribed.core import events
from transcribed.core.errors import OutOfMemory, Unavailable, WorkerLost
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.gpu_policy import Policy

RESERVE = 2 * GIB
TOTAL = scripted_card.TOTAL


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nvml") / "library")


class Nvml:
    """What NVML says, in the children of this test."""

    def __init__(self, folder):
        self.folder = folder

    def others_hold(self, bytes):
        (self.folder / "others").write_text(str(int(bytes)))
        scripted_card.tell(self.folder)

    def fail(self, *lines):
        scripted_card.tell(self.folder, *lines)

    def mend(self):
        scripted_card.tell(self.folder)


@pytest.fixture
def nvml(library, tmp_path, monkeypatch):
    """A card on which others hold 4 GiB at first."""
    nvml = Nvml(tmp_path)
    nvml.others_hold(4 * GIB)
    for name, value in environment(library, Script(tmp_path / "none")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "script"))
    return nvml


@pytest.fixture
def loop(nvml, tmp_path):
    path = tmp_path / "audio.pcm"
    path.write_bytes(bytes(2 * 16_000 * 400))
    admission = Admission(BatchLimits(6000.0), lambda: Policy(reserve=RESERVE), boot_bytes=scripted_card.WEIGHTS)
    loop = Loop(path, scripted_card.card_worker, admission)
    yield loop
    loop.stop()


def test_batches_grow_from_the_calibration_to_what_the_card_holds(loop):
    loop.add(*[5.0] * 400)
    loop.until(lambda: loop.answered == 400)
    sizes = loop.batches()
    assert sizes[0] <= 12
    assert max(sizes) == 64
    assert loop.of(events.BatchFailed) == []


def test_a_neighbour_that_fills_the_card_makes_work_wait_and_nothing_fails(loop, nvml):
    loop.add(*[5.0] * 100)
    loop.until(lambda: loop.answered > 0)
    nvml.others_hold(22.9 * GIB)
    loop.until(lambda: "cuda:0" in loop.dispatcher.waits or loop.answered == 100)
    before = loop.answered
    loop.add(*[5.0] * 50)
    until = time.monotonic() + 1.5
    loop.until(lambda: time.monotonic() > until)
    assert loop.answered - before <= 128  # what was already with the worker
    assert scripted_card.free(nvml.folder) >= 0
    nvml.others_hold(4 * GIB)
    loop.until(lambda: loop.answered == 150)
    assert not any(isinstance(event.error, OutOfMemory) for event in loop.of(events.BatchFailed))


def test_a_worker_without_work_gives_its_cache_back_when_others_need_it(loop, nvml):
    loop.add(*[5.0] * 200)
    loop.until(lambda: loop.answered == 200)
    kept = TOTAL - scripted_card.free(nvml.folder) - 4 * GIB
    assert kept > 3 * GIB
    nvml.others_hold(TOTAL - RESERVE - kept + GIB)
    loop.until(lambda: scripted_card.free(nvml.folder) >= RESERVE)


def test_a_worker_that_is_killed_is_replaced_once_its_memory_is_back(loop, nvml):
    loop.add(*[5.0] * 20)
    loop.until(lambda: loop.answered == 20)
    nvml.others_hold(TOTAL - RESERVE - 1.5 * scripted_card.WEIGHTS)
    loop.until(lambda: loop.dispatcher.admission.card("cuda:0").free_bytes == RESERVE + scripted_card.WEIGHTS // 2)
    (pid,) = loop.recognizer.processes()
    os.kill(pid, 9)  # what it held is not free yet
    loop.add(*[5.0] * 3)
    loop.until(lambda: "a worker needs" in loop.dispatcher.waits.get("cuda:0", ""))
    assert loop.recognizer.processes() == []
    (nvml.folder / "ours").write_text("0")
    nvml.mend()
    loop.until(lambda: loop.answered == 23)
    lost = [event.error for event in loop.of(events.BatchFailed)]
    assert all(isinstance(error, WorkerLost | Unavailable) for error in lost)


@pytest.mark.parametrize("trouble", ["0.nvmlDeviceGetMemoryInfo_v2.code 15", "nvmlDeviceGetCount_v2.code 18"])
def test_a_lost_card_or_driver_stops_admission_until_it_is_back(loop, nvml, trouble):
    loop.add(*[5.0] * 20)
    loop.until(lambda: loop.answered == 20)
    nvml.fail(trouble)
    loop.until(lambda: loop.dispatcher.trouble is not None)
    nvml.mend()
    loop.add(*[5.0] * 5)
    loop.until(lambda: loop.answered == 25)
    loop.until(lambda: loop.dispatcher.trouble is None)


# --- the daemon --------------------------------------------------------------------------------------


def status(site):
    return json.loads((site.state / "status.json").read_text())


def test_a_card_that_cannot_be_used_delays_files_and_fails_none(nvml, tmp_path, spoken):
    """PyTorch here cannot use the card that NVML tells of: the CPU does not take its place."""
    site = Site(tmp_path / "site")
    site.extra = '[recognize]\ndevice = "auto"'
    site.configure()
    shutil.copy(spoken(123), site.inbox)
    process = site.start()
    try:
        wait_for(lambda: "cannot start" in str(status(site)["troubles"]) if site.state_written() else None, 90)
        told = wait_for(lambda: status(site) if status(site)["counts"]["active"] else None, 60)
        assert told["summary"].startswith("degraded: cuda:0 cannot start")
        assert told["slots"][0]["card"]["name"] == "NVIDIA A10"
        assert site.outputs() == set()
        assert "cuda:0 cannot start" in site.call("explain", str(site.inbox / "123.wav")).stdout
        assert stop(process) == 0
    finally:
        kill_tree(process)
