"""What is told of the cards, on all kinds of machines: the real pynvml over a library that does what a script says."""

import glob
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nvml import GIB, Monitor, Script, build, card, environment, no_library
from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import DeviceLost, WorkerLost
from transcribed.core.telemetry import Card, Reading
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.recognition import worker_factory

NOT_AVAILABLE = 2**64 - 1
OURS, NEIGHBOUR = 4242, 977
REPLACED = "The NVIDIA driver was replaced while the system was running; reboot if this persists."
UNKNOWN = "NVML reported an unknown error; a container may have lost its access to the card."
LOST = "The system has lost the card; reboot, and if it happens again, check its power supply and seating."
RESET = "The card must be reset (`nvidia-smi --gpu-reset`) before it can be used."
NO_MEMORY = "The card does not report how much of its memory is free."
PROCESSES, UTILIZATION = "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetProcessUtilization"
MEMORY, HANDLE = "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetHandleByIndex_v2"


def told(index=0, place=None, /, **changes) -> Card:
    """What is told of `card(place)`, unless changed."""
    memory = {"total_bytes": 24 * GIB, "free_bytes": 20 * GIB, "used_bytes": 3 * GIB, "reserved_bytes": GIB}
    state = {"utilization": 0.0, "celsius": 40, "others_bytes": 0, "others_busy": False}
    uuid = f"GPU-{index if place is None else place}"
    return Card(**({"id": f"cuda:{index}", "uuid": uuid, "name": "NVIDIA A10"} | memory | state | changes))


def troubled(index, trouble, uuid="") -> Card:
    return Card(f"cuda:{index}", uuid, "", 0, 0, 0, trouble=trouble)


def reading(*cards, faults=()) -> Reading:
    return Reading(cards, "580.65", faults=faults)


