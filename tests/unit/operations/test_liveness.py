"""When the watchdog is to restart us, and when a restart would mend nothing."""

from dataclasses import dataclass

from transcribed.operations.liveness import STALL_SECONDS, first_stalled_thread


@dataclass
class Thread:
    name: str = "executor prepare:0"
    alive: bool = True

    def is_alive(self):
        return self.alive


@dataclass
class Walker(Thread):
    name: str = "inbox /in"
    local: bool = True
    last_progress_at: float = 1000.0


def test_what_goes_on_is_not_stalled():
    assert first_stalled_thread([Walker()], [Thread()], 1000.0 + STALL_SECONDS) is None


def test_a_thread_that_has_ended_is_told_by_name():
    assert first_stalled_thread([Walker()], [Thread(alive=False)], 1000.0) == "The thread executor prepare:0 has ended."
    assert first_stalled_thread([Walker(alive=False)], [Thread()], 1000.0) == "The thread inbox /in has ended."


def test_an_endless_walk_of_a_local_disk_is_a_stall():
    assert (
        first_stalled_thread([Walker()], [], 1001.0 + 2 * STALL_SECONDS)
        == "The thread inbox /in has hung for 30 minutes."
    )


def test_a_hanging_share_is_no_stall():
    """A restart would not bring it back."""
    assert first_stalled_thread([Walker(local=False)], [Thread()], 1001.0 + 2 * STALL_SECONDS) is None
