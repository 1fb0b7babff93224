"""Real processes: answers, deaths, hangs, recycling, and orphans that must not be."""

import functools
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support import works
from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import DeviceLost, Permanent, SlowStart, Unavailable, WorkerLost
from transcribed.core.events import SlotUnavailable, WorkerExited, WorkerReady
from transcribed.pipeline.executors.process_pool import ProcessPool


@pytest.fixture
def start():
    running = []

    def start(make=works.make, slots=1, patience=30.0, **options):
        changes = []
        executor = ProcessPool(
            [f"test:{n}" for n in range(slots)],
            make,
            on_event=changes.append,
            heartbeat_timeout=lambda request: patience,
            **options,
        )
        executor.changes = changes
        executor.start()
        running.append(executor)
        return executor

    yield start
    for executor in running:
        executor.stop(grace=2)


def slots(executor, count=1):
    return wait_for(lambda: len(found := executor.idle()) >= count and found, 30, f"{count} idle slots")


def ask(executor, *request, seconds=30):
    return executor.submit(slots(executor)[0], request).result(seconds)


def test_a_request_is_answered_by_the_process_of_its_slot(start):
    executor = start()
    slot, value, pid = ask(executor, "echo", 7)
    assert (slot, value) == ("test:0", 7)
    assert pid != os.getpid()
    assert executor.changes == [WorkerReady("test:0")]


def test_slots_work_side_by_side(start):
    executor = start(slots=2)
    both = slots(executor, 2)
    slow = executor.submit(both[0], ("slow", 1.0))
    assert executor.submit(both[1], ("echo", 1)).result(patient(30))[1] == 1
    assert not slow.done()
    assert slow.result(patient(30)) == "done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_death_fails_only_its_own_request_and_the_slot_comes_back(start, number):
    executor = start()
    with pytest.raises(WorkerLost, match="ended unexpectedly"):
        ask(executor, "die", number)
    assert ask(executor, "echo", 1)[1] == 1


def test_an_idle_process_that_is_killed_is_replaced(start):
    executor = start()
    pid = ask(executor, "echo", 1)[2]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: executor.processes() and pid not in executor.processes(), 30)
    assert ask(executor, "echo", 2)[2] != pid


def test_no_sign_of_life_is_the_end_of_a_process(start):
    executor = start(patience=0.5)
    with pytest.raises(WorkerLost, match="sent no heartbeat"):
        ask(executor, "hang", None)
    assert ask(executor, "echo", 1)[1] == 1


def test_a_stopped_process_is_taken_for_hung(start):
    executor = start(patience=1.0)
    (pid,) = wait_for(executor.processes, 30)
    slot = slots(executor)[0]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerLost, match="sent no heartbeat"):
        executor.submit(slot, ("echo", 1)).result(patient(30))


def test_long_work_lives_as_long_as_it_beats(start):
    assert ask(start(patience=1.0), "slow", 3.0) == "done"


def test_errors_keep_their_words_and_their_process(start):
    executor = start()
    pid = ask(executor, "echo", 1)[2]
    with pytest.raises(Permanent, match="playlist") as caught:
        ask(executor, "raise", None)
    assert caught.value.hint == "Drop recordings."
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        ask(executor, "crash", "x")
    assert ask(executor, "echo", 1)[2] == pid


def test_a_process_that_cannot_start_is_reported_and_retried_with_pauses(start):
    executor = start(works.unfit)
    wait_for(lambda: len(executor.changes) >= 2, 30)
    assert executor.changes[:2] == [
        SlotUnavailable("test:0", "test:0 cannot start: The model is not there."),
        WorkerExited("test:0"),
    ]
    assert executor.idle() == []


def test_a_process_is_replaced_after_its_share_of_requests(start):
    executor = start(recycle_after=3)
    pids = [ask(executor, "echo", n)[2] for n in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_a_process_that_ignores_the_signal_to_end_is_ended(start):
    executor = start()
    ask(executor, "ignore term", None)
    (pid,) = executor.processes()
    executor.stop(grace=0.2)
    assert not os.path.exists(f"/proc/{pid}")


# --- slots that are filled by need --------------------------------------------------------------------


def test_a_cold_slot_is_idle_until_its_first_request_starts_a_process(start):
    executor = start(keep_warm=False)
    (slot,) = executor.idle()
    assert not slot.warm
    assert executor.processes() == []
    assert ask(executor, "echo", 1)[1] == 1
    assert executor.idle()[0].warm


def test_an_idle_process_leaves_in_good_order_and_comes_back_by_itself(start, tmp_path):
    executor = start(keep_warm=False, idle_exit=0.5)
    ask(executor, "append when ended", str(tmp_path / "trace"))
    wait_for(lambda: WorkerExited("test:0") in executor.changes, 30)
    assert executor.processes() == []
    assert (tmp_path / "trace").read_text() == "in good order"
    assert not executor.idle()[0].warm
    assert ask(executor, "echo", 2)[1] == 2
    assert [type(change) for change in executor.changes] == [WorkerReady, WorkerExited, WorkerReady]


def test_a_slot_that_cannot_be_filled_fails_its_request_and_pauses(start):
    """The request counts as not begun."""
    executor = start(works.unfit, keep_warm=False, back_off=(0.5, 60.0))
    with pytest.raises(Unavailable, match="The model is not there"):
        ask(executor, "echo", 1)
    wait_for(lambda: WorkerExited("test:0") in executor.changes, 30)
    assert executor.idle() == []
    assert slots(executor)  # it is tried again


def test_a_process_whose_device_is_lost_answers_and_makes_room_for_another(start):
    executor = start()
    pid = ask(executor, "echo", 1)[2]
    with pytest.raises(DeviceLost, match="gone"):
        ask(executor, "lost", None)
    assert ask(executor, "echo", 1)[2] != pid
    assert WorkerExited("test:0", lost=True) in executor.changes


def test_a_process_that_hangs_is_given_the_chance_to_end_orderly(start, tmp_path):
    executor = start(patience=0.5)
    ask(executor, "append when ended", str(tmp_path / "trace"))
    with pytest.raises(WorkerLost, match="sent no heartbeat"):
        ask(executor, "hang", None)
    wait_for(lambda: WorkerExited("test:0", lost=True) in executor.changes, 30)
    assert (tmp_path / "trace").read_text() == "in good order"


def test_a_process_that_hangs_and_ignores_the_signal_to_end_is_killed(start):
    executor = start(patience=0.5)
    ask(executor, "ignore term", None)
    (pid,) = executor.processes()
    with pytest.raises(WorkerLost, match="sent no heartbeat"):
        ask(executor, "hang", None)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30)
    assert ask(executor, "echo", 1)[2] != pid


