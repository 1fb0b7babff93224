import json
from dataclasses import replace

import pytest

from tests.support.fakes import job, preparation
from transcribed.core.text import join
from transcribed.core.types import Failure, Hypothesis, Word
from transcribed.output.formats import DEFAULT_FORMATS, render
from transcribed.output.formats.json import read_source
from transcribed.output.renderer import failure_note
from transcribed.output.transcript import assemble, language_of


def heard(text, language="en", **more):
    parts = text.split() if language == "en" else list(text)
    words = tuple(Word(part, 0.5 * n, 0.5 * n + 0.4, 0.9) for n, part in enumerate(parts))
    return Hypothesis(text, words, language, confidence=0.9, **more)


def transcript(*hypotheses, seconds=8.0, damage=None):
    prepared = preparation(1, *[seconds] * len(hypotheses), damage=damage)
    return assemble(job(), prepared, dict(enumerate(hypotheses)))


def test_words_are_placed_in_the_recording():
    made = transcript(heard("one two"), heard("three"))
    assert [w.start for u in made.utterances for w in u.hypothesis.words] == [0.0, 0.5, 8.0]
    assert [(u.start, u.stop) for u in made.utterances] == [(0.0, 8.0), (8.0, 16.0)]


def test_a_segment_without_an_answer_is_an_error_and_no_transcript():
    with pytest.raises(KeyError):
        assemble(job(), preparation(1, 2, 3), {0: heard("one")})


def test_the_language_is_that_of_most_of_the_spoken_time():
    assert language_of(transcript(heard("one"), heard("一二三", "zh"), heard("四", "zh"))) == "zh"
    assert language_of(transcript()) is None


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["one", "two"], "one two"),
        (["一", "二"], "一二"),
        (["hello", "世界"], "hello 世界"),
        (["好", "，", "是"], "好，是"),
        (["yes", ",", "no"], "yes, no"),
        ([], ""),
    ],
)
def test_texts_are_joined_as_their_languages_do(pieces, text):
    assert join(pieces) == text


# --- formats -----------------------------------------------------------------------------------------


def test_a_file_without_speech_gets_a_transcript_that_says_so():
    silence = transcript()
    assert render(silence, "txt") == "[No speech was detected in this recording of 1.0 seconds.]\n"
    document = json.loads(render(silence, "json"))
    assert (document["no_speech"], document["text"], document["segments"]) == (True, "", [])
    assert render(silence, "srt") == "1\n00:00:00,000 --> 00:00:01,000\n[No speech was detected.]\n\n"
    assert render(silence, "vtt") == "WEBVTT\n"


def test_loud_sounds_that_are_no_speech_are_told_of_where_nothing_else_is():
    made = transcript()
    loud = replace(made, preparation=replace(made.preparation, loud_seconds=12.3))
    assert json.loads(render(loud, "json"))["left_out_loud_seconds"] == 12.3
    assert render(loud, "txt").endswith(
        "[In 12 seconds of it, something was louder than the background, and was not taken for speech.]\n"
    )
    spoken = replace(loud, utterances=transcript(heard("one")).utterances)
    assert render(spoken, "txt") == "one\n"
    assert json.loads(render(spoken, "json"))["left_out_loud_seconds"] == 12.3


def test_damage_is_said_in_the_text_and_flagged_in_the_json():
    partial = transcript(heard("one"), damage="Only the first 8.0 s could be decoded.")
    assert render(partial, "txt") == "[Only the first 8.0 s could be decoded.]\n\none\n"
    assert json.loads(render(partial, "json"))["partial"] is True


def test_json_is_a_superset_of_whispers():
    document = json.loads(render(transcript(heard("one two", emotion="happy", events=("laughter",))), "json"))
    assert {"text", "language", "segments"} <= document.keys()
    (segment,) = document["segments"]
    assert {"id", "start", "end", "text", "words"} <= segment.keys()
    assert segment["words"][0].keys() == {"word", "start", "end", "probability"}
    assert (segment["emotion"], segment["events"]) == ("happy", ["laughter"])
    assert document["source"]["sha256"] == "0" * 64


def test_the_json_gives_back_its_version_even_with_an_undecodable_name():
    made = assemble(job(name="\udcc4\udce3.wav"), preparation(1), {})
    text = render(made, "json").encode("utf-8", "backslashreplace")
    assert read_source(text) == made.job.source


@pytest.mark.parametrize(
    "change",
    [
        {"size": "x"},
        {"inode": 2**70},
        {"mtime_ns": None},
        {"path": "/etc/passwd"},
        {"path": "/inbox/../etc"},
        {"path": "/inbox/a\0"},
        {"path": "/inbox/\ud800"},
    ],
)
def test_json_that_is_not_ours_or_was_tampered_with_says_nothing(change):
    document = json.loads(render(transcript(), "json"))
    document["source"] |= change
    assert read_source(json.dumps(document).encode()) is None
    assert read_source(b"{}") is None
    assert read_source(b"[") is None


def test_every_format_ends_with_a_newline_and_holds_the_words():
    made = transcript(heard("one two"))
    for format in DEFAULT_FORMATS:
        text = render(made, format)
        assert "one two" in text
        assert text.endswith("\n")


def test_a_note_says_the_fault_and_the_remedy_and_how_to_retry():
    text = failure_note(Failure(job(name="a\x1b[31m\nb.wav"), "It is a playlist.", "Drop the recordings themselves."))
    assert "It is a playlist." in text
    assert "Drop the recordings themselves." in text
    assert "transcribed retry" in text
    assert "\x1b" not in text
    assert r"a\x1b[31m\nb.wav could not be transcribed." in text
