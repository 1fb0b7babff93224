import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import job, preparation
from transcribed.core.errors import Permanent
from transcribed.core.types import Hypothesis, Replacement, Transcript, Utterance, Word
from transcribed.output.formats import json_reader, render

words = st.lists(st.builds(Word, st.text("一二xy.,", min_size=1), st.floats(0, 9), st.floats(9, 20), st.floats(0, 1)))
hypotheses = st.builds(
    Hypothesis,
    st.text(max_size=20),
    words.map(tuple),
    st.sampled_from(["zh", "en", None]),
    st.sampled_from(["happy", None]),
    st.sampled_from([(), ("laughter",)]),
    st.none() | st.just(0.5),
    st.text(max_size=9),
    st.sampled_from([(), (Replacement("泥好", "你好", 0.9),)]),
)
utterances = st.lists(
    st.builds(
        Utterance,
        st.integers(0, 99).map(float),
        st.just(100.0),
        hypotheses,
        st.sampled_from(["caller", "callee", None]),
    )
)


@given(utterances, st.none() | st.just("Words may be missing."), st.sampled_from([1, 8]))
def test_a_transcript_read_from_its_json_is_the_one_that_was_written(spoken, suspicion, channels):
    made = preparation(1, 50.0, 50.0, speech=0.5)
    made = Transcript(job(), replace(made, segments=made.segments * channels), tuple(spoken), suspicion)
    text = render(made, "json")
    read = json_reader.read(text)
    assert read.utterances == made.utterances
    assert {**json.loads(render(read, "json")), "made_with": None} == {**json.loads(text), "made_with": None}
    assert [render(read, format) for format in ("txt", "srt", "vtt")] == [
        render(made, format) for format in ("txt", "srt", "vtt")
    ]


def test_a_transcript_of_an_earlier_version_is_read():
    document = json.loads(render(Transcript(job(), preparation(1, 2.0), ()), "json"))
    for key in ("title", "speakers", "name_fields", "tags", "suspicion", "suspicious", "made_with"):
        del document[key]
    assert json_reader.read(json.dumps(document)).utterances == ()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "other"}', "null", '"x"', "{"])
def test_what_is_no_transcript_is_told_in_a_sentence(text):
    with pytest.raises(Permanent, match="not a JSON transcript"):
        json_reader.read(text)


def test_a_transcript_of_a_later_version_is_told_as_such():
    document = json.loads(render(Transcript(job(), preparation(1, 2.0), ()), "json"))
    with pytest.raises(Permanent, match="later version"):
        json_reader.read(json.dumps(document | {"schema_version": 99}))
