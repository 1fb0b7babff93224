"""Paraformer's tokens to words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.core.text import join
from transcribed.recognition.models.paraformer import Token, words_of


def tokens(*texts):
    """One every half second, each a quarter long."""
    return [Token(text, n / 2, n / 2 + 0.25, 1 / (n + 1)) for n, text in enumerate(texts)]


def written(*texts):
    return join(word.text for word in words_of(tokens(*texts)))


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ("今 天 开 会", "今天开会"),
        ("hel@@ lo wor@@ ld", "hello world"),
        ("我 用 py@@ th@@ on 写", "我用 python 写"),
        ("c p u 和 g p u", "CPU 和 GPU"),
        ("i am a b@@ c", "i am a bc"),
        ("a t@@ v", "a tv"),
        ("hel@@ 好 lo", "hel 好 lo"),
        ("don't stop", "don't stop"),
    ],
)
def test_marked_pieces_are_joined_and_letters_are_abbreviations(pieces, text):
    assert written(*pieces.split()) == text


def test_a_word_lasts_from_its_first_piece_to_its_last_and_is_as_sure_as_they_are():
    first, second = words_of(tokens("好", "a@@", "b@@", "c"))[0], words_of(tokens("好", "a@@", "b@@", "c"))[1]
    assert (first.text, first.start, first.stop, first.confidence) == ("好", 0.0, 0.25, 1.0)
    assert (second.text, second.start, second.stop) == ("abc", 0.5, 1.75)
    assert second.confidence == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3, abs=1e-4)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["好", "天", "ab", "ab@@", "c", "d@@"]), max_size=12))
def test_no_character_is_lost_and_time_goes_on(pieces):
    words = words_of(tokens(*pieces))
    spoken = "".join(pieces).replace("@@", "")
    assert "".join(word.text for word in words).lower() == spoken
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    assert all(word.start < word.stop for word in words)
