"""What the doctor makes of cards and PyTorch: each judgement apart from the looking."""

from dataclasses import replace

import pytest

from tests.support import systemctl
from transcribed.core.telemetry import Card, Reading
from transcribed.doctor import gpu
from transcribed.doctor.findings import Finding, Level, ok
from transcribed.doctor.gpu import Torch
from transcribed.pipeline.scheduling.gpu_policy import Policy
from transcribed.pipeline.scheduling.slots import Slots

GIB = 2**30

A10 = Card("cuda:0", "GPU-0", "NVIDIA A10", 24 * GIB, 20 * GIB, 3 * GIB)

ONE, CPU = Slots(("cuda:0",)), Slots(("cpu:0",))


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def only(findings) -> Finding:
    (one,) = findings
    return one


def of(reading, device="auto", slots=ONE, needed=2 * GIB, **policy):
    return list(gpu.of_reading(reading, slots, device, Policy(**policy), needed))


def test_a_card_is_reported_with_its_memory_and_driver_and_neighbours():
    told = only(of(Reading((replace(A10, others_bytes=GIB),), "580.65")))
    expected = "cuda:0, NVIDIA A10 (driver 580.65): 20.0 GiB of 24.0 GiB free, 1.0 GiB held by other programs."
    assert told == ok(expected)


@pytest.mark.parametrize("slots", [ONE, Slots(("cuda:1",))])
def test_a_card_that_is_wanted_and_away_is_a_fault(slots):
    assert levels(of(Reading(trouble="The NVIDIA driver is not loaded."), slots=slots)) == ["fault"]
    assert levels(of(Reading(), slots=slots)) == ["fault"]


def test_a_card_with_too_little_room_is_warned_of_and_not_tried():
    full = Reading((replace(A10, free_bytes=3 * GIB),), "580.65")
    assert levels(of(full)) == ["ok", "warning"]  # 2.4 GiB are left to others
    assert gpu.ready(ONE, full, Policy(), 2 * GIB).names == ()
    assert gpu.ready(ONE, full, Policy(reserve=0), 2 * GIB).names == ("cuda:0",)


def test_a_machine_without_cards_is_no_fault_unless_one_is_wanted():
    assert levels(of(Reading(absent=True, trouble="none"), slots=CPU)) == ["note"]
    assert levels(of(Reading(), device="cpu", slots=CPU)) == ["ok"]


def test_faults_of_the_driver_are_passed_on():
    assert levels(of(Reading((A10,), "580.65", faults=("The driver reports Xid 79.",)))) == ["ok", "warning"]


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((6, 1), ["sm_75", "compute_75"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a", "compute_90a"], False),
        ((10, 3), ["sm_100f"], True),
        ((12, 0), ["sm_120"], True),
        ((7, 0), ["something"], False),
    ],
)
def test_a_build_runs_on_the_cards_that_it_has_code_for(capability, architectures, runs):
    assert gpu.runs_on(capability, architectures) is runs


def test_a_build_that_cannot_compute_on_the_card_is_a_fault():
    """Be it without CUDA, without code for the card, or failing at a computation."""
    good = Torch("2.13.0", "13.0", ("sm_80", "sm_90"), (9, 0))
    assert gpu.judge_torch(good, "cuda:0", False).level is Level.OK
    for bad in (
        Torch("2.13.0+cpu", None, refused="Torch not compiled with CUDA enabled"),
        replace(good, capability=(6, 1)),
        replace(good, refused="The NVIDIA driver on your system is too old"),
    ):
        assert gpu.judge_torch(bad, "cuda:0", False).level is Level.FAULT
    assert "without CUDA" in gpu.judge_torch(Torch("2.13.0+cpu", None), "cuda:0", False).sentence


def test_a_unit_that_hides_a_card_in_use_is_a_fault():
    assert list(gpu.of_devices(systemctl.unit("shipped"), ONE)) == []
    assert levels(gpu.of_devices(systemctl.unit("shipped", PrivateDevices="yes"), ONE)) == ["fault"]
    assert levels(gpu.of_devices(systemctl.unit("shipped", DeviceAllow="char-rtc r"), ONE)) == ["fault"]
    assert list(gpu.of_devices(systemctl.unit("shipped", PrivateDevices="yes"), CPU)) == []
