"""Transcripts as pages, in a real browser, opened as a file from beside its recording."""

from __future__ import annotations

import os
from dataclasses import replace
from urllib.parse import quote, unquote

import numpy as np
import pytest

from tests.support.browser import Browser, lacking
from tests.support.fakes import OPTIONS, job, preparation
from tests.support.speech import save, say, silence
from transcribed.core.types import Hypothesis, RecordingOptions, Transcript, Utterance, Word
from transcribed.output.formats import render
from transcribed.output.layout import Style

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SECONDS = 40.0
TURNS = (  # speaker, when, what
    ("Ann", 1.0, "Good morning and welcome to the library"),
    ("Bo", 6.0, "I have a question about the library"),
    ("Ann", 20.0, "The Library is open until nine"),
    ("Bo", 30.0, "Thank you very much"),
)
HERE = "document.querySelector('a.now')?.textContent"
TIME = "document.getElementById('media').currentTime"
HITS = "document.getElementById('hits').textContent"
IN_VIEW = "(b => b.top > 50 && b.bottom < innerHeight)(document.querySelector('a.now').getBoundingClientRect())"
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.fixture(scope="module")
def browser():
    browser = Browser("--host-resolver-rules=MAP * ~NOTFOUND")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def voice():
    words = np.concatenate([say("one two three four"), silence(0.5)])
    return np.tile(words, 20)[: int(SECONDS * 16000)]


class Desk:
    """An inbox and an outbox side by side, and whoever opens pages there.  Nothing may be thrown, told as an error, or
    asked from a network.
    """

    def __init__(self, root, browser, voice):
        self.inbox, self.outbox = root / "in box", root / "outbox"
        self.inbox.mkdir()
        self.outbox.mkdir()
        self.browser, self.voice, self.pages = browser, voice, []

    def write(self, made, style=None):
        name = made.job.source.path.name
        link = quote(os.path.relpath(self.inbox / name, self.outbox))
        path = self.outbox / f"{name}.html"
        path.write_bytes(render(made, "html", style or Style(recording=link)).encode("utf-8", "backslashreplace"))
        return path

    def open(self, made, style=None, fragment="", **how):
        if not style:
            save(self.inbox / made.job.source.path.name, self.voice)
        page = self.browser.page(**how)
        self.pages.append(page)
        page.open(self.write(made, style), fragment)
        return page

    def close(self):
        for page in self.pages:
            assert page.complaints() == []
            assert [url for url in page.requests() if not url.startswith(("file:", "data:"))] == []
            page.close()


@pytest.fixture
def desk(tmp_path, browser, voice):
    desk = Desk(tmp_path, browser, voice)
    yield desk
    desk.close()


def utterance(speaker, start, text, each=0.4, **more):
    parts = text.split()
    words = tuple(Word(part, start + each * n, start + each * (n + 0.9), 0.9) for n, part in enumerate(parts))
    return Utterance(start, start + each * len(parts), Hypothesis(text, words, "en", **more), speaker)


def talk(name="a b.wav", turns=TURNS, seconds=SECONDS, **prepared):
    utterances = tuple(utterance(*turn) for turn in turns)
    return Transcript(job(name=name), replace(preparation(1, seconds), **prepared), utterances)


def word(paragraph, number):
    return f"section:nth-of-type({paragraph}) p a:nth-of-type({number})"


def test_a_clicked_word_plays_from_there_and_the_highlight_follows(desk):
    page = desk.open(talk())
    page.value(
        "window.begun = []; document.getElementById('media').onseeking = (e) => begun.push(e.target.currentTime)"
    )
    page.click(word(2, 4))  # "question", at 7.2 s
    assert page.until(HERE) == "question"
    assert page.until("begun[0]") == pytest.approx(7.1, abs=0.05)  # its beginning is heard
    page.until(f"{TIME} > 7.3")
    assert page.value(TIME) < 9
    page.until(f"{HERE} === 'about'")
    page.until(f"{HERE} === 'library'")
    assert page.value("document.querySelectorAll('a.now').length") == 1
    assert page.value("document.querySelector('section.here b').textContent") == "Bo"


def test_where_two_speak_at_once_the_word_that_began_last_is_marked(desk):
    turns = [("Ann", 1.0, "one two three four five", 2.0), ("Bo", 2.0, "six seven eight", 2.0)]
    page = desk.open(talk(turns=turns))
    for at, wanted in ((1.5, "one"), (2.5, "six"), (3.5, "two"), (4.5, "seven"), (9.5, "five")):
        page.value(f"location.hash = '#t={at}'")
        assert page.until(f"{TIME} === {at} && {HERE}") == wanted


