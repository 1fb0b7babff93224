from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis, Transcript, Utterance, Word
from transcribed.output.layout.annotated_text import paragraphs, pieces
from transcribed.output.layout.paragraphs import LONG_COLUMNS, PAUSE_SECONDS


def spoken(start, stop, speaker=None, text="one"):
    return Utterance(start, stop, Hypothesis(text, language="en"), speaker)


def starts(*utterances):
    return [p.start for p in paragraphs(Transcript(job(), preparation(1, 60.0), utterances))]


def test_a_paragraph_ends_at_a_pause_or_another_speaker_or_when_long():
    assert starts(spoken(0, 1), spoken(1.5, 2)) == [0]
    assert starts(spoken(0, 1), spoken(1 + PAUSE_SECONDS, 4)) == [0, 1 + PAUSE_SECONDS]
    assert starts(spoken(0, 1, speaker="Ann"), spoken(1, 2, speaker="Bo")) == [0, 1]
    assert starts(spoken(0, 30, text="long " * (LONG_COLUMNS // 5) + "end."), spoken(30, 50)) == [0, 30]


def test_channels_that_come_one_by_one_are_read_as_they_were_spoken():
    assert starts(spoken(0, 1, "Ann"), spoken(4, 5, "Ann"), spoken(2, 3, "Bo"), spoken(6, 7, "Bo")) == [0, 2, 4, 6]


@given(st.text("abc一二三，。 ", max_size=30), st.lists(st.text("abc一二", max_size=4), max_size=9))
def test_pieces_are_the_text_again_and_begin_with_its_words_in_order(text, words):
    heard = tuple(Word(word, float(n), float(n), 0.9) for n, word in enumerate(words))
    cut = pieces(Utterance(0.0, 9.0, Hypothesis(text, heard)))
    assert "".join(piece.text + piece.after for piece in cut) == text
    assert all(piece.text for piece in cut)
    assert all(a.start <= b.start for a, b in pairwise(cut))
    assert all(piece.text.startswith(words[int(piece.start)]) for piece in cut[1:])


def test_marks_belong_to_no_word_and_unrecognized_text_to_the_word_before():
    heard = tuple(Word(word, float(n), n + 0.5, 0.9) for n, word in enumerate(["well", "twenty", "three", "cats"]))
    cut = pieces(Utterance(0.0, 9.0, Hypothesis("“Well, 23 cats.", heard)))
    assert [(p.text, p.after, p.start) for p in cut] == [("“Well, 23", " ", 0.0), ("cats", ".", 3.0)]
    cut = pieces(Utterance(0.0, 9.0, Hypothesis("23 cats", heard[1:])))
    assert [(p.text, p.after, p.start) for p in cut] == [("23", " ", 0.0), ("cats", "", 3.0)]
