import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.core.types import Hypothesis, Utterance, Word
from transcribed.output.overlap import join_overlapping

CUT, HALF = 27.0, 0.5


def utterance(start, stop, *words, speaker=None):
    """Words as (text, middle), each a third of a second long."""
    made = tuple(Word(text, middle - 1 / 6, middle + 1 / 6, 0.9) for text, middle in words)
    return Utterance(start, stop, Hypothesis(" ".join(w.text for w in made), made, "en"), speaker)


def sides(left, right):
    return utterance(0.0, CUT + HALF, *left), utterance(CUT - HALF, 50.0, *right)


def texts(utterances):
    return [u.hypothesis.text for u in utterances]


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ([("one", 26.2), ("two", 27.2)], [("two", 27.2), ("three", 28)], ["one", "two three"]),
        ([("one", 26.2), ("two", 26.9)], [("two", 26.9), ("three", 28)], ["one two", "three"]),
        ([("one", 26.2), ("two", 26.95)], [("two", 27.05), ("three", 28)], ["one two", "three"]),  # both would keep it
        ([("one", 26.2), ("two", 27.05)], [("two", 26.95), ("three", 28)], ["one two", "three"]),  # neither would
        ([("one", 26.2), ("t", 27.4)], [("two", 27.4), ("three", 28)], ["one", "two three"]),  # half a word at the edge
        ([("two", 26.2), ("two", 26.8)], [("two", 27.4), ("two", 28)], ["two two", "two two"]),  # said four times
        ([("one", 26.2), ("five", 26.98)], [("nine", 27.02), ("three", 28)], ["one five", "three"]),
        ([("Two,", 26.95)], [("two", 27.05)], ["Two,", ""]),
    ],
)
def test_each_word_at_a_cut_is_kept_once(left, right, wanted):
    joined = join_overlapping(sides(left, right))
    assert texts(joined) == wanted
    assert (joined[0].stop, joined[1].start) == (CUT, CUT)


def test_a_side_without_words_takes_none_from_the_other():
    for one, other in ([("one", 27.3)], []), ([], [("one", 26.7)]):
        assert "one" in texts(join_overlapping(sides(one, other)))


def test_neighbours_that_do_not_overlap_and_other_speakers_stay_as_they_are():
    apart = (utterance(0, 10, ("one", 9.9)), utterance(10, 20, ("one", 10.1)))
    others = (utterance(0, 10, ("one", 9.9), speaker="a"), utterance(9, 20, ("one", 9.9), speaker="b"))
    assert join_overlapping(apart) == apart
    assert join_overlapping(others) == others


@given(st.lists(st.floats(0.2, 1.0), min_size=5, max_size=60), st.floats(-0.12, 0.12))
def test_no_word_is_lost_or_doubled_however_differently_both_time_it(gaps, shift):
    """Each side hears the words whose whole it has, and the right side later or earlier than the left."""
    middles = [20 + sum(gaps[: n + 1]) for n in range(len(gaps))]
    words = [(f"w{n}", middle) for n, middle in enumerate(middles)]
    left = [(text, at) for text, at in words if at + 1 / 6 <= CUT + HALF]
    right = [(text, at + shift) for text, at in words if at - 1 / 6 >= CUT - HALF]
    told = " ".join(texts(join_overlapping(sides(left, right)))).split()
    assert told == [text for text, _ in words]