def only(script: Monitor, *ours) -> Card:
    """The one card there is."""
    (one,) = script.ask(ours).cards
    return one


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("nvml") / "library")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Monitors that end with the module; each takes a third of a second to start."""
    running = []

    def start(library: Path) -> Monitor:
        running.append(Monitor(library, Script(tmp_path_factory.mktemp("monitor") / "script")))
        return running[-1]

    yield start
    for monitor in running:
        monitor.end()


@pytest.fixture(scope="module")
def shared(start, library):
    return start(library)


@pytest.fixture
def nvml(shared):
    """A monitor that knows nothing yet; its process, and so the library, served other tests before."""
    shared.renew()
    return shared


@pytest.fixture(scope="module")
def library_of_2020(start, tmp_path_factory):
    """A driver of the year 2020: no second version of memory, no third one of processes, no MIG."""
    lacking = (MEMORY, PROCESSES, "nvmlDeviceGetMigMode", "nvmlDeviceGetMaxMigDeviceCount")
    return start(build(tmp_path_factory.mktemp("nvml") / "old", *lacking))


# --- whole machines ----------------------------------------------------------------------------------


def test_one_card_is_told_of_in_full(nvml):
    nvml.play("count 1", card(gpu=35, celsius=61, process=f"{NEIGHBOUR} {2 * GIB}"))
    assert nvml.ask() == reading(told(utilization=0.35, celsius=61, others_bytes=2 * GIB))
    assert nvml.beats == 1


def test_two_cards_are_told_of_in_their_order(nvml):
    nvml.play("count 2", card(0), card(1, name="NVIDIA H200", free=GIB))
    answer = nvml.ask()
    assert answer == reading(told(0), told(1, name="NVIDIA H200", free_bytes=GIB))
    assert answer.card("GPU-1") is answer.card("cuda:1") is answer.cards[1]


def test_a_driver_without_cards_is_no_trouble(nvml):
    assert nvml.play("count 0").ask() == reading()


def test_a_machine_without_nvidia_has_none(start, tmp_path):
    installed = any(map(glob.glob, ("/dev/nvidia*", "/proc/driver/nvidia", "/dev/dxg")))
    sentence = "NVML (libnvidia-ml.so.1) is not installed; install the NVIDIA driver."
    assert start(no_library(tmp_path / "none")).ask() == Reading(trouble=sentence, absent=not installed)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (4, "This user has no access to the NVIDIA driver; give it access to /dev/nvidia*."),
        (8, "NVML cannot be queried: Insufficient External Power."),
        (9, "The NVIDIA driver is not loaded; see `dmesg` and `nvidia-smi`."),
    ],
)
def test_a_driver_that_does_not_start_says_why_and_is_asked_again(start, library, code, sentence):
    nvml = start(library)
    assert nvml.play(f"nvmlInitWithFlags.code {code}").ask() == Reading(trouble=sentence)
    assert nvml.play("count 1", card()).ask() == reading(told())


def test_a_driver_that_cannot_count_its_cards_is_in_trouble(nvml):
    assert nvml.play("nvmlDeviceGetCount_v2.code 3").ask() == Reading(trouble="NVML cannot be queried: Not Supported.")


def test_windows_tells_no_load_no_temperature_and_no_processes(nvml):
    nvml.play("count 1", card(gpu=None, celsius=None, recovery=None), f"{PROCESSES}.code 3", f"{UTILIZATION}.code 3")
    silent = {"utilization": None, "celsius": None, "others_bytes": None, "others_busy": None}
    assert nvml.ask([OURS]) == reading(told(**silent))


def test_a_virtual_card_lists_processes_without_their_memory(nvml):
    nvml.play("count 1", card(name="GRID A10-24Q", celsius=None, process=[f"{OURS} -1", f"{NEIGHBOUR} -1"]))
    assert only(nvml, OURS) == told(name="GRID A10-24Q", celsius=None, others_bytes=None)


def test_a_card_of_a_container_may_be_another_ones(nvml):
    """A control group hides a card, and NVML counts it all the same."""
    nvml.play("count 2", card(0), f"0.{HANDLE}.code 4", card(1))
    sentence = "This user has no access to the card; give it access to /dev/nvidia*."
    assert nvml.ask() == reading(troubled(0, sentence), told(1))


def test_texts_are_told_alike_from_an_old_pynvml(nvml):
    nvml.renew(text_as_bytes=True)
    assert nvml.play("count 1", card(name="NVIDIA Ümlaut")).ask() == reading(told(name="NVIDIA Ümlaut"))


# --- memory ------------------------------------------------------------------------------------------


def test_what_the_driver_keeps_is_told_apart(nvml):
    nvml.play("count 1", card(total=1000, reserved=100, used=300, free=600))
    assert only(nvml) == told(total_bytes=1000, reserved_bytes=100, used_bytes=300, free_bytes=600)


def test_an_old_driver_tells_memory_in_one_version_and_no_processes(library_of_2020):
    library_of_2020.play("count 1", card(reserved=None, used=4 * GIB, recovery=None))
    old = told(reserved_bytes=None, used_bytes=4 * GIB, others_bytes=None, others_busy=None)
    assert library_of_2020.ask([OURS]) == reading(old)


@pytest.mark.parametrize("code", [3, 13, 25])
def test_a_driver_without_version_2_of_memory_is_asked_for_version_1(nvml, code):
    nvml.play("count 1", card(), f"{MEMORY}.code {code}")
    assert only(nvml) == told(reserved_bytes=None)


def test_a_reserve_that_is_not_available_is_not_told(nvml):
    assert only(nvml.play("count 1", card(reserved=NOT_AVAILABLE))) == told(reserved_bytes=None)


@pytest.mark.parametrize("values", [{"free": NOT_AVAILABLE}, {"total": NOT_AVAILABLE, "free": NOT_AVAILABLE}])
def test_a_card_whose_memory_is_not_available_cannot_be_used(nvml, values):
    one = only(nvml.play("count 1", card(**values)))
    assert one.trouble == NO_MEMORY


def test_a_card_without_memory_of_its_own_cannot_be_used(nvml):
    """As those that share the machine's."""
    nvml.play("count 1", card(total=None))
    assert nvml.ask() == reading(troubled(0, NO_MEMORY))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, NOT_AVAILABLE - 1), st.data())
def test_sizes_come_out_in_bytes_as_they_went_in(shared, total, data):
    sizes = st.integers(0, total)
    free, used, reserved = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    shared.play("count 1", card(total=total, free=free, used=used, reserved=reserved))
    one = only(shared)
    assert (one.total_bytes, one.free_bytes, one.used_bytes, one.reserved_bytes) == (total, free, used, reserved)
    assert one.trouble is None


