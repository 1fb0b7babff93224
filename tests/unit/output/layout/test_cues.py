import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import srt
from webvtt import WebVTT

from tests.support.fakes import OPTIONS, job, preparation
from tests.support.subtitles import Shown, check, lint, read_vtt
from tests.support.transcripts import random_case
from transcribed.core.types import Hypothesis, RecordingOptions, Transcript, Utterance, Word
from transcribed.output.formats import render
from transcribed.output.layout import PLAIN, Style
from transcribed.output.layout.breakable_units import atoms, units
from transcribed.output.layout.cues import cues
from transcribed.output.layout.sound_events import sounds
from transcribed.output.layout.text_metrics import one_line, width

SDH = Style(sdh=True)


def said(text, start=0.0, language="en", speaker=None, pace=0.06, pause=0.0, **more):
    """An utterance spoken evenly, `pace` seconds a letter; marks belong to the word before them."""
    words, at = [], start
    for part in text.split() if " " in text or language in ("en", "ko") else _characters(text):
        words.append(Word(part, round(at, 3), round(at + pace * len(part), 3), 0.9))
        at = words[-1].stop + (pause if part[-1] in ".?!。？！" else 0.0)
    return Utterance(start, words[-1].stop, Hypothesis(text, tuple(words), language, **more), speaker)


def _characters(text):
    parts = []
    for character in text:
        if character in "，。？！、" and parts:
            parts[-1] += character
        else:
            parts.append(character)
    return parts


def sound(event, start, stop, language="en", speaker=None):
    return Utterance(start, stop, Hypothesis("", language=language, events=(event,)), speaker)


def transcript(*utterances, **changes):
    return replace(Transcript(job(), preparation(1, 60.0), utterances), **changes)


def lines(*utterances, style=PLAIN):
    return [cue.lines for cue in cues(transcript(*utterances), style)]


def times(*utterances):
    return [(cue.start, cue.stop) for cue in cues(transcript(*utterances))]


# --- the linter --------------------------------------------------------------------------------------

STEP = 250


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(STEP, 3000, STEP))])
def test_subtitles_of_random_transcripts_pass_the_linter(first):
    for seed in range(first, first + STEP):
        check(seed)


@pytest.mark.parametrize("seed", [19850, 30038, 39798])
def test_cues_parted_for_a_name_hold_back_those_of_their_speaker(seed):
    check(seed)


def _moved(shown, n, **changes):
    return [replace(cue, **changes) if i == n else cue for i, cue in enumerate(shown)]


@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("overlaps", lambda c: _moved(c, 0, stop=c[1].start + 0.5)),
        ("too short", lambda c: _moved(c, 2, stop=c[2].start + 0.5)),
        ("too early", lambda c: _moved(c, 2, start=c[2].start - 0.05)),
        ("too late", lambda c: _moved(c, 2, start=c[2].start + 3, stop=c[2].stop + 3)),
        ("gone while", lambda c: _moved(c, 0, stop=c[0].stop - 0.2)),
        ("too long", lambda c: _moved(c, 2, stop=c[2].start + 7.5)),
        ("not shown", lambda c: c[:-1]),
        ("instead of", lambda c: [c[0], *c[2:]]),
        ("instead of", lambda c: [c[0], c[0], *c[1:]]),
        ("instead of", lambda c: _moved(c, 0, lines=c[0].lines[::-1])),
        ("empty", lambda c: [Shown(0.0, 0.0, [" "]), *c]),
        ("too wide", lambda c: _moved(c, 0, lines=[" ".join(c[0].lines)])),
        ("would fit", lambda c: _moved(c, 2, lines=["Who", "does?"])),
        (
            "parted",
            lambda c: _moved(c, 0, lines=["We believe that the price is quite con", "siderably too high for us,"]),
        ),
        ("too many", lambda c: _moved(c, 0, lines=[c[0].lines[0], *c[0].lines[1].split(" ", 1)])),
    ],
)
def test_the_linter_finds_what_is_wrong(fault, spoil):
    text = "We believe that the price is quite considerably too high for us, and for everybody else, whoever wants it."
    made = transcript(said(text, pace=0.12), said("Who does?", 20.0))
    shown = read_vtt(render(made, "vtt"))
    assert [len(cue.lines) for cue in shown] == [2, 1, 1]
    lint(shown, made, PLAIN)
    with pytest.raises(AssertionError, match=fault):
        lint(spoil(shown), made, PLAIN)


# --- where text is parted ----------------------------------------------------------------------------


def test_a_cue_ends_behind_a_mark_rather_than_where_it_is_full():
    text = "Nobody here knows the price of the new machine, but we do know the people who will have to pay for it soon."
    assert [cue[-1][-1] for cue in lines(said(text))] == [",", "."]


