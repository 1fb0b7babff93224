"""Transcripts as programs of others read them: openai-whisper's own writers, and pysubs2.

openai-whisper lies apart, in a folder that only a process of its own imports from: FunASR behaves otherwise beside it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pysubs2
import pytest

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


WRITE = """
import json, sys
from whisper.utils import get_writer
folder = sys.argv[1]
for name, format, document, options in json.load(sys.stdin):
    get_writer(format, folder)(document, name, options)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What openai-whisper writes of our JSON, by case and format."""
    folder = tmp_path_factory.mktemp("whisper")
    english = transcript(TEXTS["en"])
    wanted = [(case, suffix, transcript(TEXTS[case]), {}) for case in TEXTS for suffix in ("srt", "vtt", "txt", "tsv")]
    wanted.append(("highlighted", "srt", english, {"highlight_words": True}))
    wanted.append(("wrapped", "vtt", english, {"max_line_width": 12, "max_line_count": 1}))
    told = json.dumps([(f"{name}.wav", suffix, document(made), options) for name, suffix, made, options in wanted])
    environment = os.environ | {"PYTHONPATH": str(Path(sys.prefix) / "readers")}
    subprocess.run([sys.executable, "-c", WRITE, folder], input=told, text=True, check=True, env=environment)
    return lambda case, suffix: (folder / f"{case}.{suffix}").read_text()


def document(made):
    return json.loads(render(made, Style()))


@pytest.mark.parametrize("case", TEXTS)
@pytest.mark.parametrize("format", ["srt", "vtt", "txt", "tsv"])
def test_whispers_own_writers_write_the_text(written, case, format):
    assert TEXTS[case][0] in written(case, format)


def test_whispers_own_writers_highlight_words_and_wrap_lines(written):
    assert "<u>please</u> call today" in written("highlighted", "srt")
    assert "hello please\n" in written("wrapped", "vtt")
    assert "call today\n" in written("wrapped", "vtt")


@pytest.mark.parametrize("seed", range(40))
def test_words_joined_by_nothing_are_the_text(seed):
    made, _ = random_case(seed)
    for segment, utterance in zip(document(made)["segments"], made.utterances, strict=True):
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
    assert [event.text for event in pysubs2.load_from_whisper(document(made))] == [
        TEXTS["en"][0],
        TEXTS["zh"][0],
    ]
    for text, format in ((render_srt(made, Style()), "srt"), (render_vtt(made, Style()), "vtt")):
        assert pysubs2.SSAFile.from_string(text, format).events


def test_subtitles_of_a_recording_without_speech_are_read():
    silent = transcript()
    (event,) = pysubs2.SSAFile.from_string(render_srt(silent, Style()))
    assert event.text == "[No speech was detected.]"
