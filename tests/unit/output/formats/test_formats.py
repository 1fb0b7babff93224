import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.fakes import OPTIONS, job, preparation, source
from transcribed.core.types import Hypothesis, Options, RecordingOptions, Transcript, Utterance
from transcribed.output.formats import render
from transcribed.output.layout import PLAIN, Style
from transcribed.output.layout.paragraphs import paragraphs
from transcribed.output.layout.text_metrics import one_line
from transcribed.output.layout.timestamps import clock, minutes, timestamp

MARKED = Style(time_marks=True)


def said(text, start=0.0, stop=None, speaker=None, language="en"):
    return Utterance(start, start + 1.0 if stop is None else stop, Hypothesis(text, language=language), speaker)


def transcript(*utterances, suspicion=None, name="a.wav", model="a/model", **prepared):
    options = Options(model)
    known = replace(preparation(1, 83.4), requested=RecordingOptions(options), **prepared)
    return Transcript(job(name=name), known, utterances, suspicion)


def test_times_are_written_as_each_format_has_them():
    assert [clock(s) for s in (0.0, 59.999, 83.0, 36_000.0)] == ["0:00:00", "0:00:59", "0:01:23", "10:00:00"]
    assert [timestamp(s) for s in (0.0, 59.9996, 3723.004)] == ["00:00:00.000", "00:01:00.000", "01:02:03.004"]
    assert [minutes(s) for s in (0.0, 59.996, 6000.5)] == ["00:00.00", "01:00.00", "100:00.50"]


# --- paragraphs --------------------------------------------------------------------------------------


def texts(*utterances):
    return [paragraph.text for paragraph in paragraphs(transcript(*utterances))]


def test_a_paragraph_ends_at_two_seconds_of_pause_or_another_speaker():
    assert texts(said("One.", 0.0), said("Two.", 2.5), said("Three.", 5.5)) == ["One. Two.", "Three."]
    assert texts(said("One.", speaker="A"), said("Two.", 1.0, speaker="B")) == ["One.", "Two."]


def test_texts_of_a_paragraph_are_joined_as_their_languages_do():
    assert texts(said("你好。"), said("今天开会。", 1.0), said("OK.", 2.0)) == ["你好。今天开会。 OK."]


def test_long_paragraphs_end_with_a_sentence_and_very_long_ones_anywhere():
    sentences = [said("This is a sentence of fifty letters, as they all are.", float(n)) for n in range(30)]
    assert all(500 <= len(text) < 600 for text in texts(*sentences)[:-1])
    marks_missing = [said("this is all that anybody ever says to me all day", float(n)) for n in range(80)]
    assert all(1500 <= len(text) < 1600 for text in texts(*marks_missing)[:-1])


def test_paragraphs_are_in_the_order_of_time_across_channels():
    one_by_one = [said("One.", 0.0, speaker="A"), said("Three.", 8.0, speaker="A"), said("Two.", 4.0, speaker="B")]
    assert texts(*one_by_one) == ["One.", "Two.", "Three."]


# --- txt ---------------------------------------------------------------------------------------------


def test_txt_holds_paragraphs_by_speaker():
    made = transcript(said("Hello.", 0.0, speaker="Anna"), said("Hi!", 1.0, speaker="Bob"), said("So.", 83.0))
    assert render(made, "txt") == "Anna: Hello.\n\nBob: Hi!\n\nSo.\n"
    assert render(made, "txt", MARKED) == "[0:00:00] Anna: Hello.\n\n[0:00:01] Bob: Hi!\n\n[0:01:23] So.\n"


def test_txt_says_what_would_mislead_first():
    made = transcript(said("Hello."), damage="Only a part.", suspicion="Words may be missing.")
    assert render(made, "txt") == "[Only a part.]\n\n[Words may be missing.]\n\nHello.\n"
    assert render(transcript(), "txt") == "[No speech was detected in this recording of 83.4 seconds.]\n"
    noise = Utterance(0.0, 1.0, Hypothesis("", events=("applause",)))
    assert "No speech was detected" in render(transcript(noise), "txt", Style(sdh=True))


def test_a_paragraph_of_txt_is_one_line_whatever_is_said():
    made = transcript(said("a\n\nb\x1b[31m\u2028c\x00\u202e", speaker="x\ny"))
    assert render(made, "txt") == "x y: a b [31m c\n"