def test_short_sentences_share_a_cue_and_long_ones_do_not():
    assert lines(said("Yes. I do. We all do.")) == [("Yes. I do. We all do.",)]
    long = "This sentence fills one line of a cue."
    assert lines(said(f"{long} {long}")) == [(long,), (long,)]


def test_a_text_is_parted_evenly_and_leaves_no_single_word_behind():
    found = lines(said("alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar"))
    widths = [sum(map(width, cue)) for cue in found]
    assert len(found) == 2
    assert max(widths) - min(widths) < 20


def test_lines_are_even_and_the_upper_one_is_the_shorter():
    assert lines(said("alpha bravo charlie delta echo golf hotel kilo")) == [
        ("alpha bravo charlie", "delta echo golf hotel kilo")
    ]


def test_a_line_does_not_end_behind_an_article():
    (cue,) = lines(said("we talked about nothing but the engine for an hour"))
    assert not cue[0].endswith((" the", " an", " about", " for"))


def test_chinese_words_are_not_parted():
    # FunASR's first subtitles parted 成|为 and 扭|了一下 (modelscope/FunASR#3583).
    text = "经过三年多的努力他终于成为了这家公司里最年轻的工程师然后不小心把脚扭了一下只好在家里休息了两个星期才回来"
    shown = "|".join(line for cue in lines(said(text, language="zh", pace=0.2)) for line in cue)
    assert shown.replace("|", "") == text
    for word in ("经过", "努力", "终于", "成为", "公司", "年轻", "工程师", "小心", "一下", "只好", "休息", "星期"):
        assert word in shown
    assert all(width(line) <= 32 for line in shown.split("|"))


def test_chinese_is_parted_behind_marks():
    """No line begins with a mark or a particle."""
    text = "因为很多用户反映在嘈杂的环境里识别效果不太好，所以工程师们决定重新训练声学模型。大家有什么意见吗？"
    found = lines(said(text, language="zh", pace=0.2))
    assert [cue[-1][-1] for cue in found] == ["，", "。", "？"]
    assert not [line for cue in found for line in cue if line[0] in "，。？的们吗"]


def test_japanese_is_parted_before_what_begins_a_phrase():
    text = "騒がしい環境ではあまりうまく認識できないというお客様の声が多いので、"
    found = [line for cue in lines(said(text, language="ja", pace=0.15)) for line in cue]
    assert "".join(found) == text
    assert not [line for line in found if line[0] in "はまくきというの、様"]


def test_a_long_pause_ends_a_cue_and_so_do_seven_seconds():
    early, late = said("one", 0.0).hypothesis.words, said("two", 5.0).hypothesis.words
    paused = Utterance(0.0, 5.2, Hypothesis("one two", early + late, "en"))
    assert times(paused) == [(0.0, 0.833), (5.0, 5.833)]
    slow = said("alpha bravo charlie delta", pace=0.5)
    assert lines(slow) == [("alpha bravo",), ("charlie delta",)]


@pytest.mark.parametrize(
    ("language", "columns"), [("en", 42), ("de", 42), ("zh", 32), ("yue", 32), ("ja", 26), ("ko", 32)]
)
def test_every_language_has_its_width(language, columns):
    texts = {
        "zh": "今天天气很好",
        "yue": "今日天氣好好",
        "ja": "今日は良い天気です",
        "ko": "오늘 날씨가 ",
        "en": "it rains ",
        "de": "es regnet ",
    }
    widths = [width(line) for cue in lines(said(texts[language] * 20, language=language, pace=0.1)) for line in cue]
    assert columns - 8 <= max(widths) <= columns


def test_the_script_tells_the_width_where_no_language_is_told():
    for text, columns in [("今天天气很好" * 9, 32), ("今日は良い天気です" * 9, 26), ("it rains " * 20, 42)]:
        found = lines(said(text, language=None, pace=0.1))
        assert columns - 8 <= max(width(line) for cue in found for line in cue) <= columns


def test_a_style_has_its_own_width_and_count_of_lines():
    found = lines(said("it rains " * 20), style=Style(max_line_width=20, max_line_count=3))
    assert max(map(len, found)) == 3
    assert 15 < max(width(line) for cue in found for line in cue) <= 20


def test_a_word_wider_than_a_line_is_parted_and_none_other():
    found = [line for cue in lines(said(f"short {'w' * 50} words")) for line in cue]
    assert found == ["short", "w" * 42, "w" * 8 + " words"]


