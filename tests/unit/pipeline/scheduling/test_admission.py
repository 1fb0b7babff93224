"""Room on a card: what is free, what our worker can use again, what is left to others, what was learned."""

import itertools

import pytest

from tests.support.fakes import OPTIONS, segments
from transcribed.core.telemetry import BatchMemorySample, Card, Footprint, Reading, WorkerProfile
from transcribed.core.types import Batch
from transcribed.pipeline.scheduling.admission import (
    FORGIVEN_SECONDS,
    STALE_SECONDS,
    YIELD_SECONDS,
    Admission,
    BatchLimits,
)
from transcribed.pipeline.scheduling.budget import BatchBudget, Refusal
from transcribed.pipeline.scheduling.gpu_policy import Policy

GIB = 2**30
MB = 10**6
SLOT = "cuda:0"
SAMPLES = tuple(
    (OPTIONS.model, BatchMemorySample(n * s, s, int(50 * MB + 5 * MB * n * s)))
    for n, s in ((1, 2.0), (8, 2.0), (1, 30.0))
)


def card(free_gib, **facts):
    return Card(SLOT, "GPU-1", "a card", 24 * GIB, int(free_gib * GIB), int((24 - free_gib) * GIB), **facts)


def admission(policy=Policy(reserve=2 * GIB), limits=BatchLimits(6000.0), **more):  # noqa: B008
    return Admission(limits, lambda: policy, boot_bytes=3 * GIB, **more)


def up(made, free_gib=20.0, resting_gib=1.0, samples=SAMPLES):
    """A worker has come up on a card with so much free, and NVML has told."""
    footprint = Footprint(int(resting_gib * GIB), int(resting_gib * GIB), int(resting_gib * GIB), int(free_gib * GIB))
    made.on_reading(Reading((card(free_gib),)), now=0.0)
    made.on_worker_ready(SLOT, WorkerProfile("GPU-1", ((OPTIONS.model, "bf16"),), "v1", footprint, samples))
    return made


def batch(rows, seconds):
    return Batch(OPTIONS, segments(1, *[seconds] * rows))


def room(made, now=1.0):
    found = made.budget(SLOT, OPTIONS, now)
    assert isinstance(found, BatchBudget), found
    return found


def reason(made, now=1.0):
    found = made.budget(SLOT, OPTIONS, now)
    assert isinstance(found, Refusal)
    return found.reason


def test_on_a_cpu_the_room_is_a_fixed_number():
    assert Admission(BatchLimits(120.0)).budget("cpu:0", OPTIONS, 0.0) == BatchBudget(120.0)
    assert Admission(BatchLimits(120.0)).obstacle("cpu:0", 0.0) is None


def test_the_room_is_what_is_free_less_what_is_left_to_others():
    assert room(up(admission(), free_gib=20.0)).free_bytes == 18 * GIB
    assert room(up(admission(Policy(reserve=0.25)), free_gib=20.0)).free_bytes == 14 * GIB


def test_less_room_makes_smaller_batches_and_then_none():
    rows = []
    for free in (12.0, 6.0, 3.0, 2.2, 2.0, 0.5):
        made = up(admission(), free_gib=12.0)
        made.on_success(SLOT, batch(100, 30.0), 1.0, Footprint(GIB, GIB + int(50 * MB + 5 * MB * 3000), GIB, 12 * GIB))
        made.on_reading(Reading((card(free),)), now=1.0)
        rows.append(room(made).rows(30.0))
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > 3 * rows[3] > 0
    assert rows[-2:] == [0, 0]


def test_what_our_worker_keeps_in_its_cache_is_room_too():
    made = up(admission(), free_gib=20.0)
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 5 * GIB, 6 * GIB, 15 * GIB))
    assert room(made).free_bytes == (15 + 5 - 2) * GIB
    made.on_reading(Reading((card(14.0),)), now=1.0)
    assert room(made).free_bytes == (14 + 5 - 2) * GIB


def test_a_share_bounds_what_we_hold_whatever_is_free():
    assert room(up(admission(Policy(reserve=0, max_share=0.25)), free_gib=20.0)).free_bytes == 5 * GIB


def test_a_worker_that_is_gone_leaves_no_cache_to_count_on():
    made = up(admission(), free_gib=10.0)
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 5 * GIB, 6 * GIB, 5 * GIB))
    made.on_worker_exit(SLOT, now=0.5)
    assert "has not started yet" in reason(made)
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 5 * GIB, 6 * GIB, 5 * GIB))  # held back by the ledger
    made.on_reading(Reading((card(4.9),)), now=1.0)  # its memory is not back yet
    assert "a worker needs 3.0 GiB" in made.obstacle(SLOT, 1.0).reason
    made.on_reading(Reading((card(5.0),)), now=2.0)
    assert made.obstacle(SLOT, 2.0) is None


