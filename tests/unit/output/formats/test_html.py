import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis, Options, RecordingOptions, Transcript, Utterance, Word
from transcribed.output.formats import render
from transcribed.output.layout import Style
from transcribed.output.layout.timestamps import brief

EMPTY = {"meta", "input", "br", "link", "img"}  # elements that are never closed
KEPT = Style(recording="../inbox/a.wav")


class Seen(HTMLParser):
    """A page as a parser sees it: its elements in order, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []  # path of elements, and text in it
        self._path: list[str] = []
        self.comments: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in EMPTY:
            self._path.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._path.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self._path), data))

    def handle_comment(self, data):
        self.comments.append(data)

    def all(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]

    def text(self, *within, without=()):
        """What stands in all of some elements, and in none of others."""
        return "".join(text for path, text in self.texts if set(within) <= set(path) and not set(without) & set(path))

    @property
    def said(self):
        return self.text("main", "p", without=["small"])

    @property
    def policy(self):
        (meta,) = self.all("meta", **{"http-equiv": "Content-Security-Policy"})
        return dict(rule.split(" ", 1) for rule in meta["content"].split("; "))

    @property
    def numbers(self):
        (text,) = (t for path, t in self.texts if path[-1:] == ("script",) and t.startswith("{"))
        return json.loads(text)


def spoken(text, start=0.0, stop=None, language="en", speaker=None, **more):
    parts = text.split() if language == "en" else list(text)
    words = tuple(Word(part, start + 0.5 * n, start + 0.5 * n + 0.4, 0.9) for n, part in enumerate(parts))
    heard = Hypothesis(text, words, language, **more)
    return Utterance(start, start + 0.5 * len(parts) if stop is None else stop, heard, speaker)


def transcript(*utterances, seconds=60.0, name="a.wav", suspicion=None, **prepared):
    return Transcript(job(name=name), replace(preparation(1, seconds), **prepared), utterances, suspicion)


def seen(made, style=KEPT):
    return Seen(render(made, "html", style))


# --- what strangers chose ----------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style></title></textarea>",
    "<!--",
    "word <!",
    "word </",
    "-->",
    "]]>",
    '" onerror="alert(1)',
    "' onclick='alert(1)",
    "<img src=http://example.org/x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "&lt;b&gt;&amp;",
    "javascript:alert(1)",
    "http://example.org/",
    "//example.org/",
    "$title ${js} $$",
    "{0} {}",
    "\u2028\u2029",
    "\x00\x1b[31m\x7f",
    "\u202e\u2066",
    "\udcc4\ud800",
    "`+alert(1)+`",
]
strangers = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12), st.text("<>&\"'=/! -ab", max_size=20))
names = strangers.map(lambda text: text.replace("/", "").replace("\0", "") or "x").filter(
    lambda n: n not in (".", "..")
)


@st.composite
def hostile(draw):
    def utterance(n):
        text = draw(strangers)
        words = draw(st.sampled_from([text.split(), list(text), [draw(strangers)], []]))
        heard = tuple(Word(w, n + 0.1 * i, n + 0.1 * i, draw(st.floats(0, 1))) for i, w in enumerate(words))
        more = {"language": draw(strangers), "emotion": draw(strangers), "events": (draw(strangers), draw(strangers))}
        return Utterance(n, n + 1, Hypothesis(text, heard, **more), draw(st.none() | strangers))

    pairs = st.lists(st.tuples(st.sampled_from(["started", "creation_time"]) | strangers, strangers), max_size=3)
    made = transcript(
        *[utterance(float(n)) for n in range(draw(st.integers(0, 3)))],
        name=draw(names),
        suspicion=draw(st.none() | strangers),
        damage=draw(st.none() | strangers),
        media=draw(strangers),
        speakers=tuple(draw(st.lists(strangers, max_size=2))),
        name_fields=tuple(draw(pairs)),
        tags=tuple(draw(pairs)),
        requested=RecordingOptions(
            Options(draw(strangers), language=draw(strangers)), title=draw(st.none() | strangers)
        ),
    )
    return made, draw(st.none() | strangers)


def everything():
    """A page with all that pages can have, of which nothing is hostile."""
    return seen(
        transcript(
            replace(spoken("one two", speaker="Ann", emotion="happy", events=("laughter",)), stop=1.0),
            Utterance(5.0, 6.0, Hypothesis("三", (Word("三", 5.0, 5.1, 0.1),), "zh"), "Bo"),
            damage="d",
            suspicion="s",
            tags=(("key", "value"),),
        )
    )


SOUND = everything()


@given(hostile())
def test_nothing_that_a_stranger_chose_becomes_markup(given):
    made, recording = given
    page = seen(made, Style(recording=recording))
    known = {tag for tag, _ in SOUND.elements} | {"video"}
    attributes = {name for _, attrs in SOUND.elements for name in attrs}
    assert {tag for tag, _ in page.elements} <= known
    assert {name for _, attrs in page.elements for name in attrs} <= attributes
    assert len(page.all("script")) == 3
    assert len(page.all("style")) == 1
    assert page.comments == []
    assert page.text("script").endswith(SOUND.text("script")[-1000:])


@given(hostile())
def test_no_page_points_anywhere_but_to_itself_and_to_its_recording(given):
    made, recording = given
    page = seen(made, Style(recording=recording))
    links = [a[name] for _, a in page.elements for name in ("src", "href", "srcset", "data", "action") if name in a]
    assert all(link.startswith(("#t=", "./", "../")) for link in links)
    assert page.policy["default-src"] == "'none'"


@given(hostile())
def test_a_page_can_be_written_as_utf_8_without_control_characters(given):
    text = render(given[0], "html")
    text.encode()
    assert not re.search("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]", text.replace("\r", ""))


def test_names_are_shown_as_they_are():
    title = """<b>"R&D" it's</b>"""
    page = seen(transcript(spoken("one", speaker="<i>Ann</i>"), requested=RecordingOptions(Options("m"), title=title)))
    assert page.text("h1") == title
    assert page.text("title") == f"Transcript of {title}"
    assert page.text("section", "bdi") == "<i>Ann</i>"