def test_keys_play_pause_and_wind(desk):
    page = desk.open(talk())
    page.press(" ", 32)
    page.until("document.documentElement.classList.contains('plays')")
    page.until(f"{TIME} > 0.2")
    page.press(" ", 32)
    page.until("document.getElementById('media').paused")
    at = page.value(TIME)
    page.press("ArrowRight", 39)
    assert page.until(f"{TIME} > {at} + 4 && {TIME}") == pytest.approx(at + 5, abs=0.2)
    page.press("ArrowLeft", 37)
    assert page.until(f"{TIME} < {at} + 4 && ({TIME} || 0.001)") == pytest.approx(at, abs=0.2)


def test_the_speed_can_be_chosen(desk):
    page = desk.open(talk())
    page.value("(s => { s.value = '1.5'; s.dispatchEvent(new Event('change')); })(document.getElementById('speed'))")
    page.click("#play")
    page.until(f"{TIME} > 0.2")
    assert page.value("document.getElementById('media').playbackRate") == 1.5


def test_search_marks_hits_and_goes_from_one_to_the_next(desk):
    page = desk.open(talk())
    page.press("/", 191)
    page.type("LIBRARY")
    assert page.until(HITS) == "1 / 3"
    assert page.value("[...CSS.highlights.get('hits')].map(String)") == ["library", "library", "Library"]
    paragraph = "[...CSS.highlights.get('hit')][0].startContainer.parentElement.closest('section').id"
    assert page.value(paragraph) == "t=1"
    page.press("Enter", 13)
    assert (page.value(HITS), page.value(paragraph)) == ("2 / 3", "t=6")
    page.press("Enter", 13, modifiers=8)  # with Shift
    page.press("Enter", 13, modifiers=8)
    assert (page.value(HITS), page.value(paragraph)) == ("3 / 3", "t=20")
    page.press("Escape", 27)
    assert page.value("CSS.highlights.get('hits').size") == 0
    assert page.value("document.activeElement.id") == ""


@pytest.mark.parametrize(
    ("query", "hits"), [("a.*", "no hits"), ("the library", "3"), ("welcome   to", "1"), ("(", "no hits")]
)
def test_a_search_is_for_what_was_typed_across_words(desk, query, hits):
    page = desk.open(talk(), Style())
    page.press("/", 191)
    page.type(query)
    assert page.until(HITS).split(" / ")[-1] == hits


def test_a_click_on_the_timeline_goes_there(desk):
    page = desk.open(talk())
    page.click(".lane", across=0.515)  # 20.6 s of 40
    assert page.until(HERE) == "Library"
    assert page.value(TIME) == pytest.approx(20.6, abs=0.2)
    assert page.value("document.getElementById('media').paused") is True
    page.click("#position", across=0.16)
    assert page.until(f"{HERE} !== 'Library' && {HERE}") == "I"


def test_a_link_to_a_moment_opens_there(desk):
    page = desk.open(talk(), fragment="#t=30.5")
    assert page.value(HERE) == "you"
    page.until("document.getElementById('media').readyState > 0")
    assert page.until(TIME) == pytest.approx(30.5, abs=0.1)
    page.click("section:nth-of-type(2) header a")
    page.until(f"{HERE} === 'I' && location.hash === '#t=6'")


def test_colours_follow_the_system_until_somebody_chooses(desk):
    page = desk.open(talk())
    for wanted in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": wanted}])
        page.until(f"document.documentElement.dataset.theme === '{wanted}'")
    dark = page.value(BACKGROUND)
    page.click("#theme")
    assert page.until(f"{BACKGROUND} !== '{dark}' && {BACKGROUND}") == "rgb(251, 250, 247)"
    page.click("#theme")
    page.until(f"{BACKGROUND} === '{dark}'")
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.value("getComputedStyle(document.querySelector('h1')).color") == "rgb(36, 34, 30)"  # ink on paper
    page.value("localStorage.clear()")


def test_words_hard_to_make_out_are_underlined_as_long_as_requested(desk):
    unsure = Utterance(1.0, 3.0, Hypothesis("mumble", (Word("mumble", 1.0, 2.0, 0.2),), "en"))
    page = desk.open(Transcript(job(), preparation(1, SECONDS), (unsure,)), Style())
    line = "getComputedStyle(document.querySelector('p a')).textDecorationLine"
    assert page.value(line) == "underline"
    page.click("#unsure input")
    page.until(f"{line} === 'none'")