@pytest.mark.parametrize(
    ("reading", "policy", "told"),
    [
        (Reading(trouble="The NVIDIA driver is not loaded."), Policy(), "driver is not loaded"),
        (Reading(), Policy(), "There is no card cuda:0"),
        (Reading((card(20, trouble="The card is lost."),)), Policy(), "lost"),
        (Reading((card(20),)), Policy(pause=True), "pauses work"),
        (Reading((card(20, others_busy=True),)), Policy(yield_to_others=True), "Other processes are using"),
    ],
)
def test_work_waits_and_says_why(reading, policy, told):
    made = up(admission(policy))
    made.on_reading(reading, now=1.0)
    assert told in reason(made)
    assert told in made.obstacle(SLOT, 1.0).reason


def test_others_that_only_hold_memory_are_not_waited_for():
    """Nor are those of which nobody knows whether they compute."""
    for busy in (False, None):
        made = up(admission(Policy(yield_to_others=True)))
        made.on_reading(Reading((card(20, others_busy=busy, others_bytes=3 * GIB),)), now=1.0)
        assert room(made)


def test_without_a_fresh_reading_nothing_is_admitted():
    made = up(admission())
    assert room(made, now=STALE_SECONDS)
    assert "NVML does not answer" in reason(made, now=STALE_SECONDS + 1)
    assert "NVML does not answer" in admission().obstacle(SLOT, 0.0).reason


def test_batches_grow_only_as_far_as_the_largest_measured_is_trusted():
    made = up(admission())
    assert room(made).rows(10.0) == 6
    for rows in (6, 12, 24):
        made.on_success(
            SLOT, batch(rows, 10.0), 0.1, Footprint(GIB, GIB + int(50 * MB + 50 * MB * rows), GIB, 20 * GIB)
        )
    assert room(made).rows(10.0) == 48


def test_a_batch_lasts_no_longer_than_others_should_wait_behind_it():
    made = up(admission(limits=BatchLimits(6000.0, seconds=1.0)))
    made.on_success(SLOT, batch(45, 30.0), 30.0, None)  # 45 padded seconds a second; 60 would be trusted
    assert room(made).padded_seconds == pytest.approx(45)


def test_memory_is_owed_when_others_need_what_we_only_keep():
    made = up(admission())
    assert not made.should_release(SLOT)
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 5 * GIB, 6 * GIB, 15 * GIB))
    assert not made.should_release(SLOT)
    made.on_reading(Reading((card(1.9),)), now=1.0)
    assert made.should_release(SLOT)
    made.on_memory_released(SLOT, Footprint(GIB, GIB, GIB, 7 * GIB))
    assert not made.should_release(SLOT)


def test_what_giving_back_did_not_free_is_not_asked_for_again():
    made = up(admission())
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 5 * GIB, 6 * GIB, 15 * GIB))
    made.on_reading(Reading((card(1.0),)), now=1.0)
    assert made.should_release(SLOT)
    made.on_memory_released(SLOT, Footprint(GIB, GIB, GIB + 20 * MB, GIB))  # the allocator keeps a little
    assert not made.should_release(SLOT)


def test_others_that_paused_for_a_moment_compute_still():
    made = up(admission(Policy(yield_to_others=True)))
    made.on_reading(Reading((card(20, others_busy=True),)), now=1.0)
    made.on_reading(Reading((card(20, others_busy=False),)), now=1.5)
    assert "Other processes are using" in reason(made, now=1.5)
    assert room(made, now=1.0 + YIELD_SECONDS)


def test_a_reading_begun_before_the_worker_told_is_older_news():
    made = up(admission(), free_gib=20.0)
    late = Footprint(GIB, 11 * GIB, 11 * GIB, 10 * GIB, at=5.0)
    made.on_success(SLOT, batch(8, 30.0), 1.0, late)
    made.on_reading(Reading((card(20.0),), at=4.9), now=5.1)  # from before the cache grew
    assert room(made, now=5.2).free_bytes == (10 + 10 - 2) * GIB
    made.on_reading(Reading((card(9.0),), at=5.3), now=5.4)
    assert room(made, now=5.5).free_bytes == (9 + 10 - 2) * GIB


def test_a_reading_is_as_old_as_its_beginning_however_late_handled():
    made = up(admission())
    made.on_reading(Reading((card(20.0),), at=1.0), now=100.0)
    assert "NVML does not answer" in reason(made, now=100.0)


# --- refusals ----------------------------------------------------------------------------------------


