"""Batches to slots: when a worker is brought up, left alone, asked to give memory back, or given work."""

from dataclasses import replace

import pytest
import structlog

from tests.support.fakes import OPTIONS, Clock, Manual, echo, heard, segments
from transcribed.core import events
from transcribed.core.errors import DeviceLost, OutOfMemory, Unavailable
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import BatchMemorySample, Card, Footprint, Reading, WorkerProfile
from transcribed.core.types import Assignment, Batch, ReleaseMemory
from transcribed.pipeline.executors import Slot
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import HOLD_SECONDS, MEASURE_SECONDS, Dispatcher
from transcribed.pipeline.scheduling.gpu_policy import Policy

GIB = 2**30
SAMPLES = tuple(
    (OPTIONS.model, BatchMemorySample(n * s, s, 10**7 * int(n * s))) for n, s in ((1, 2.0), (8, 2.0), (1, 30.0))
)


class Bench:
    """A dispatcher over cards, each with a slot; executors answer when the test does."""

    def __init__(self, cards=1, warm=True, free=20.0):
        self.clock, self.mailbox = Clock(), Mailbox()
        self.batcher = Batcher(max_segments=4)
        self.recognizer, self.monitor = Manual(cards), Manual()
        self.recognizer.slots = [Slot(f"cuda:{n}", warm=warm) for n in range(cards)]
        self.free = [free] * cards
        admission = Admission(BatchLimits(), lambda: Policy(reserve=2.0 * GIB), boot_bytes=3 * GIB)
        self.dispatcher = Dispatcher(
            self.mailbox, self.batcher, admission, self.recognizer, self.monitor, monotonic=self.clock
        )
        self.tell()
        for slot in self.recognizer.slots if warm else ():
            self.come_up(slot.id)

    def tell(self):
        cards = (Card(f"cuda:{n}", f"GPU-{n}", "a card", 24 * GIB, int(f * GIB), 0) for n, f in enumerate(self.free))
        self.dispatcher.on_measured(events.Measured(Reading(tuple(cards))))

    def come_up(self, slot):
        footprint = Footprint(GIB, GIB, GIB, int(self.free[int(slot[-1])] * GIB))
        profile = WorkerProfile(slot, ((OPTIONS.model, "bf16"),), "v1", footprint, SAMPLES)
        self.dispatcher.on_worker_ready(events.WorkerReady(slot, profile))

    def add(self, job=1, count=1):
        self.batcher.add(OPTIONS, segments(job, *[5.0] * count))

    def has_cached(self):
        """The worker has done a batch, and keeps 5 GiB for the next."""
        batch = Batch(OPTIONS, segments(9, 5.0))
        answer = replace(echo(batch), footprint=Footprint(GIB, 5 * GIB, 6 * GIB, 15 * GIB))
        self.dispatcher.on_recognized(events.Recognized(batch, "cuda:0", answer))

    def dispatch(self):
        """What was given out, in words."""
        before = len(self.recognizer.requests)
        self.dispatcher.dispatch()
        return [_told(request) for request in self.recognizer.requests[before:]]


def _told(request):
    return "rest" if isinstance(request, ReleaseMemory) else [s.job_id for s in request.batch.segments]


def test_a_worker_is_brought_up_at_the_start_before_there_is_work():
    bench = Bench(warm=False)
    assert bench.dispatch() == ["rest"]
    assert bench.dispatch() == []


def test_a_worker_is_brought_up_only_where_there_is_room_for_it():
    bench = Bench(warm=False, free=4.9)
    assert bench.dispatch() == []
    assert "a worker needs 3.0 GiB" in bench.dispatcher.waits["cuda:0"]
    bench.free = [5.1]
    bench.tell()
    assert bench.dispatch() == ["rest"]


def test_a_worker_that_left_for_want_of_work_returns_only_with_work():
    bench = Bench(warm=False)
    bench.dispatch()
    bench.recognizer.futures[0].set_result(heard())
    bench.dispatcher.on_worker_exited(events.WorkerExited("cuda:0"))
    assert bench.dispatch() == []
    bench.add()
    assert bench.dispatch() == []  # what it held may not be free yet
    bench.tell()
    assert bench.dispatch() == ["rest"]


def test_an_assignment_carries_what_it_may_take_and_what_stays_free():
    bench = Bench()
    bench.add(count=2)
    assert bench.dispatch() == [[1, 1]]
    (request,) = bench.recognizer.requests
    assert isinstance(request, Assignment)
    assert request.need_bytes == pytest.approx(1.02 * 10**8)
    assert request.reserve_bytes == 2 * GIB


def test_work_goes_to_cards_with_room_and_the_least_loaded_first():
    bench = Bench(cards=2)
    bench.free = [2.0, 20.0]
    bench.tell()
    bench.add()
    assert bench.dispatch() == [[1]]
    assert bench.recognizer.slots == [Slot("cuda:0")]
    bench = Bench(cards=2)
    bench.recognizer.slots = [Slot("cuda:0", load=1), Slot("cuda:1")]
    bench.add()
    bench.dispatch()
    assert bench.recognizer.slots == [Slot("cuda:0", load=1)]