def test_whoever_scrolls_away_is_left_alone_and_led_back_by_a_button(desk):
    turns = [("Ann" if n % 2 else "Bo", n * 0.5, "one two three four five") for n in range(70)]
    page = desk.open(talk(turns=turns))
    page.click(word(1, 1))
    page.until(f"{TIME} > 0.1")
    page.value("scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })")
    page.until("!document.getElementById('back').hidden")
    page.until(f"{TIME} > 1.2 && {HERE} === 'four'")
    assert page.value(f"{IN_VIEW} || document.getElementById('back').hidden") is False
    page.click("#back")
    page.until(f"{IN_VIEW} && document.getElementById('back').hidden")


def test_a_page_can_be_read_without_scripts(desk):
    page = desk.open(talk(), scripts=False)
    shown = page.shown()
    assert "Good morning and welcome to the library" in shown
    assert "Thank you very much" in shown
    assert not page.is_shown("#bar")
    assert page.is_shown("#media")


def test_names_of_strangers_do_not_run(desk):
    bad = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    turns = [(bad, 1.0, bad)]
    made = talk(
        "<img src=x onerror=alert(1)>.wav",
        turns,
        requested=RecordingOptions(OPTIONS, title=bad),
        tags=((bad, bad),),
    )
    page = desk.open(made)
    page.click(word(1, 1))
    page.until(f"{TIME} > 1")
    assert page.value("document.title") == f"Transcript of {bad}"
    assert page.value("document.images.length + document.scripts.length") == 3
    assert [url for url in page.requests() if "onerror=alert" not in unquote(url)] == []
    assert page.events("Page.javascriptDialogOpening") == []


def test_an_unplayable_recording_is_reported_and_the_rest_works(desk):
    made = talk("memo.dss")
    (desk.inbox / "memo.dss").write_bytes(b"\x02dss" + bytes(5000))
    page = desk.open(made, Style(recording="../in%20box/memo.dss"))
    page.until("!document.getElementById('mute').hidden")
    assert "format (dss)" in page.value("document.getElementById('mute').textContent")
    assert not page.is_shown("#play")
    page.click(word(2, 4))
    assert page.until(HERE) == "question"


def test_a_page_without_its_recording_still_shows_the_way(desk):
    page = desk.open(talk(), Style())
    assert not page.is_shown("#play")
    page.press(" ", 32)
    page.press("ArrowRight", 39)
    page.click(".lane", across=0.515)
    assert page.until(HERE) == "Library"


def test_a_film_whose_picture_the_browser_does_not_know_is_heard(desk):
    page = desk.open(talk("film.mp4"))
    page.click(word(1, 2))
    page.until(f"{TIME} > 1.5")
    assert not page.is_shown("video")


def test_nothing_is_cut_off_on_a_phone(desk):
    name = "a_very_long_name_without_any_space_" * 4
    made = talk(f"{name}.wav", [(name, 1.0, name), ("Bo", 5.0, "one")], media=name, tags=((name, name),))
    page = desk.open(made, width=320, height=640, phone=True)
    page.value("document.querySelector('details').open = true")
    assert page.value("document.documentElement.scrollWidth") == 320


def test_printed_pages_have_words_and_times_and_no_player(desk, tmp_path):
    page = desk.open(talk())
    page.call("Emulation.setEmulatedMedia", media="print")
    assert not page.is_shown("#bar")
    assert not page.is_shown("#media")
    assert page.is_shown("section header a")
    page.pdf(tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_twelve_hours_can_be_opened_and_gone_through(desk):
    lengths = (2, 10, 110)  # words: the height of what was never shown can only be guessed
    turns = [("Ann" if n % 2 else "Bo", 18.0 * n, "seven " * lengths[n % 3], 0.1) for n in range(2400)]
    page = desk.open(talk(turns=turns, seconds=43200.0), Style(), fragment="#t=39600.1")
    assert page.value("document.querySelectorAll('main p a').length") == 800 * sum(lengths)
    page.until(IN_VIEW)
    for at in (39600, 108, 20016):
        page.value(f"location.hash = '#t={at}.1'")
        page.until(f"document.querySelector('section.here').id === 't={at}' && {IN_VIEW}")