def test_a_neighbour_that_came_and_went_does_not_stop_the_slot_long():
    """Its worker found too little for a batch and dropped its cache: what is free then, only a later reading says."""
    made = up(admission(), free_gib=10.0)
    made.on_success(SLOT, batch(8, 30.0), 1.0, Footprint(GIB, 9 * GIB, 10 * GIB, GIB, at=1.0))
    made.on_shortage(SLOT, 240.0, now=2.0)
    assert room(made, now=2.0).rows(1.0) == 0
    made.on_reading(Reading((card(1.0),), at=1.9), now=2.1)
    assert room(made, now=2.2).rows(1.0) == 0
    made.on_reading(Reading((card(3.0),), at=2.5), now=2.6)  # with what was cached, and no more
    assert room(made, now=2.7).free_bytes == GIB
    made.on_reading(Reading((card(20.0),), at=3.0), now=3.1)
    assert room(made, now=3.2).rows(30.0) == room(up(admission()), now=1.0).rows(30.0) * 8


def test_where_nvml_counts_more_than_the_device_has_batches_get_smaller():
    made = up(admission())
    for n in range(1, 4):
        made.on_shortage(SLOT, 60.0, now=n)
        made.on_reading(Reading((card(20.0),), at=n + 0.5), now=n + 0.5)
    assert room(made, now=4.0).padded_seconds == 30.0


def test_a_small_refusal_is_not_lifted_by_a_large_one():
    made = Admission(BatchLimits(6000.0))
    made.on_out_of_memory("cpu:0", 60.0, now=0.0)
    made.on_out_of_memory("cpu:0", 4000.0, now=0.0)
    assert made.budget("cpu:0", OPTIONS, 1.0).padded_seconds == 30.0


def test_a_refused_batch_halves_the_ceiling_of_its_slot_alone():
    made = Admission(BatchLimits(120.0))
    made.on_out_of_memory("cpu:0", 100.0, now=0.0)
    assert made.budget("cpu:0", OPTIONS, 1.0).padded_seconds == 50.0
    assert made.budget("cpu:1", OPTIONS, 1.0).padded_seconds == 120.0


def test_the_ceiling_recovers_slowly_and_never_above_what_is_configured():
    made = Admission(BatchLimits(120.0))
    made.on_out_of_memory("cpu:0", 40.0, now=0.0)
    rooms = []
    for _ in range(100):
        made.on_success("cpu:0", batch(1, 1.0), 1.0, None)
        rooms.append(made.budget("cpu:0", OPTIONS, 1.0).padded_seconds)
    assert rooms == sorted(rooms)
    assert rooms[1] < 40.0
    assert rooms[-1] == 120.0


def test_a_refusal_is_forgotten_in_time_and_later_after_each_repetition():
    made, waits = Admission(BatchLimits(120.0)), []
    now = 0.0
    for _ in range(6):
        made.on_out_of_memory("cpu:0", 30.0, now)
        after = next(s for s in itertools.count(1) if made.budget("cpu:0", OPTIONS, now + s).padded_seconds == 120.0)
        waits.append(after)
        now += after
    assert waits[0] == FORGIVEN_SECONDS[0]
    assert waits[-1] == FORGIVEN_SECONDS[1]
    assert waits == sorted(waits)


# --- what is kept ------------------------------------------------------------------------------------


def test_what_was_learned_is_known_to_later_runs_of_the_same_versions():
    before = up(admission())
    before.on_success(SLOT, batch(60, 30.0), 1.0, Footprint(GIB, GIB + 9100 * MB, GIB, 20 * GIB))
    after = up(admission(remembered=before.learned()))
    assert room(after).rows(30.0) == room(before).rows(30.0)
    other = admission(remembered=before.learned())
    other.on_reading(Reading((card(20.0),)), now=0.0)
    other.on_worker_ready(
        SLOT, WorkerProfile("GPU-1", ((OPTIONS.model, "bf16"),), "v2", Footprint(GIB, GIB, GIB, 20 * GIB), SAMPLES)
    )
    assert room(other).rows(30.0) == 2


@pytest.mark.parametrize("nonsense", [[], 3, "x", {"version": "v1"}, {"version": "v1", "samples": [[0, 0, 0], 1, "a"]}])
def test_what_is_remembered_in_another_shape_is_learned_anew(nonsense):
    assert room(up(admission(remembered={f"GPU-1 {OPTIONS.model} bf16": nonsense}))).rows(30.0) == 2


def test_the_capacity_is_told_in_seconds_of_audio_or_with_a_reason():
    made = up(admission())
    (told,) = made.capacity(SLOT, 1.0)
    assert (told["dtype"], told["waits"], told["fits"]) == ("bf16", None, {"5": 60, "10": 60, "30": 60})
    made.on_reading(Reading((card(0.1),)), now=1.0)
    (told,) = made.capacity(SLOT, 1.0)
    assert told["fits"] == {"5": 0, "10": 0, "30": 0}