def test_a_slot_that_waits_says_why_and_stops_saying_so():
    bench = Bench(free=1.0)
    bench.add()
    assert bench.dispatch() == []
    bench.free = [20.0]
    bench.tell()
    assert bench.dispatch() == [[1]]
    assert bench.dispatcher.waits == {}


def test_a_worker_that_keeps_needed_memory_is_asked_once_to_release_it():
    bench = Bench()
    bench.has_cached()
    assert bench.dispatch() == []
    bench.free = [1.5]
    bench.tell()
    assert bench.dispatch() == ["rest"]
    bench.recognizer.futures[-1].set_result(heard())
    bench.dispatcher.on_memory_released(
        events.MemoryReleased("cuda:0", Footprint(GIB, GIB, 2 * GIB, int(1.5 * GIB)))
    )  # all it could
    bench.tell()
    assert bench.dispatch() == []


def test_a_busy_worker_is_not_asked_it_gives_back_by_itself():
    bench = Bench()
    bench.has_cached()
    bench.free = [1.5]
    bench.tell()
    bench.recognizer.slots = [replace(bench.recognizer.slots[0], load=1)]
    assert bench.dispatch() == []


def test_a_slot_that_could_not_begin_is_left_alone_for_a_moment():
    bench = Bench()
    bench.add(count=5)
    bench.dispatch()
    (request,) = bench.recognizer.requests
    bench.recognizer.futures[0].set_exception(Unavailable("Others have taken the memory."))
    bench.dispatcher.on_batch_failed(
        events.BatchFailed(request.batch, "cuda:0", Unavailable("Others have taken the memory."))
    )
    assert bench.dispatch() == []
    bench.clock.now += HOLD_SECONDS
    assert bench.dispatch() == [[1]]


def test_out_of_memory_makes_the_next_batches_smaller():
    bench = Bench()
    bench.add(count=8)
    bench.dispatch()
    (request,) = bench.recognizer.requests
    bench.recognizer.futures[0].set_exception(OutOfMemory("no room"))
    bench.dispatcher.on_batch_failed(events.BatchFailed(request.batch, "cuda:0", OutOfMemory("no room")))
    assert bench.dispatch() == []  # what is free, nobody knows
    bench.tell()
    assert bench.dispatch() == [[1, 1]]


def test_what_a_batch_took_is_learned():
    bench = Bench()
    bench.add(count=4)
    bench.dispatch()
    (request,) = bench.recognizer.requests
    answer = replace(echo(request.batch), footprint=Footprint(GIB, GIB + 10**9, 2 * GIB, 19 * GIB))
    bench.dispatcher.on_recognized(events.Recognized(request.batch, "cuda:0", answer))
    bench.recognizer.futures[0].set_result(answer)
    bench.add(count=4)
    bench.dispatch()
    assert bench.recognizer.requests[1].need_bytes >= 10**9


# --- the cards ---------------------------------------------------------------------------------------


def test_the_cards_are_read_often_with_work_in_hand_and_seldom_without():
    bench = Bench()
    busy, idle = MEASURE_SECONDS
    for work, pause in ((False, idle), (True, busy)):
        if work:
            bench.add(count=9)
        bench.clock.now += idle
        bench.dispatch()
        before = len(bench.monitor.requests)
        bench.monitor.futures[-1].set_result(Reading())
        bench.clock.now += pause - 0.01
        bench.dispatch()
        assert len(bench.monitor.requests) == before
        bench.clock.now += 0.02
        bench.dispatch()
        assert len(bench.monitor.requests) == before + 1
        bench.monitor.futures[-1].set_result(Reading())


def test_nvml_that_does_not_answer_stops_admission_and_is_told_of_once():
    bench = Bench()
    bench.add()
    with structlog.testing.capture_logs() as logs:
        for _ in range(20):
            bench.dispatcher.on_measuring_failed(events.MeasuringFailed(DeviceLost("The driver was replaced.")))
            assert bench.dispatch() == []
        bench.tell()
    assert bench.dispatch() == [[1]]
    told = [(entry["log_level"], entry["state"]) for entry in logs if entry["event"] == "cards"]
    assert told == [("error", "The driver was replaced."), ("info", "ok")]


def test_faults_and_troubles_of_cards_are_told():
    bench = Bench()
    lost = Card("cuda:0", "GPU-0", "", 0, 0, 0, trouble="The card is lost.")
    with structlog.testing.capture_logs() as logs:
        bench.dispatcher.on_measured(events.Measured(Reading((lost,), faults=("The driver reports Xid 79.",))))
    assert [entry.get("fault") or entry["state"] for entry in logs] == [
        "The driver reports Xid 79.",
        "cuda:0: The card is lost.",
    ]
    bench.add()
    assert bench.dispatch() == []


def test_a_slot_that_cannot_work_is_reported_once_and_its_recovery_too():
    bench = Bench()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            bench.dispatcher.on_slot_unavailable(
                events.SlotUnavailable("cuda:0", "It does not recognize the test phrase.")
            )
        bench.come_up("cuda:0")
    assert [entry["event"] for entry in logs] == ["slot unavailable", "slot recovered"]
    assert bench.dispatcher.unavailable == {}
