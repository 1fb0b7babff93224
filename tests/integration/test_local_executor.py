"""Real processes: answers, deaths, hangs, recycling, and orphans that must not be."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import wait_for
from tests.integration import works
from transcribed.errors import Permanent, WorkerLost
from transcribed.executors.local import LocalExecutor


@pytest.fixture
def start():
    running = []

    def start(make=works.make, slots=1, patience=30.0, **options):
        changes = []
        executor = LocalExecutor(
            [f"test:{n}" for n in range(slots)],
            make,
            changed=lambda slot, error: changes.append((slot, error)),
            patience=lambda request: patience,
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
    assert executor.changes == [("test:0", None)]


def test_slots_work_side_by_side(start):
    executor = start(slots=2)
    both = slots(executor, 2)
    slow = executor.submit(both[0], ("slow", 1.0))
    assert executor.submit(both[1], ("echo", 1)).result(30)[1] == 1
    assert not slow.done()
    assert slow.result(30) == "done"


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
    with pytest.raises(WorkerLost, match="no sign of life"):
        ask(executor, "hang", None)
    assert ask(executor, "echo", 1)[1] == 1


def test_a_stopped_process_is_taken_for_hung(start):
    executor = start(patience=1.0)
    (pid,) = wait_for(executor.processes, 30)
    slot = slots(executor)[0]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerLost, match="no sign of life"):
        executor.submit(slot, ("echo", 1)).result(30)


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


def test_a_process_that_cannot_start_is_told_of_and_tried_again_with_pauses(start):
    executor = start(works.unfit)
    wait_for(lambda: len(executor.changes) >= 2, 30)
    slot, sentence = executor.changes[0]
    assert (slot, sentence) == ("test:0", "test:0 cannot start: The model is not there.")
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


ORPHANER = """
import time
from tests.integration import works
from transcribed.executors.local import LocalExecutor
executor = LocalExecutor(["a", "b"], works.make, changed=lambda *_: None, patience=lambda _: 60)
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
