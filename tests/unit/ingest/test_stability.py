from pathlib import Path

from tests.support.fakes import source
from transcribed.ingest.stability import Observation, StabilityTracker

PATH = Path("/inbox/a.wav")


def seen(size=1, sample=b"s", blank_tail=False, being_written=False):
    return Observation(source(size=size), sample, blank_tail, being_written)


def settle(settler, observation, start=0.0, stop=100.0, step=0.5):
    """Observe whenever it is due; the moment at which the file settled, or None."""
    now = start
    while now < stop:
        for path in settler.due(now):
            if settler.check(path, observation(now), now):
                return now
        now += step
    return None


def test_an_unchanged_file_settles_after_the_quiet_window():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(), 0.0)
    assert settle(settler, lambda now: seen()) == 4.0
    assert len(settler) == 0


def test_a_growing_file_settles_only_after_its_last_change():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(size=0), 0.0)
    assert settle(settler, lambda now: seen(size=min(int(now), 10))) >= 14.0


def test_a_file_that_grows_for_two_days_is_never_given_up():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(size=0), 0.0)
    assert settle(settler, lambda now: seen(size=int(now)), stop=2 * 86_400, step=2.0) is None
    ((path, first_seen),) = settler.pending()
    assert (path, first_seen) == (PATH, 0.0)


def test_bytes_that_change_under_an_unchanged_size_and_time_restart_the_window():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(), 0.0)
    assert settle(settler, lambda now: seen(sample=b"old" if now < 3 else b"new")) >= 8.0


def test_a_preallocated_file_must_stay_quiet_four_times_as_long():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(), 0.0)
    assert settle(settler, lambda now: seen(blank_tail=True)) == 16.0


def test_a_file_that_somebody_writes_does_not_settle():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(), 0.0)
    assert settle(settler, lambda now: seen(being_written=now < 20)) == 22.0  # a window after it was last seen open


def test_a_vanished_file_is_forgotten():
    settler = StabilityTracker(quiet_seconds=4)
    settler.track(source(), 0.0)
    assert settle(settler, lambda now: None) is None
    assert settler.next_check_in(3.0) is None


def test_being_noticed_again_does_not_restart_an_unchanged_file():
    settler = StabilityTracker(quiet_seconds=4)
    for now in (0.0, 1.0, 2.0, 3.0):  # a metadata touch, a virus scanner
        settler.track(source(), now)
    assert settle(settler, lambda now: seen(), start=3.0) == 4.0


def test_any_modification_time_will_do():
    for mtime_ns in (0, -1, 2**62):  # rsync -a keeps old ones, cameras invent new ones
        settler = StabilityTracker(quiet_seconds=4)
        settler.track(source(mtime_ns=mtime_ns), 0.0)
        observation = Observation(source(mtime_ns=mtime_ns), b"s", False, False)
        assert settle(settler, lambda now, o=observation: o) == 4.0