def test_memory_that_a_killed_process_holds_comes_back_late(nvml):
    nvml.play("count 1", card(free=GIB), f"@1 0.free {20 * GIB}")
    assert only(nvml) == told(free_bytes=GIB)
    wait_for(lambda: only(nvml) == told(free_bytes=20 * GIB), 10, "the memory")


def test_a_neighbour_takes_memory_between_two_readings(nvml):
    nvml.play("count 1", card(), f"#2 0.free {GIB}", f"#3 0.process {NEIGHBOUR} {19 * GIB}")
    # the list of processes is asked for its length first, so its third call is that of the second reading
    assert only(nvml) == told()
    assert only(nvml) == told(free_bytes=GIB)
    assert only(nvml) == told(free_bytes=GIB, others_bytes=19 * GIB)


# --- others ------------------------------------------------------------------------------------------


def test_what_others_hold_is_what_is_not_ours(nvml):
    nvml.play("count 1", card(process=[f"{OURS} {5 * GIB}", f"{NEIGHBOUR} {2 * GIB}", f"978 {GIB}"]))
    assert only(nvml, OURS) == told(others_bytes=3 * GIB)
    assert only(nvml) == told(others_bytes=8 * GIB)


def test_many_neighbours_are_all_counted(nvml):
    nvml.play("count 1", card(process=[f"{pid} 1000" for pid in range(1, 301)]))
    assert only(nvml, 7, 8) == told(others_bytes=298_000)


def test_where_ours_have_other_numbers_nobody_is_told_apart(nvml):
    """In a container the driver lists the host's process ids."""
    nvml.play("count 1", card(process=[f"31337 {GIB}"], sample=["31337 1000 99"]))
    assert only(nvml, OURS) == told(others_bytes=None, others_busy=None)


def test_ours_on_one_card_tell_who_is_ours_on_the_other(nvml):
    alone = card(1, process=f"{NEIGHBOUR} {GIB}")
    nvml.play("count 2", card(0, process=f"{OURS} {GIB}"), alone)
    assert nvml.ask([OURS]) == reading(told(0), told(1, others_bytes=GIB))


def test_ours_seen_once_tell_who_is_ours_from_then_on(nvml):
    assert only(nvml.play("count 1", card(process=f"{OURS} {GIB}")), OURS) == told()
    assert only(nvml.play("count 1", card(process=f"{NEIGHBOUR} {GIB}")), 5) == told(others_bytes=GIB)


@pytest.mark.parametrize(
    ("samples", "busy"),
    [
        ([], False),
        ([f"{NEIGHBOUR} 2000 30"], True),
        ([f"{NEIGHBOUR} 2000 0"], False),
        ([f"{OURS} 2000 99"], False),
        ([f"{OURS} 2000 99", f"{NEIGHBOUR} 2000 1"], True),
        ([f"{NEIGHBOUR} 1000 30"], False),  # as old as the last reading
        ([f"{NEIGHBOUR} 900 30 always", f"{OURS} 2000 99"], False),  # older, and the driver does not care
        ([f"{NEIGHBOUR} 2000 4294967295", "0 3000 70000"], False),  # no such percentage
    ],
)
def test_others_are_busy_if_they_computed_since_the_last_reading(nvml, samples, busy):
    listed = [f"{OURS} {GIB}", f"{NEIGHBOUR} {GIB}"]
    nvml.play("count 1", card(process=listed, sample="1 1000 1")).ask([OURS])
    nvml.play("count 1", card(process=listed, sample=samples))
    assert only(nvml, OURS) == told(others_bytes=GIB, others_busy=busy)
    assert only(nvml, OURS) == told(others_bytes=GIB, others_busy=False)


def test_what_computed_before_the_first_reading_does_not_count(nvml):
    # asked twice a reading: for the number of samples first
    nvml.play("count 1", card(sample=f"{NEIGHBOUR} 1000 80"), f"#5 0.sample {NEIGHBOUR} 2000 80")
    assert [only(nvml).others_busy for _ in range(4)] == [None, False, True, False]


