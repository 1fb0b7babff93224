from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import segments
from transcribed.core.types import Options
from transcribed.pipeline.scheduling.batcher import ALTERNATE, HEAD_START, PATIENCE, Batcher
from transcribed.pipeline.scheduling.budget import BatchBudget, Refusal

A, B = Options("a"), Options("b")


def of(padded_seconds):
    return lambda options: BatchBudget(padded_seconds)


def jobs(batch):
    return [segment.job_id for segment in batch.segments]


def test_the_first_segment_leaves_first_whatever_its_length():
    batcher = Batcher(max_segments=2)
    batcher.add(A, segments(1, 30, 1, 1, 1))
    assert batcher.next_batch(of(60)).segments[0].seconds == 30


def test_a_short_file_does_not_wait_behind_an_earlier_long_one():
    batcher = Batcher(max_segments=1)
    batcher.add(A, segments(1, *[10] * 1000), came_at=0)
    first = batcher.next_batch(of(99))
    batcher.add(A, segments(2, 3), came_at=5)
    assert [jobs(first), jobs(batcher.next_batch(of(99)))] == [[1], [2]]


def test_a_long_file_that_has_waited_is_overtaken_no_more():
    batcher = Batcher(max_segments=1)
    batcher.add(A, segments(1, 10, 10), came_at=0)
    batcher.next_batch(of(99))
    batcher.add(A, segments(2, 3), came_at=10 * PATIENCE + 1)
    assert jobs(batcher.next_batch(of(99))) == [1]


def test_higher_priority_leaves_before_all_but_files_an_hour_older():
    batcher = Batcher(max_segments=1)
    batcher.add(A, segments(1, 3), came_at=0)
    batcher.add(A, segments(2, 3), came_at=2)
    batcher.add(A, segments(3, 3), came_at=HEAD_START + 1, priority=1)
    assert [jobs(batcher.next_batch(of(99))) for _ in range(3)] == [[1], [3], [2]]


def test_what_does_not_fit_waits_and_what_fits_goes_on():
    batcher = Batcher()
    batcher.add(A, segments(1, 30) + segments(2, 4, 4))
    assert jobs(batcher.next_batch(of(10))) == [2, 2]
    assert batcher.next_batch(of(10)) is None
    assert jobs(batcher.next_batch(of(30))) == [1]


def test_no_room_for_one_set_of_options_is_room_for_another():
    batcher = Batcher()
    batcher.add(A, segments(1, 1))
    batcher.add(B, segments(2, 1))
    assert jobs(batcher.next_batch(lambda options: Refusal("no") if options == A else BatchBudget(9))) == [2]


def test_a_returned_batch_that_no_longer_fits_leaves_in_smaller_parts():
    batcher = Batcher()
    batcher.add(A, segments(1, *[5] * 8))
    batcher.requeue(batcher.next_batch(of(40)))
    sizes = []
    while batch := batcher.next_batch(of(12)):
        sizes.append(len(batch.segments))
    assert sizes == [2, 2, 2, 2]


def test_a_squeeze_that_is_over_leaves_no_small_parts_behind():
    batcher = Batcher()
    batcher.add(A, segments(1, *[5.0] * 64))
    batcher.requeue(batcher.next_batch(of(1000)))
    for _ in range(20):
        assert batcher.next_batch(of(1)) is None
    assert len(batcher.next_batch(of(1000)).segments) == 64


def test_what_leaves_before_a_files_end_counts_into_its_time_left():
    batcher = Batcher()
    batcher.add(A, segments(1, 5, 5), came_at=0)
    batcher.add(A, segments(2, 1), came_at=1)
    assert batcher.ahead() == {2: 6, 1: 11}


def test_companions_are_the_closest_in_length():
    batcher = Batcher(max_segments=3)
    batcher.add(A, segments(1, 5, 20, 5, 20, 5))
    assert [s.seconds for s in batcher.next_batch(of(1000)).segments] == [5, 5, 5]
    assert [s.seconds for s in batcher.next_batch(of(1000)).segments] == [20, 20]
    assert batcher.next_batch(of(1000)) is None


def test_options_never_mix_and_take_turns():
    batcher = Batcher(max_segments=1)
    for n in range(3):
        batcher.add(A, segments(n, 1), came_at=n)
        batcher.add(B, segments(n + 10, 1), came_at=n + ALTERNATE / 2)
    assert [batcher.next_batch(of(9)).options.model for _ in range(6)] == ["a", "b", "a", "b", "a", "b"]


def test_a_line_that_came_much_earlier_does_not_take_turns_with_newcomers():
    batcher = Batcher(max_segments=1)
    batcher.add(A, segments(1, 1) + segments(2, 1), came_at=0)
    batcher.add(B, segments(3, 1), came_at=ALTERNATE * 3)
    assert [batcher.next_batch(of(9)).options.model for _ in range(3)] == ["a", "a", "b"]


def test_files_share_a_batch():
    batcher = Batcher(max_segments=8)
    for job in range(4):
        batcher.add(A, segments(job, 2))
    assert {s.job_id for s in batcher.next_batch(of(99)).segments} == {0, 1, 2, 3}


def test_a_forgotten_job_leaves_no_segment_behind():
    batcher = Batcher(max_segments=8)
    batcher.add(A, segments(1, 1, 1) + segments(2, 1))
    batcher.requeue(*batcher.next_batch(of(99)).halves())
    batcher.add(A, segments(1, 5))
    batcher.forget(1)
    assert [s.job_id for s in batcher.next_batch(of(99)).segments] == [2]
    assert batcher.next_batch(of(99)) is None
    assert len(batcher) == 0


lengths = st.lists(st.floats(0.2, 30), max_size=40)


@given(st.lists(st.tuples(st.sampled_from([A, B]), lengths), max_size=20), st.floats(30, 300), st.integers(1, 20))
def test_nothing_is_lost_or_repeated_and_no_batch_exceeds_its_room(jobs, room, max_segments):
    batcher, given_in, taken = Batcher(max_segments, window=16), [], []
    for id, (options, seconds) in enumerate(jobs):
        batcher.add(options, segments(id, *seconds), came_at=id % 3, priority=id % 3 - 1)
        given_in += segments(id, *seconds)
    while batch := batcher.next_batch(of(room)):
        assert batch.padded_seconds <= room
        assert len(batch.segments) <= max_segments
        taken += batch.segments
    key = lambda s: (s.job_id, s.index)  # noqa: E731
    assert sorted(taken, key=key) == sorted(given_in, key=key)
