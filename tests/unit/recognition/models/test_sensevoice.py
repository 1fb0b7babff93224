import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.recognition.models.sensevoice import SECONDS_PER_FRAME, _Token, collapse, parse_tags, words_of


def tokens(ids, scores=None):
    ids = np.array(ids, np.int64)
    return collapse(ids, np.array(scores if scores is not None else np.ones(len(ids)), np.float32), blank=0)


def test_runs_become_one_token_and_blanks_vanish():
    found = tokens([0, 0, 7, 7, 0, 7, 8, 8, 8, 0])
    assert [(t.id, t.first, t.last) for t in found] == [(7, 2, 3), (7, 5, 5), (8, 6, 8)]


def test_a_token_is_as_certain_as_its_peak():
    (token,) = tokens([0, 5, 5, 0], [1.0, 0.25, 0.75, 1.0])
    assert token.confidence == 0.75


def test_nothing_is_decoded_from_nothing():
    assert tokens([]) == []
    assert tokens([0, 0, 0]) == []


@given(st.lists(st.integers(0, 4), max_size=50))
def test_collapsing_agrees_with_the_definition(ids):
    wanted = [i for n, i in enumerate(ids) if i != 0 and (n == 0 or ids[n - 1] != i)]
    assert [t.id for t in tokens(ids)] == wanted


@pytest.mark.parametrize(
    ("tags", "parsed"),
    [
        ("<|en|><|HAPPY|><|Laughter|><|woitn|>", ("en", "happy", ("laughter",))),
        ("<|zh|><|NEUTRAL|><|Speech|><|withitn|>", ("zh", None, ())),
        ("<|nospeech|><|EMO_UNKNOWN|><|BGM|><|woitn|>", ("nospeech", None, ("bgm",))),
        ("", (None, None, ())),
    ],
)
def test_tags_become_fields_and_those_that_say_nothing_are_left_out(tags, parsed):
    assert parse_tags(tags) == parsed


def words(*pieces, seconds=10.0):
    """Pieces at frames 0, 10, 20, ..."""
    return words_of([(piece, _Token(1, 10 * n, 10 * n + 1, 0.5)) for n, piece in enumerate(pieces)], seconds)


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        (["▁hello", "▁wor", "ld", "!"], ["hello", "world!"]),
        (["你", "好", "，", "世"], ["你", "好，", "世"]),
        (["▁你", "好"], ["你", "好"]),
        (["▁", "hel", "lo", "一"], ["hello", "一"]),
        (["▁一", "two"], ["一", "two"]),
        (["▁안녕", "하세요", "▁네"], ["안녕하세요", "네"]),
        ([], []),
    ],
)
def test_pieces_are_joined_to_words(pieces, texts):
    assert [w.text for w in words(*pieces)] == texts


def test_a_word_ends_before_the_next_begins_and_within_its_segment():
    found = words("▁one", "▁two", seconds=0.7)
    assert found[0].stop <= found[1].start
    assert found[1].start == pytest.approx(10 * SECONDS_PER_FRAME)
    assert found[1].stop == 0.7