# --- tsv ---------------------------------------------------------------------------------------------


def test_tsv_is_whispers():
    made = transcript(said("One\ttwo\nthree.", 0.5, 1.2346), said("", 3.0), said('"Four"', 62.0, 63.5))
    assert render(made, "tsv") == 'start\tend\ttext\n500\t1235\tOne two three.\n62000\t63500\t"Four"\n'
    assert render(transcript(), "tsv") == "start\tend\ttext\n"


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@sum"])
def test_a_tsv_cell_that_a_spreadsheet_would_compute_is_text(text):
    line = render(transcript(said(text)), "tsv").splitlines()[1]
    assert line.split("\t")[2].startswith(f"'{text[0]}")


def test_tsv_has_a_last_column_for_speakers_where_there_are_any():
    made = transcript(said("One.", speaker="An\tna"), said("Two.", 1.0))
    assert render(made, "tsv").splitlines() == [
        "start\tend\ttext\tspeaker",
        "0\t1000\tOne.\tAn na",
        "1000\t2000\tTwo.\t",
    ]


# --- lrc ---------------------------------------------------------------------------------------------


def test_lrc_has_a_line_for_each_line_that_is_sung():
    made = transcript(said("la la", 1.5), said("oh " * 20, 61.0, 69.0), name="song.mp3")
    lines = render(made, "lrc").splitlines()
    assert lines[:4] == ["[ti:song.mp3]", "[length:01:23.40]", "[re:transcribed]", "[00:01.50]la la"]
    assert [line[:10] for line in lines[4:]] == ["[01:01.00]", "[01:05.00]"]
    assert " ".join(line[10:] for line in lines[4:]).split() == ["oh"] * 20


def test_lrc_names_speakers_where_they_change_and_replaces_foreign_brackets():
    made = transcript(said("[Hi].", speaker="A]"), said("So.", 2.0, speaker="A]"), said("Ho.", 4.0, speaker="B"))
    requested = RecordingOptions(OPTIONS, title="[ti:x]\n[by:y]")
    lines = render(replace(made, preparation=replace(made.preparation, requested=requested)), "lrc").splitlines()
    assert lines[0] == "[ti:(ti:x) (by:y)]"
    assert lines[3:] == ["[00:00.00]A): (Hi).", "[00:02.00]So.", "[00:04.00]B: Ho."]


# --- md ----------------------------------------------------------------------------------------------


def split(text):
    front, body = re.fullmatch(r"---\n(.*?\n)---\n(.*)", text, re.DOTALL).groups()
    return yaml.safe_load(front), body


def test_markdown_begins_with_what_is_known_of_the_recording():
    made = transcript(
        said("Hello.", speaker="Anna"),
        said("Hi.", 1.0, speaker="Bob"),
        name="2026/call.wav",
        model="iic/SenseVoiceSmall",
        tags=(("title", "A: *call*"), ("creation_time", "2026-11-20T10:00:00.000000Z")),
    )
    front, body = split(render(made, "md"))
    assert front == {
        "title": "A: *call*",
        "date": "2026-11-20T10:00:00+00:00",
        "duration": "0:01:23",
        "language": "en",
        "speakers": ["Anna", "Bob"],
        "source": "2026/call.wav",
        "model": "SenseVoiceSmall",
    }
    assert body == "\n**Anna:** Hello.\n\n**Bob:** Hi.\n"


def test_a_title_is_requested_or_from_the_recording_or_its_name():
    def title(**prepared):
        return split(render(transcript(**prepared), "md"))[0]["title"]

    told = (("title", "told"),)
    assert title(tags=told) == "told"
    assert title() == "a.wav"
    made = transcript(tags=told)
    wished = replace(made.preparation, requested=RecordingOptions(OPTIONS, title="wished"))
    assert split(render(replace(made, preparation=wished), "md"))[0]["title"] == "wished"