def test_a_heading_is_requested_or_from_the_recording_or_its_name():
    def heading(title, *tags):
        return seen(transcript(requested=RecordingOptions(Options("m"), title=title), tags=tags)).text("h1")

    assert heading("Wished", ("title", "Told")) == "Wished"
    assert heading(None, ("title", "Told")) == "Told"
    assert heading(None) == "a.wav"


def test_the_policy_lets_in_what_is_in_the_page_and_nothing_else():
    def hash(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    page = everything()
    (style,) = (t for path, t in page.texts if path[-1:] == ("style",))
    scripts = [t for path, t in page.texts if path[-1:] == ("script",) and not t.startswith("{")]
    assert page.policy == {
        "default-src": "'none'",
        "script-src": " ".join(map(hash, scripts)),
        "style-src": hash(style),
        "media-src": "'self' file:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    ruled = [tag for tag, attrs in page.elements if tag in ("style", "script", "audio") or "http-equiv" in attrs]
    assert ruled[0] == "meta"  # a policy counts from where it stands
    assert len(scripts) == 2
    assert not [attrs for _, attrs in page.elements if "style" in attrs or any(a.startswith("on") for a in attrs)]


# --- the text ----------------------------------------------------------------------------------------

said = st.lists(
    st.tuples(
        st.text("abc一二三，。 '&<", min_size=1, max_size=30), st.lists(st.text("abc一二", max_size=4), max_size=9)
    ),
    max_size=6,
)


def bare(text):
    return "".join(text.split())


@given(said, st.lists(st.sampled_from([None, "Ann", "Bo"]), min_size=6, max_size=6))
def test_the_text_is_complete_and_in_order_whatever_the_words_are(given, speakers):
    utterances = [
        Utterance(n, n + 1, Hypothesis(text, tuple(Word(w, n, n, 0.9) for w in words), events=("cough",)), speakers[n])
        for n, (text, words) in enumerate(given)
    ]
    page = seen(transcript(*utterances))
    assert bare(page.said) == bare("".join(u.hypothesis.text for u in utterances))
    assert sum(page.numbers["counts"]) == len(page.numbers["steps"])


def test_texts_are_joined_as_their_languages_do():
    page = seen(
        transcript(spoken("hello there"), spoken("你好", 1.2, language="zh"), spoken("大家", 2.4, language="zh"))
    )
    assert page.said == "hello there 你好大家"


def test_every_word_knows_when_it_is_said():
    utterances = (
        spoken("one two", speaker="Ann"),
        spoken("three", 0.75, speaker="Bo"),
        spoken("four", 2.25, speaker="Ann"),
    )
    numbers = seen(transcript(*utterances)).numbers
    assert list(accumulate(numbers["steps"])) == [0, 50, 75, 225]
    assert numbers["counts"] == [2, 1, 1]


def test_two_who_begin_at_once_share_no_anchor():
    page = seen(transcript(spoken("one", 1.0, speaker="Ann"), spoken("two", 1.0, speaker="Bo")))
    assert [section.get("id") for section in page.all("section")] == ["t=1", None]
    assert [a["href"] for a in page.all("a") if a.get("href", "").startswith("#")] == ["#t=1", "#t=1"]


def test_a_speaker_is_named_at_each_turn_and_has_their_own_colour():
    made = transcript(
        spoken("one", speaker="Ann"),
        spoken("two", 9, speaker="Ann"),
        spoken("three", 20, speaker="Bo"),
        speakers=("Bo", "Ann"),
    )
    page = seen(made)
    assert page.text("section", "b") == "AnnBo"
    assert [section["class"] for section in page.all("section")] == ["s1", "s1", "s0"]


def test_events_and_emotions_are_said_where_they_begin():
    made = transcript(
        spoken("one", events=("bgm",), emotion="happy"),
        spoken("two", 0.6, events=("bgm",), emotion="happy"),
        spoken("three", 1.2),
    )
    assert seen(made).text("main", "p") == "[happy] [music] one two three"


def test_words_of_little_confidence_are_marked_and_counted():
    words = (Word("one", 0, 1, 0.49), Word("two", 1, 2, 0.5))
    page = seen(transcript(Utterance(0, 2, Hypothesis("one two", words, "en"))))
    assert len(page.all("a", **{"class": "l"})) == 1
    assert "(1)" in page.text("label")
    assert "label" not in [tag for tag, _ in seen(transcript(spoken("one"))).elements]


def test_every_utterance_has_the_language_that_finds_its_fonts():
    page = seen(
        transcript(
            spoken("你好吗", language="zh"), spoken("係呀", 1.6, language="yue"), spoken("ね", 2.4, language="ja")
        )
    )
    assert page.all("main")[0]["lang"] == "zh-CN"
    assert [span["lang"] for span in page.all("span") if "lang" in span] == ["zh-HK", "ja"]


@pytest.mark.parametrize(
    ("language", "tag", "search"), [("zh", "zh-CN", "搜索"), ("yue", "zh-CN", "搜索"), ("ja", "en", "Search")]
)
def test_a_page_speaks_chinese_where_the_recording_does_else_english(language, tag, search):
    page = seen(transcript(spoken("一", language=language)))
    assert page.all("html")[0]["lang"] == tag
    assert page.all("input", id="find")[0]["placeholder"] == search


def test_both_languages_of_pages_say_the_same_things():
    from transcribed.output.layout.translations import labels

    english, chinese = labels("en"), labels("zh")
    assert english.keys() == chinese.keys()
    assert all(english[key].count("{}") == chinese[key].count("{}") for key in english)


# --- the recording -----------------------------------------------------------------------------------


def test_the_recording_is_played_by_its_relative_link():
    (audio,) = seen(transcript(), Style(recording="../in%20box/a.wav")).all("audio")
    assert audio["src"] == "../in%20box/a.wav"
    (audio,) = seen(transcript(), Style(recording="a%3Ab.wav")).all("audio")
    assert audio["src"] == "./a%3Ab.wav"


def test_a_film_is_shown():
    page = seen(transcript(name="Talk.MP4"))
    assert page.all("video")
    assert not page.all("audio")


def test_without_its_recording_a_page_has_no_player_and_says_why():
    page = seen(transcript(spoken("one")), Style())
    assert not page.all("audio")
    assert not page.all("video")
    assert "cannot be played" in page.text("header")


def test_remarks_come_before_the_text():
    page = seen(transcript(suspicion="Words may be missing.", damage="Only the first 3 s could be decoded."))
    remarks = page.text("header", "div", "p")
    assert remarks.startswith("Only the first 3 s could be decoded.Words may be missing.No speech was detected")
    assert "60.0 seconds" in remarks


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ({"name_fields": (("started", "2025-03-04T05:06:07+08:00"),)}, "2025-03-04T05:06:07+08:00"),
        ({"tags": (("creation_time", "2025-03-04T05:06:07.000000Z"),)}, "2025-03-04T05:06:07+00:00"),
        ({"name_fields": (("started", "20250304 0506"),)}, "2025-03-04T05:06:00"),
        ({"name_fields": (("started", "soon"),)}, "1970-01-01T00:00:00+00:00"),
    ],
)
def test_the_date_comes_from_the_name_or_the_container_or_the_file(told, moment):
    (time,) = seen(transcript(**told)).all("time")
    assert time["datetime"] == moment


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (83.9, "1:23"), (3599.9, "59:59"), (3600, "1:00:00"), (43200, "12:00:00")]
)
def test_times_are_written_as_people_do(seconds, text):
    assert brief(seconds) == text