@pytest.mark.parametrize("seed", range(0, 400, 5))
def test_no_unit_is_spoken_before_the_one_before_it(seed):
    for utterance in random_case(seed)[0].utterances:
        found = units(atoms(utterance), 32)
        assert all(unit.start <= unit.stop for unit in found)
        assert all(before.start <= unit.start for before, unit in pairwise(found))


# --- what is shown -----------------------------------------------------------------------------------


def test_corrected_text_is_shown_rather_than_its_uncorrected_words():
    heard = said("we met doctor mueller at nine thirty today").hypothesis
    utterance = Utterance(0.0, 3.0, replace(heard, text="We met Dr. Müller at 9:30 today."))
    assert lines(utterance) == [("We met Dr. Müller at 9:30 today.",)]
    narrow = cues(transcript(utterance), Style(max_line_width=12, max_line_count=1))
    starts = {cue.lines[0].split()[0]: cue.start for cue in narrow}
    assert starts == {"We": 0.0, "Müller": 0.833, "9:30": 1.666}


def test_words_without_times_are_spread_over_their_utterance():
    utterance = Utterance(10.0, 20.0, Hypothesis("one two three four " * 5, language="en"))
    found = cues(transcript(utterance))
    assert (found[0].start, found[-1].stop) == (10.0, 20.0)
    assert 4.0 < found[1].start - 10.0 < 6.0


def test_what_cannot_be_seen_makes_no_cue():
    invisible = [
        Utterance(0.0, 1.0, Hypothesis(text)) for text in ("", " \n", "\x00\x1b", "\u200b", "\u202e", "\u0301")
    ]
    assert "[No speech was detected.]" in render(transcript(*invisible), "srt")
    assert one_line("a\x00b\r\nc\u2028d\u202e e\u200b") == "a b c d e"


def test_what_looks_like_syntax_is_text():
    text = "a --> b <v c>d</v> & &lt; {\\an8} 00:00:01,000 --> 00:00:02,000"
    made = transcript(said(text))
    (caption, *_) = captions = WebVTT.from_string(render(made, "vtt")).captions
    assert "a --&gt; b &lt;v c&gt;d&lt;/v&gt; &amp; &amp;lt; {\\an8}" in caption.raw_text.replace("\n", " ")
    assert len(captions) == len(list(srt.parse(render(made, "srt"))))
    assert render(made, "srt").count("-->") == len(captions)


# --- times -------------------------------------------------------------------------------------------


def test_a_cue_stays_until_it_can_be_read_if_nothing_follows():
    text = "x" * 40
    assert times(said(text, pace=0.001)) == [(0.0, 2.0)]
    assert times(said(text, pace=0.001), said("next", 1.2)) == [(0.0, 1.2), (1.2, 2.033)]


def test_a_cue_is_shown_for_five_sixths_of_a_second_at_least():
    """Even if the next begins meanwhile."""
    assert times(said("yes"), said("no", 0.2)) == [(0.0, 0.833), (0.833, 1.666)]


def test_cues_are_two_frames_apart_where_it_costs_nothing():
    assert times(said("slowly", pace=0.5), said("spoken", 3.0, pace=0.5)) == [(0.0, 2.917), (3.0, 6.0)]


def test_two_who_speak_at_once_share_the_time_by_their_text():
    long = said("This is what I have to say about it, all in all.", speaker="Anna", pace=0.1)
    short = said("Oh yes, right.", 0.5, speaker="Bob", pace=0.1)
    first, second = cues(transcript(long, short))
    assert (first.start, first.stop) == (0.0, round(second.start - 2 / 24, 3))
    assert 2.0 < second.start < 3.0
    assert second.stop >= second.start + 0.833


def test_who_is_interrupted_goes_on_in_a_cue_behind_the_interruption():
    text = "We should think about it again, for the price is a lot."
    one, other = said(text, speaker="Anna", pace=0.08), said("Mhm.", 2.0, speaker="Bob")
    assert [cue.speaker for cue in cues(transcript(one))] == ["Anna"]
    assert [cue.speaker for cue in cues(transcript(one, other))] == ["Anna", "Bob", "Anna"]


def test_channels_that_come_one_by_one_are_put_in_order():
    made = transcript(said("one", 0.0, speaker="A"), said("three", 8.0, speaker="A"), said("two", 4.0, speaker="B"))
    assert [cue.lines for cue in cues(made)] == [("one",), ("two",), ("three",)]


# --- speakers ----------------------------------------------------------------------------------------


def conversation():
    return transcript(
        said("Hello.", 0.0, speaker="Anna"),
        said("How are you?", 3.0, speaker="Anna"),
        said("Fine.", 6.0, speaker="Bob"),
        said("Good.", 9.0, speaker="Anna"),
    )


