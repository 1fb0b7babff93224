"""A linter of subtitles.

It reads a written file back with the library for its format, and holds every cue against the transcript and
Netflix's rules.  It knows when each letter was spoken by its own reckoning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from itertools import accumulate, pairwise
from unicodedata import category

import srt
from webvtt import WebVTT

from tests.support.transcripts import random_case
from transcribed.output.formats import render
from transcribed.output.layout import word_segmentation
from transcribed.output.layout.cues import cues
from transcribed.output.layout.sound_events import sounds
from transcribed.output.layout.text_metrics import width
from transcribed.output.transcript import language_of

COLUMNS = {"en": 42, "zh": 32, "yue": 32, "ja": 26, "ko": 32}
COLUMNS_PER_SECOND = {"en": 20, "zh": 18, "yue": 18, "ja": 8, "ko": 24}
SHORTEST, LONGEST, GAP, LAG, FLASH = 5 / 6, 7.0, 2 / 24, 2.0, 0.1
A_MILLISECOND = 0.0011  # what rounding may take
CLOSING = ",.;:!?%)]}…’”»›，。；：！？、％）】》」』〉〕ーっゃゅょ"
OPENING = "([{‘“«‹（【《「『〈〔"
PARTICLES = "的地得了着过们吗呢吧啊呀嘛"
HIDDEN = re.compile("[\\s\x00-\x1f\x7f-\x9f\xad\u200b\u2028\u2029\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
HAN, KANA = re.compile(r"[\u3400-\u9fff]"), re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")


@dataclass
class Shown:
    """A cue as it stands in a file."""

    start: float
    stop: float
    lines: list[str]
    speaker: str | None = None
    name: str = ""  # as it stands before the words

    @property
    def seconds(self):
        return self.stop - self.start

    @property
    def letters(self):
        return letters("".join(self.lines)).removeprefix(letters(self.name))


def letters(text):
    """What is to be seen of a text, without spaces."""
    return HIDDEN.sub("", text)


def spaced(text):
    """A text as it should stand in a line."""
    parts = re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split()
    return " ".join(part for chunk in parts if (part := letters(chunk)))


# --- reading -----------------------------------------------------------------------------------------


def read_vtt(text):
    file = WebVTT.from_string(text, strict=True)
    return [_of_vtt(caption) for caption in file.captions]


def _of_vtt(caption):
    lines = [unescape(line) for line in [re.sub("^<v [^>]*>", "", caption.lines[0]), *caption.lines[1:]]]
    assert not re.search("[<>]|&(?!amp;|lt;|gt;)", re.sub("^<v [^>]*>", "", caption.raw_text)), caption.raw_text
    start, stop = (time.in_milliseconds() / 1000 for time in (caption.start_time, caption.end_time))
    return Shown(start, stop, lines, unescape(caption.voice) if caption.voice else None)


def read_srt(text, speakers, style):
    """`speakers` of the cues, which a SubRip file does not tell; names are taken off where they should stand."""
    read = [Shown(s.start.total_seconds(), s.end.total_seconds(), s.content.split("\n")) for s in srt.parse(text)]
    assert len(read) == len(speakers)
    assert not any("-->" in line for cue in read for line in cue.lines)
    for cue, speaker, before in zip(read, speakers, [None, *speakers], strict=False):
        cue.speaker = speaker
        cue.lines = [line.replace("→", "-->") for line in cue.lines]
        if speaker and speaker != before:
            _take_name_off(cue, style)
    return read


def _take_name_off(cue, style):
    name, line = cue.speaker, cue.lines[0]
    heads = [f"{name}:", *(f"{name[:n]}…:" for n in range(len(name) - 1, 0, -1))]
    head = next((head for head in heads if line.startswith(head)), None)
    assert head or (style.max_line_width or 99) < 8 or style.max_line_count == 1, f"{line} should begin with {name}"
    cue.name = head or ""


# --- expecting ---------------------------------------------------------------------------------------


class Spoken:
    """What an utterance says, letter by letter: with its sounds, where they are to be shown."""

    def __init__(self, utterance, told, columns, speed):
        self.text = spaced(utterance.hypothesis.text)
        self.text = self.text if width(self.text) else ""
        self.sounds, self.said = letters("".join(told)), letters(self.text)
        self.letters = self.sounds + self.said
        self.columns, self.speed = columns, speed
        self.times = _times(self.said, utterance)
        self.chunks = self.text.split()
        self.ends = list(accumulate(map(len, self.chunks)))

    def time(self, offset):
        """When a letter is spoken; None where it is a sound, or cannot be told from the words."""
        offset -= len(self.sounds)
        return self.times[offset] if self.times and offset >= 0 else None

    def may_part(self, offset):
        """Whether the text may be broken before a letter."""
        offset -= len(self.sounds)
        if offset <= 0:
            return True
        before, letter = self.said[offset - 1], self.said[offset]
        if offset in self.ends:
            chunk = self.chunks[self.ends.index(offset) + 1]
            return letter not in CLOSING or any(map(str.isalnum, chunk)) or self._is_wide(offset)
        if _hangs_on(before, letter):
            return False
        if letter in CLOSING or before in OPENING:
            return self._is_wide(offset)
        if not (_stands_alone(before) or _stands_alone(letter)):
            return self._is_wide(offset)
        return not self._is_chinese() or offset in self.edges or self._is_wide(offset)

    def is_space(self, offset):
        """Whether there is one between words; other places are not as sure to be parted."""
        offset -= len(self.sounds)
        words = self.said[offset - 1].isalnum() and self.said[offset].isalnum()
        return words and offset in self.ends

    def _is_chinese(self):
        kana, han = len(KANA.findall(self.text)), len(HAN.findall(self.text))
        return han > 0 and 4 * kana < max(han, 1)

    @cached_property
    def edges(self):
        """Of words, as far as the linter knows them; it knows no Japanese."""
        words = word_segmentation.words(self.text) if self._is_chinese() else self.chunks
        return [0, *accumulate(len(word) for word in words if word != " ")]

    def _is_wide(self, offset):
        """Whether what stays together around a place, a word and the marks beside it, is wider than a line."""
        edges = self.edges
        first = max(n for n, edge in enumerate(edges) if edge < offset)
        last = min(n for n, edge in enumerate(edges) if edge >= offset)
        while first and self._holds(*edges[first - 1 : first + 2]):
            first -= 1
        while last + 1 < len(edges) and self._holds(*edges[last - 1 : last + 2]):
            last += 1
        spaces = sum(edge in self.ends for edge in edges[first + 1 : last])
        return width(self.said[edges[first] : edges[last]]) + spaces > self.columns

    def _holds(self, first, middle, last):
        """Whether nothing is parted between two neighbours."""
        before, right = self.said[middle - 1], self.said[middle:last]
        if middle in self.ends:
            return right[0] in CLOSING and not any(map(str.isalnum, self.chunks[self.ends.index(middle) + 1]))
        latin = not (_stands_alone(before) or _stands_alone(right[0]))
        return latin or right in PARTICLES or right[0] in CLOSING or before in OPENING or _hangs_on(before, right[0])


def _hangs_on(before, letter):
    return category(letter) in ("Mn", "Me", "Mc", "Cf") or before == "\u200d" or "🏻" <= letter <= "🏿"


def _stands_alone(letter):
    return "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"


def _times(said, utterance):
    """Of each letter; None where the words have not all of them, overlap, or begin with what hangs on another."""
    words = [(letters(word.text), word.start, word.stop) for word in utterance.hypothesis.words]
    words = [word for word in words if word[0]] or [(said, utterance.start, utterance.stop)]
    together = any(category(word[0])[0] in "MC" for word, _, _ in words)
    backward = any(before[2] > word[1] for before, word in pairwise(words))
    if "".join(word for word, _, _ in words) != said or together or backward:
        return None
    times = []
    for word, start, stop in words:
        edges = list(accumulate(map(width, word), initial=0))
        share = max(0.0, stop - start) / (edges[-1] or 1)
        times += [(start + share * a, start + share * b) for a, b in pairwise(edges)]
    return times


def expected(transcript, style):
    """What each speaker says, in order."""
    by_speaker, before = {}, {}
    language = language_of(transcript) or transcript.preparation.requested.options.language
    for utterance in sorted(transcript.utterances, key=lambda u: u.start):
        speaker = spaced(utterance.speaker or "") or None
        told = sounds(utterance, before.get(speaker), language) if style.sdh else []
        before[speaker] = utterance
        columns = style.max_line_width or COLUMNS[utterance.hypothesis.language]
        speed = COLUMNS_PER_SECOND[utterance.hypothesis.language]
        spoken = Spoken(utterance, told, columns, speed)
        if spoken.letters:
            by_speaker.setdefault(speaker, []).append(spoken)
    return by_speaker


# --- the linter --------------------------------------------------------------------------------------


def lint(shown, transcript, style, *, named=False):
    """AssertionError, if anything is wrong with subtitles of a transcript.

    Where names stand in the text, a cue may have been parted for one; its other half is not looked at for its order.
    """
    left = expected(transcript, style)
    places = [_take(cue, left) for cue in shown]
    assert not any(left.values()), f"not shown: {left}"
    reached, before, before_begins = {}, None, None
    for cue, place, following in zip(shown, places, [*shown[1:], None], strict=False):
        _lint_lines(cue, place, style)
        _lint_times(cue, place, following)
        _lint_span(cue, place)
        begins = _begins(cue, place, reached)
        if before and begins is not None:
            _lint_lag(before, cue, begins)
            assert named or before_begins is None or begins >= before_begins, "not in the order of time"
        before, before_begins = cue, begins


def _take(cue, left):
    """The utterance of a cue and the letter it begins with; all letters in their order, none twice, none left out."""
    spoken = left[cue.speaker][0]
    assert cue.letters, "empty"
    done = getattr(spoken, "done", 0)
    assert spoken.letters[done:].startswith(cue.letters), f"{cue.letters} instead of {spoken.letters[done:]}"
    spoken.done = done + len(cue.letters)
    if spoken.done == len(spoken.letters):
        left[cue.speaker].pop(0)
    return spoken, done


def _lint_lines(cue, place, style):
    spoken, done = place
    assert len(cue.lines) <= style.max_line_count, "too many lines"
    for line in cue.lines:
        assert width(line) > 0, "an empty line"
        assert line == spaced(line)
        assert width(line) <= spoken.columns or _is_one_character(line), f"{line} is too wide"
    if len(cue.lines) > 1:
        assert width(" ".join(cue.lines)) > spoken.columns, f"{cue.lines} would fit in a line"
    for n, line in enumerate(cue.lines):
        assert not done or spoken.may_part(done), f"{spoken.text} parted before {line}"
        done += len(letters(line)) - (len(letters(cue.name)) if n == 0 else 0)


def _is_one_character(line):
    """With what is drawn over it."""
    return all(_hangs_on(*pair) for pair in pairwise(line))


def _lint_times(cue, place, following):
    spoken, done = place
    assert cue.seconds >= FLASH - A_MILLISECOND, "too short to be seen"
    assert cue.seconds <= LONGEST + A_MILLISECOND, "too long"
    until = following.start if following else float("inf")
    assert cue.stop <= until, "overlaps the next"
    needed = max(SHORTEST, sum(map(width, cue.lines)) / spoken.speed)
    as_far_as_may_be = cue.stop >= min(until, cue.start + LONGEST) - A_MILLISECOND
    assert cue.seconds >= needed - A_MILLISECOND or as_far_as_may_be, "too short to be read"
    first, last = spoken.time(done), spoken.time(done + len(cue.letters) - 1)
    assert first is None or cue.start >= first[0] - A_MILLISECOND, "too early"
    enough = min(last[1] if last else 0.0, cue.start + LONGEST, until - GAP)
    assert cue.stop >= enough - A_MILLISECOND, "gone while it is spoken"


def _lint_span(cue, place):
    """What is said in one cue is said within its longest time, and without a pause; but for words that are not."""
    spoken, done = place
    parts = [n for n in range(done + 1, done + len(cue.letters)) if spoken.time(n - 1) and spoken.is_space(n)]
    first, last = spoken.time(done), spoken.time(done + len(cue.letters) - 1)
    for n in parts:
        assert spoken.time(n)[0] - spoken.time(n - 1)[1] < 2.0, "a pause in it"
        alone = first is None or spoken.time(n)[0] <= first[0]
        assert alone or last[1] - first[0] <= LONGEST + A_MILLISECOND, "spoken for too long"


def _begins(cue, place, reached):
    """When a cue would begin if it were alone; None if that cannot be told from the words, of this speaker so far."""
    spoken, done = place
    begins, before = spoken.time(done), reached.get(cue.speaker, 0.0)
    reached[cue.speaker] = None if begins is None or before is None else max(before, begins[0])
    return reached[cue.speaker]


def _lint_lag(before, cue, begins):
    """A cue is held back for the one before it, but not for long."""
    lag = cue.start - begins
    assert before.seconds >= SHORTEST - A_MILLISECOND or lag >= LAG - A_MILLISECOND, "too short, but need not be"
    assert lag <= LAG + A_MILLISECOND or cue.start <= before.start + FLASH + A_MILLISECOND, "too late"


def check(seed):
    """Raises AssertionError with the seed in it."""
    transcript, style = random_case(seed)
    try:
        lint(read_vtt(render(transcript, "vtt", style)), transcript, style)
        speakers = [cue.speaker for cue in cues(transcript, style, names=True)]
        subrip = render(transcript, "srt", style)
        if speakers:
            lint(read_srt(subrip, speakers, style), transcript, style, named=True)
        else:
            assert subrip.count("-->") == 1  # readers refuse a file without any cue
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
