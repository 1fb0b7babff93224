from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis, Transcript, Utterance
from transcribed.output.layout.timeline import UNITS, lanes, stretches, ticks


def found(*utterances):
    return [(lane.kind, lane.name) for lane in lanes(Transcript(job(), preparation(1, 60.0), utterances))]


def test_there_is_a_lane_for_each_speaker_emotion_and_event():
    ann = Utterance(0, 1, Hypothesis("one", language="en", emotion="sad"), "Ann")
    bo = Utterance(2, 3, Hypothesis("two", language="en", events=("cough", "cough")), "Bo")
    assert found(ann, bo) == [("speech", "Ann"), ("speech", "Bo"), ("emotion", "sad"), ("event", "cough")]


def test_languages_have_lanes_where_there_are_several():
    one, two = (Utterance(n, n + 1, Hypothesis("x", language=tag)) for n, tag in enumerate(("en", "zh")))
    noise = Utterance(5, 6, Hypothesis("", language="nospeech", events=("bgm",)))
    assert found(one, one) == [("speech", None)]
    assert found(one, two, noise) == [("speech", None), ("event", "bgm"), ("language", "en"), ("language", "zh")]


moments = st.floats(0, 43200)


@given(st.lists(st.tuples(moments, moments).map(sorted), max_size=50), st.floats(0.1, 43200))
def test_stretches_are_apart_and_within_the_recording_however_long_it_is(spans, seconds):
    found = list(stretches(spans, seconds))
    assert all(start >= 0 and length > 0 and start + length <= UNITS for start, length in found)
    assert all(a + length < b for (a, length), (b, _) in pairwise(found))
    assert bool(found) == bool(spans)


@given(st.floats(0.1, 200_000))
def test_an_axis_has_a_few_marks_from_its_beginning(seconds):
    marks = ticks(seconds)
    assert marks[0] == 0
    assert len(marks) <= 6
    assert all(a < b for a, b in pairwise(marks))
    assert marks[-1] < seconds