# --- cards in trouble --------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", [HANDLE, MEMORY, "nvmlDeviceGetUUID"])
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (15, LOST),
        (16, RESET),
        (11, "The card does not answer: Interrupt Request Issue."),
        (23, "The card does not answer: Error 23."),
        (999, "The card does not answer: Unknown Error."),
    ],
)
def test_a_card_that_fails_leaves_the_other_one_at_work(nvml, symbol, code, sentence):
    nvml.play("count 2", card(0), card(1))
    assert nvml.ask() == reading(told(0), told(1))
    nvml.play("count 2", card(0), f"0.{symbol}.code {code}", card(1))
    assert nvml.ask() == reading(troubled(0, sentence, "GPU-0"), told(1))
    nvml.play("count 2", card(0), card(1))
    assert nvml.ask() == reading(told(0), told(1))


def test_the_only_card_may_be_lost(nvml):
    nvml.play("count 1", card(), f"0.{HANDLE}.code 15")
    assert nvml.ask() == reading(troubled(0, LOST))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (1, "stop everything that uses the card, including this service, and reset it (`nvidia-smi --gpu-reset`)"),
        (2, "reboot the machine"),
        (3, "stop everything that uses peer-to-peer memory"),
        (4, "stop everything that uses the card, then reset it"),
        (6, "reset the card's bus"),
        (7, "reboot the system"),
    ],
)
def test_what_nvidia_recommends_is_passed_on(nvml, action, words):
    one = only(nvml.play("count 1", card(recovery=action)))
    assert one == told(trouble=f"The card needs attention; NVIDIA recommends: {words}.")


@pytest.mark.parametrize("recovery", [0, None, 99])
def test_a_card_for_which_nothing_is_recommended_is_fine(nvml, recovery):
    """Also by a driver that does not know of recommendations, or one that knows more of them."""
    assert only(nvml.play("count 1", card(recovery=recovery))) == told()


def test_a_driver_that_knows_no_fields_recommends_nothing(nvml):
    assert only(nvml.play("count 1", card(recovery=1), "nvmlDeviceGetFieldValues.code 3")) == told()


def test_faults_are_told_once_in_their_order_with_advice(nvml):
    nvml.play("count 2", card(0, xid=[79, 31, 1234]), card(1, xid=[119]))
    fallen, restart, unknown, reset = nvml.ask().faults
    assert fallen == (
        "The driver reports Xid 79 for GPU-0: it has fallen off the bus; reboot the machine, "
        "and check its power supply and seating."
    )
    assert restart == "The driver reports Xid 31 for GPU-0: the program that used it must be restarted."
    assert unknown == "The driver reports Xid 1234 for GPU-0: see NVIDIA's Xid catalog."
    advice = "stop everything that uses the card, including this service, and reset it (`nvidia-smi --gpu-reset`)"
    assert reset == f"The driver reports Xid 119 for GPU-1: {advice}."
    assert nvml.ask() == reading(told(0), told(1))
    assert nvml.play("count 2", card(0), card(1, xid=31)).ask().faults == (
        "The driver reports Xid 31 for GPU-1: the program that used it must be restarted.",
    )


def test_a_fault_of_a_card_that_lost_its_name_is_told(nvml):
    nvml.play("count 2", card(0, xid=79), "0.nvmlDeviceGetUUID.code 15", card(1))
    (fault,) = nvml.ask().faults
    assert fault.startswith("The driver reports Xid 79 for a card: it has fallen off the bus;")


def test_a_flood_of_faults_is_told_in_parts(nvml):
    nvml.play("count 1", card(xid=[13] * 150))
    assert [len(nvml.ask().faults) for _ in range(3)] == [100, 50, 0]


@pytest.mark.parametrize("symbol", ["nvmlEventSetCreate", "nvmlDeviceRegisterEvents", "nvmlEventSetWait_v2"])
def test_a_driver_that_does_not_tell_faults_tells_the_rest(nvml, symbol):
    nvml.play("count 1", card(xid=79), f"{symbol}.code 3")
    assert nvml.ask() == reading(told())


@pytest.mark.parametrize("symbol", [HANDLE, "nvmlDeviceRegisterEvents"])
def test_a_card_that_does_not_tell_faults_does_not_silence_the_other(nvml, symbol):
    nvml.play("count 2", card(0, xid=31), f"0.{symbol}.code 15", card(1, xid=31))
    assert nvml.ask().faults == ("The driver reports Xid 31 for GPU-1: the program that used it must be restarted.",)


# --- divided cards (MIG) -----------------------------------------------------------------------------