@pytest.mark.parametrize(
    ("fields", "tags", "date"),
    [
        ((("started", "2026-11-20T09:30:00"),), (("creation_time", "2001-01-01"),), "2026-11-20T09:30:00"),
        ((("started", "20261120T093000"),), (), "2026-11-20T09:30:00"),
        ((("started", "yesterday"),), (), None),
        ((), (), None),
    ],
)
def test_the_date_is_the_names_or_else_the_recordings(fields, tags, date):
    assert split(render(transcript(name_fields=fields, tags=tags), "md"))[0].get("date") == date


def test_markdown_says_what_would_mislead_in_both_places():
    front, body = split(render(transcript(said("Hi."), damage="Only a part.", suspicion="Perhaps more."), "md", MARKED))
    assert (front["partial"], front["remarks"]) == (True, ["Only a part.", "Perhaps more."])
    assert body == "\n> Only a part.\n\n> Perhaps more.\n\n[0:00:00] Hi.\n"


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
SNIPPETS = [
    *"\\`*_{}[]()#+-.!|~$=^%:<>&'\" \t\n",
    *("ab", "x y", "1.", "2)", "- ", "---", "```", "~~~", "<b>", "<!--", "](http://x)", "![", "[^1]:", "&lt;", "&#35;"),
    *(
        "http://a.b",
        "www.a.b",
        "==",
        "%%",
        "$$",
        "key:: value",
        "[[link]]",
        "#tag",
        "    code",
        "|-|-|",
        "<x@y.z>",
        "你好",
    ),
]


def parsed(body):
    """The kinds of everything in it, and the text of every paragraph."""
    kinds, found = set(), []
    for token in MARKDOWN.parse(body):
        kinds.add(token.type)
        if token.type == "inline":
            kinds |= {child.type for child in token.children}
            found.append("".join(child.content for child in token.children))
    return kinds, found


hostile = st.lists(st.sampled_from(SNIPPETS), max_size=8).map("".join)


@given(hostile, hostile, st.booleans())
@example("- a", "", False)
@example("1. a", "", False)
@example("+", "**", True)
@example("---", "a", False)
@example("http://a.b", "www.a.b", False)
def test_nothing_that_is_said_becomes_structure(text, name, marks):
    made = transcript(said(text, speaker=name), name=f"{name.replace('/', '')}.wav")
    front, body = split(render(made, "md", Style(time_marks=marks)))
    kinds, found = parsed(body)
    if not one_line(text):
        return
    assert kinds <= {
        "paragraph_open",
        "paragraph_close",
        "inline",
        "text",
        "text_special",
        "strong_open",
        "strong_close",
    }
    time, speaker = "[0:00:00] " if marks else "", f"{one_line(name)}: " if one_line(name) else ""
    assert found == [f"{time}{speaker}{one_line(text)}"]
    assert not re.search(r"(?<!\\)(%%|::|==|\$|\[\[|\bwww\.)|://", body)
    assert front["source"] == one_line(made.job.source.name)


@given(st.text())
def test_the_front_matter_is_read_back_whatever_the_names_are(name):
    path = name.replace("/", "").replace("\x00", "") or "x"
    made = transcript(said("Hi.", speaker=name), tags=(("title", name),))
    made = replace(made, job=replace(made.job, source=source(path)))
    front, _ = split(render(made, "md"))
    assert front.get("speakers", [""]) == [one_line(name)]
    assert front.get("title", "") == (one_line(name) or one_line(path))


# --- all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["txt", "md", "tsv", "lrc", "srt", "vtt"])
@settings(deadline=None)  # the first one loads jieba
@given(st.lists(st.tuples(st.text(max_size=30), st.floats(0, 1e6), st.floats(0, 1e3)), max_size=4))
def test_every_format_can_be_written_whatever_is_said_and_when(format, spoken):
    made = transcript(*[said(text, start, start + seconds, speaker=text[:3]) for text, start, seconds in spoken])
    for style in (PLAIN, Style(time_marks=True, sdh=True, max_line_width=2, max_line_count=1)):
        text = render(made, format, style)
        assert text.endswith("\n") or text == ""
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u202e]", text)


def test_no_format_tells_where_the_recording_lay():
    made = transcript(said("Hi."), model="/srv/models/sense")
    assert Path("/inbox") in made.job.source.path.parents
    for format in ("txt", "md", "tsv", "lrc", "srt", "vtt"):
        assert "/inbox" not in render(made, format)
        assert "/srv" not in render(made, format)