def test_a_name_stands_where_another_speaks():
    shown = [subtitle.content for subtitle in srt.parse(render(conversation(), "srt"))]
    assert shown == ["Anna: Hello.", "How are you?", "Bob: Fine.", "Anna: Good."]


def test_every_webvtt_cue_has_its_voice():
    captions = WebVTT.from_string(render(conversation(), "vtt")).captions
    assert [(caption.voice, caption.text) for caption in captions] == [
        ("Anna", "Hello."),
        ("Anna", "How are you?"),
        ("Bob", "Fine."),
        ("Anna", "Good."),
    ]


def test_a_name_cannot_break_out_of_its_tag():
    text = render(transcript(said("Hi.", speaker="a>b</v>\n\n00:00 --> 1 & c")), "vtt")
    (caption,) = WebVTT.from_string(text).captions
    assert caption.voice == "a&gt;b&lt;/v&gt; 00:00 --&gt; 1 &amp; c"
    assert caption.text == "Hi."


def test_a_long_name_takes_half_a_line_at_most():
    (subtitle,) = srt.parse(render(transcript(said("Hi.", speaker="x" * 100)), "srt"))
    assert subtitle.content == f"{'x' * 19}…: Hi."


# --- sounds ------------------------------------------------------------------------------------------


def test_sounds_are_shown_only_to_those_who_do_not_hear():
    made = transcript(said("Thank you.", events=("laughter",)), sound("applause", 5.0, 9.0))
    assert [cue.lines for cue in cues(made)] == [("Thank you.",)]
    assert [(c.lines, c.is_sound) for c in cues(made, SDH)] == [
        (("[laughter] Thank you.",), False),
        (("[applause]",), True),
    ]


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "[applause]"), ("zh", "[掌声]"), ("yue", "[掌聲]"), ("ja", "[拍手]"), ("ko", "[박수]")],
)
def test_sounds_are_named_in_the_language_of_the_transcript(language, shown):
    spoken = said("早", language=language)
    assert cues(transcript(spoken, sound("applause", 5.0, 9.0, None)), SDH)[-1].lines == (shown,)
    requested = replace(preparation(1, 60.0), requested=RecordingOptions(replace(OPTIONS, language=language)))
    alone = transcript(sound("applause", 5.0, 9.0, None), preparation=requested)
    assert cues(alone, SDH)[0].lines == (shown,)


def test_meaningless_events_are_hidden_and_unknown_ones_shown_by_name():
    utterance = said("Hi.", events=("speech", "event_unk", "door_slam", "bgm", "Laughter"))
    assert sounds(utterance, None, "en") == ["[door slam]", "[music]", "[laughter]"]


def test_music_that_goes_on_is_told_of_once_and_laughter_each_time():
    first, second = (said("Hi.", at, events=("bgm", "laughter")) for at in (0.0, 5.0))
    assert sounds(second, first, "en") == ["[laughter]"]


# --- the dictionary ----------------------------------------------------------------------------------

LOADING = """
import sys
from pathlib import Path
from transcribed.core.types import *
from transcribed.output.formats import render

def write(text):
    options = Options("a model")
    job = Job(1, Source(Path("/inbox"), Path("/inbox/a.wav"), 1, 1, 1), "a.wav", 0.0)
    preparation = Preparation(Audio(Path("/spool/1.pcm"), 16_000), (), "0" * 64, "wav", RecordingOptions(options))
    made = Transcript(job, preparation, (Utterance(0.0, 5.0, Hypothesis(text)),))
    return render(made, "srt"), render(made, "vtt")

for text in ("It rains. " * 30, "因为很多用户反映效果不太好，", "のは" * 60):
    write(text)
assert "jieba" not in sys.modules
write("因为很多用户反映效果不太好，" * 3)
assert "jieba" in sys.modules
"""


def test_the_dictionary_is_loaded_silently_and_only_when_chinese_is_parted(tmp_path):
    """It leaves no file behind."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pkg_resources.py").write_text(
        "import warnings, importlib.resources\n"
        "warnings.warn('pkg_resources is deprecated as an API.', UserWarning)\n"
        "def resource_stream(package, name): return importlib.resources.files('jieba').joinpath(name).open('rb')\n"
    )
    (tmp_path / "tmp").mkdir()
    paths = os.pathsep.join([str(tmp_path / "old"), *sys.path])
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": paths}
    command = [
        sys.executable,
        "-X",
        f"pycache_prefix={tmp_path / 'pyc'}",
        "-W",
        "error:::jieba",
        "-W",
        "error::UserWarning",
    ]
    done = subprocess.run([*command, "-c", LOADING], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "tmp").iterdir()) == []