# nothing is told of the processes, the load or the temperature of an instance
PART = {"gpu": None, "celsius": None, "recovery": None, "total": 6 * GIB, "free": 5 * GIB, "used": 0}
DIVIDED = (f"0/1.{UTILIZATION}.code 3", f"0/5.{UTILIZATION}.code 3", f"0/5.{PROCESSES}.code 3")


def instance(index, name, **changes):
    memory = {"total_bytes": 6 * GIB, "free_bytes": 5 * GIB, "used_bytes": 0}
    return told(index, name, **(memory | {"utilization": None, "others_busy": None} | changes))


def test_the_instances_of_a_divided_card_stand_in_its_place(nvml):
    parts = (card("0/1", **PART), card("0/5", **(PART | {"free": GIB})))
    nvml.play("count 2", card(0, mig=1, instances=7), *parts, *DIVIDED, card(1))
    first, second = instance(0, "0/1"), instance(1, "0/5", free_bytes=GIB, others_bytes=None)
    assert nvml.ask() == reading(first, second, told(2, "1"))


def test_what_is_recommended_for_a_divided_card_concerns_its_instances(nvml):
    nvml.play("count 1", card(0, mig=1, instances=7, recovery=4), card("0/1", **PART), *DIVIDED)
    needed = "The card needs attention; NVIDIA recommends: stop everything that uses the card, then reset it."
    assert nvml.ask() == reading(instance(0, "0/1", trouble=needed))


def test_a_divided_card_without_instances_cannot_be_used(nvml):
    nvml.play("count 1", card(0, mig=1, instances=7))
    needed = "The card is in MIG mode but has no instances; create some (`nvidia-smi mig`), or disable MIG mode."
    assert only(nvml) == told(trouble=needed)


def test_an_instance_that_fails_leaves_the_other_one_at_work(nvml):
    parts = (card("0/1", **PART), card("0/5", **PART))
    nvml.play("count 1", card(0, mig=1, instances=7), *parts, *DIVIDED, f"0/1.{MEMORY}.code 15")
    assert nvml.ask() == reading(troubled(0, LOST), instance(1, "0/5", others_bytes=None))


@pytest.mark.parametrize("mode", [0, None])
def test_a_card_that_is_not_divided_or_cannot_be_is_whole(nvml, mode):
    assert only(nvml.play("count 1", card(0, mig=mode, instances=7), card("0/1", **PART))) == told()


def test_a_card_that_does_not_count_its_instances_has_none(nvml):
    assert only(nvml.play("count 1", card(0, mig=1), card("0/1", **PART))).trouble is not None


# --- drivers that are gone ---------------------------------------------------------------------------


def test_after_an_update_of_the_driver_only_another_process_goes_on(start, library):
    before, update = ("count 1", card(), "library 570.1"), ("count 1", card(), "library 580.2")
    nvml = start(library)
    assert nvml.play(*before).ask() == reading(told())
    for script in (update, update, before):
        with pytest.raises(DeviceLost, match=REPLACED):
            nvml.play(*script).ask()
    assert start(library).play(*update).ask() == reading(told())


@pytest.mark.parametrize("symbol", ["nvmlDeviceGetCount_v2", HANDLE, MEMORY, UTILIZATION, "nvmlSystemGetDriverVersion"])
def test_an_unknown_error_of_the_only_card_after_work_ends_the_process(nvml, symbol):
    """A container loses its cards so when the host's systemd reloads."""
    assert nvml.play("count 1", card()).ask() == reading(told())
    nvml.play("count 1", card(), f"{symbol}.code 999")
    if symbol == UTILIZATION:
        assert only(nvml) == told(others_busy=None)
    else:
        with pytest.raises(DeviceLost, match=UNKNOWN):
            nvml.ask()


def test_an_unknown_error_of_all_cards_ends_the_process(nvml):
    nvml.play("count 2", card(0), card(1), f"{MEMORY}.code 999")
    with pytest.raises(DeviceLost, match=UNKNOWN):
        nvml.ask()


@pytest.mark.parametrize(("code", "sentence"), [(18, REPLACED), (999, UNKNOWN)])
def test_a_driver_that_does_not_match_from_the_start_ends_the_process(start, library, code, sentence):
    nvml = start(library)
    with pytest.raises(DeviceLost, match=sentence):
        nvml.play(f"nvmlInitWithFlags.code {code}").ask()


