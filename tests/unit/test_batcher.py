from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import segments
from transcribed.batcher import Batcher
from transcribed.core import Options

A, B = Options("a"), Options("b")


def test_the_oldest_segment_leaves_first_whatever_its_length():
    batcher = Batcher(max_segments=2)
    batcher.add(A, segments(1, 30, 1, 1, 1))
    assert batcher.next_batch(room=10).segments[0].seconds == 30


def test_companions_are_the_closest_in_length():
    batcher = Batcher(max_segments=3)
    batcher.add(A, segments(1, 5, 20, 5, 20, 5))
    assert [s.seconds for s in batcher.next_batch(room=1000).segments] == [5, 5, 5]
    assert [s.seconds for s in batcher.next_batch(room=1000).segments] == [20, 20]
    assert batcher.next_batch(room=1000) is None


def test_options_never_mix_and_take_turns():
    batcher = Batcher(max_segments=1)
    batcher.add(A, segments(1, 1, 1))
    batcher.add(B, segments(2, 1, 1))
    assert [batcher.next_batch(9).options.model for _ in range(4)] == ["a", "b", "a", "b"]


def test_files_share_a_batch():
    batcher = Batcher(max_segments=8)
    for job in range(4):
        batcher.add(A, segments(job, 2))
    assert {s.job_id for s in batcher.next_batch(99).segments} == {0, 1, 2, 3}


def test_a_forgotten_job_leaves_no_segment_behind():
    batcher = Batcher(max_segments=8)
    batcher.add(A, segments(1, 1, 1) + segments(2, 1))
    batcher.put_back(*batcher.next_batch(99).halves())
    batcher.add(A, segments(1, 5))
    batcher.forget(1)
    assert [s.job_id for s in batcher.next_batch(99).segments] == [2]
    assert batcher.next_batch(99) is None
    assert len(batcher) == 0


lengths = st.lists(st.floats(0.2, 30), max_size=40)


@given(st.lists(st.tuples(st.sampled_from([A, B]), lengths), max_size=20), st.floats(1, 300), st.integers(1, 20))
def test_nothing_is_lost_or_repeated_and_no_batch_exceeds_its_room(jobs, room, max_segments):
    batcher, given_in, taken = Batcher(max_segments, window=16), [], []
    for id, (options, seconds) in enumerate(jobs):
        batcher.add(options, segments(id, *seconds))
        given_in += segments(id, *seconds)
    while batch := batcher.next_batch(room):
        assert len(batch.segments) == 1 or batch.padded_seconds <= room
        assert len(batch.segments) <= max_segments
        taken += batch.segments
    key = lambda s: (s.job_id, s.index)  # noqa: E731
    assert sorted(taken, key=key) == sorted(given_in, key=key)
