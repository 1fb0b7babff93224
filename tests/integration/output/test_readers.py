"""Transcripts as programs of others read them: openai-whisper's own writers, and pysubs2."""

import json

import pysubs2
import pytest
from whisper.utils import get_writer

from tests.support.fakes import job, preparation
from tests.support.transcripts import random_case
from transcribed.core.types import Hypothesis, Transcript, Utterance, Word
from transcribed.output.formats import Style
from transcribed.output.formats.json import render
from transcribed.output.formats.json_reader import read
from transcribed.output.formats.srt import render as render_srt
from transcribed.output.formats.vtt import render as render_vtt

TEXTS = {
    "en": ("hello please call today", ["hello", "please", "call", "today"]),
    "zh": ("今天开会，请打电话。", ["今", "天", "开", "会，", "请", "打", "电", "话。"]),
    "mixed": ("我们用 iPhone 15 开会", ["我", "们", "用", "iPhone", "15", "开", "会"]),
    "marks": ("Well, it's 3.5 kg.", ["Well,", "it's", "3.5", "kg."]),
    "ko": ("오늘 회의", ["오늘", "회의"]),
}


def transcript(*texts):
    """An utterance per text, of words half a second long each."""
    utterances = []
    for number, (text, words) in enumerate(texts):
        spoken = tuple(
            Word(word, 10 * number + 0.5 * n, 10 * number + 0.5 * (n + 1), 0.9) for n, word in enumerate(words)
        )
        utterances.append(Utterance(10.0 * number, 10.0 * number + 9, Hypothesis(text, spoken, "en")))
    return Transcript(job(), preparation(1, 60.0), tuple(utterances))


def written(made, format, tmp_path, **options):
    """The text that openai-whisper writes of our JSON."""
    get_writer(format, str(tmp_path))(json.loads(render(made, Style())), "a.wav", options)
    return (tmp_path / f"a.{format}").read_text()


@pytest.mark.parametrize("case", TEXTS)
@pytest.mark.parametrize("format", ["srt", "vtt", "txt", "tsv"])
def test_whispers_own_writers_write_the_text(case, format, tmp_path):
    assert TEXTS[case][0] in written(transcript(TEXTS[case]), format, tmp_path)


def test_whispers_own_writers_highlight_words_and_wrap_lines(tmp_path):
    made = transcript(TEXTS["en"], TEXTS["marks"])
    assert "<u>please</u> call today" in written(made, "srt", tmp_path, highlight_words=True)
    wrapped = written(made, "vtt", tmp_path, max_line_width=12, max_line_count=1)
    assert "hello please\n" in wrapped
    assert "call today\n" in wrapped


@pytest.mark.parametrize("seed", range(40))
def test_words_joined_by_nothing_are_the_text(seed):
    made, _ = random_case(seed)
    document = json.loads(render(made, Style()))
    for segment, utterance in zip(document["segments"], made.utterances, strict=True):
        spelled = "".join(segment["words"][n]["word"] for n in range(len(segment["words"])))
        bare = "".join(word.text for word in utterance.hypothesis.words)
        if bare.split() and "".join(bare.split()) == "".join(segment["text"].split()):
            assert spelled.strip() == segment["text"].strip()
        assert "".join(spelled.split()) == "".join(bare.split())


def test_words_read_back_have_no_spaces_around_them():
    made = read(render(transcript(TEXTS["en"]), Style()))
    assert [word.text for word in made.utterances[0].hypothesis.words] == TEXTS["en"][1]


def test_pysubs2_reads_json_and_subtitles():
    made = transcript(TEXTS["en"], TEXTS["zh"])
    assert [event.text for event in pysubs2.load_from_whisper(json.loads(render(made, Style())))] == [
        TEXTS["en"][0],
        TEXTS["zh"][0],
    ]
    for text, format in ((render_srt(made, Style()), "srt"), (render_vtt(made, Style()), "vtt")):
        assert pysubs2.SSAFile.from_string(text, format).events


def test_subtitles_of_a_recording_without_speech_are_read():
    silent = transcript()
    (event,) = pysubs2.SSAFile.from_string(render_srt(silent, Style()))
    assert event.text == "[No speech was detected.]"