@pytest.mark.parametrize(
    "symbol",
    [
        "nvmlDeviceGetTemperature",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetFieldValues",
        "nvmlEventSetWait_v2",
        PROCESSES,
    ],
)
def test_a_replaced_driver_is_noticed_by_whatever_is_asked_first(nvml, symbol):
    nvml.play("count 1", card(), f"{symbol}.code 18")
    with pytest.raises(DeviceLost, match=REPLACED):
        nvml.ask()


def test_a_library_that_forgot_ends_the_process(nvml):
    nvml.play("count 1", card(), f"{MEMORY}.code 1")
    with pytest.raises(DeviceLost, match=r"^NVML lost its initialization\.$"):
        nvml.ask()


# --- for the worker ----------------------------------------------------------------------------------


def test_the_uuid_of_a_card_is_found_by_its_number(nvml):
    nvml.play("count 2", card(0, mig=1, instances=7), card("0/1", **PART), card(1))
    assert [nvml.uuid_of(id) for id in ("cuda:0", "cuda:1")] == ["GPU-0/1", "GPU-1"]


def test_the_version_of_the_driver_is_told_where_there_is_one(nvml):
    assert nvml.play("count 1", card()).driver() == "580.65"
    assert nvml.play("nvmlInitWithFlags.code 9").driver() == ""


def test_a_uuid_is_its_own_and_nobody_is_asked(nvml):
    nvml.play("nvmlInitWithFlags.code 9")
    assert nvml.uuid_of("MIG-5b1d") == "MIG-5b1d"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (("count 1", card(0)), "There is no card cuda:1."),
        (("count 2", card(0), card(1), f"1.{HANDLE}.code 15"), LOST),
        (("nvmlInitWithFlags.code 9",), "The NVIDIA driver is not loaded; see `dmesg` and `nvidia-smi`."),
        (("nvmlInitWithFlags.code 18",), REPLACED),
    ],
)
def test_the_uuid_of_a_card_that_cannot_be_used_is_not_told(nvml, script, sentence):
    with pytest.raises(DeviceLost) as lost:
        nvml.play(*script).uuid_of("cuda:1")
    assert str(lost.value) == sentence


# --- as the daemon has it: in a process that is ended when it does not answer ------------------------


class Kept:
    """The monitor in a slot of its own, with a second's patience."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.executor = ProcessPool(
            ["nvml"], worker_factory.make_monitor, on_event=lambda event: None, heartbeat_timeout=lambda ours: 1.0
        )
        self.executor.start()

    def ask(self) -> Reading:
        (slot,) = wait_for(self.executor.idle, 20, "a monitor")
        return self.executor.submit(slot, frozenset()).result(patient(20))

    def process(self) -> int:
        (pid,) = self.executor.processes()
        return pid


@pytest.fixture
def kept(library, tmp_path, monkeypatch):
    script = Script(tmp_path / "script", "count 1", card())
    for name, value in environment(library, script).items():
        monkeypatch.setenv(name, value)
    kept = Kept(script)
    yield kept
    kept.executor.stop(grace=0)


def test_a_call_that_hangs_costs_the_process_and_nothing_else(kept):
    kept.script.write("count 1", card(), f"{MEMORY}.sleep 3600")
    began = time.monotonic()
    with pytest.raises(WorkerLost, match=r"^nvml sent no heartbeat for 1 s\.$"):
        kept.ask()
    assert time.monotonic() - began < 10
    kept.script.write("count 1", card())
    assert kept.ask() == reading(told())


def test_a_monitor_that_is_stopped_is_replaced(kept):
    assert kept.ask() == reading(told())
    stopped = kept.process()
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(WorkerLost, match=r"^nvml sent no heartbeat for 1 s\.$"):
        kept.ask()
    assert kept.ask() == reading(told())
    assert kept.process() != stopped


def test_a_monitor_whose_driver_was_replaced_leaves_and_the_next_one_answers(kept):
    kept.script.write("count 1", card(), "library 570.1")
    assert kept.ask() == reading(told())
    kept.script.write("count 1", card(), "library 580.2")
    with pytest.raises(DeviceLost, match=REPLACED):
        kept.ask()
    assert kept.ask() == reading(told())