# --- two in hand --------------------------------------------------------------------------------------


def test_what_a_request_needs_is_fetched_during_the_one_before_it(start):
    executor = start(works.fetching, depth=2)
    first = executor.submit(slots(executor)[0], 0.5)
    (slot,) = executor.idle()
    assert slot.load == 1
    second = executor.submit(slot, 0.0)
    assert executor.idle() == []
    done_at = first.result(patient(30))[1]
    fetched_at, _ = second.result(patient(30))
    assert fetched_at < done_at
    assert executor.changes[0] == WorkerReady("test:0", "a profile")


def test_a_long_start_is_waited_for_while_it_makes_progress(start):
    executor = start(functools.partial(works.slow, 0.6), start_timeout=5.0)  # six seconds in all
    assert ask(executor, "echo", 1, seconds=60)[1] == 1
    assert executor.changes == [WorkerReady("test:0")]


def test_a_start_without_progress_is_given_up_and_blames_no_request(start):
    executor = start(functools.partial(works.slow, -600.0), start_timeout=0.5, keep_warm=False)
    with pytest.raises(SlowStart, match=r"test:0 made no progress for 0 s while it started"):
        ask(executor, "echo", 1)
    assert isinstance(executor.changes[0], SlotUnavailable)


def test_one_that_never_started_can_be_stopped():
    ProcessPool(["test:0"], works.make, on_event=lambda event: None, heartbeat_timeout=lambda request: 1.0).stop(
        grace=0
    )


def test_what_cannot_be_fetched_fails_alone(start):
    executor = start(works.fetching, depth=2)
    slot = slots(executor)[0]
    bad, good = executor.submit(slot, "unreadable"), executor.submit(slot, 0.0)
    assert good.result(patient(30))
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        bad.result(patient(30))


def test_a_death_is_the_fault_of_the_first_in_hand_alone(start):
    executor = start(depth=2)
    slot = slots(executor)[0]
    ended = [executor.submit(slot, ("die", signal.SIGKILL)), executor.submit(slot, ("echo", 1))]
    assert isinstance(ended[0].exception(30), WorkerLost)
    assert isinstance(ended[1].exception(30), Unavailable)
    assert ask(executor, "echo", 1)[1] == 1


def test_patience_with_the_second_in_hand_begins_when_the_first_is_done(start):
    executor = start(depth=2, patience=1.0)
    slot = slots(executor)[0]
    slow, quick = executor.submit(slot, ("slow", 2.0)), executor.submit(slot, ("slow", 0.5))
    assert [slow.result(patient(30)), quick.result(patient(30))] == ["done", "done"]


ORPHANER = """
import time
from tests.support import works
from transcribed.pipeline.executors.process_pool import ProcessPool
executor = ProcessPool(["a", "b"], works.make, on_event=lambda _: None, heartbeat_timeout=lambda _: 60)
executor.start()
while len(slots := executor.idle()) < 2: time.sleep(0.01)
executor.submit(slots[0], ("hang", None))
print(*executor.processes(), flush=True)
time.sleep(600)
"""


def test_no_process_outlives_a_daemon_that_was_killed():
    parent = subprocess.Popen([sys.executable, "-c", ORPHANER], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not any(_runs(pid) for pid in pids), 10, "the end of both processes")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_deaths_in_a_row_lose_no_request(start):
    """Thirty requests, each killed at a random moment or not: every future ends, one way or the other."""
    executor, ended = start(slots=2), []
    for n in range(30):
        future = executor.submit(slots(executor)[0], ("die", signal.SIGKILL) if n % 3 == 0 else ("echo", n))
        ended.append(future)
    until = time.monotonic() + 30
    results = [f.exception(max(0.1, until - time.monotonic())) for f in ended]
    assert [isinstance(r, WorkerLost) for r in results] == [n % 3 == 0 for n in range(30)]
