"""Hotwords as tokens: what a model can write of what it is told to expect."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.recognition.models.hotword_bias import MAX_TOKENS, Speller

TOKENS = ["<blank>", "<s>", "</s>", *"张三丰李四今天开会", "hel@@", "lo", "wor@@", "ld", "stop", "a@@", "b", "<unk>"]
CUTS = {"hello": "hel@@ lo", "stop": "stop"}
SPELLER = Speller(TOKENS, CUTS)


def spelled(hotword, speller=SPELLER):
    return " ".join(TOKENS[number] for number in speller.spell(hotword))


@pytest.mark.parametrize(
    ("hotword", "tokens"),
    [
        ("张三丰", "张 三 丰"),
        ("今天 开会", "今 天 开 会"),
        ("Hello", "hel@@ lo"),
        ("今天stop", "今 天 stop"),
        ("ＳＴＯＰ！", "stop"),
        ("「李四」，", "李 四"),
        ("张", "张"),
        ("", ""),
        ("?!", ""),
    ],
)
def test_a_hotword_is_its_characters_and_the_pieces_of_its_words(hotword, tokens):
    assert spelled(hotword) == tokens


def test_a_word_without_a_known_split_is_cut_into_longest_pieces():
    assert spelled("world") == "wor@@ ld"
    assert spelled("ab") == "a@@ b"
    assert spelled("hello", Speller(TOKENS, {})) == "hel@@ lo"
    assert spelled("wor") == ""


@pytest.mark.parametrize(
    ("hotword", "tokens"),
    [("张三𬎆", "张 三"), ("𬎆三丰", "三 丰"), ("张𬎆三丰李", "三 丰 李"), ("张𬎆", ""), ("张𬎆三", "")],
)
def test_a_hotword_with_an_unknown_character_counts_by_its_longer_stretches(hotword, tokens):
    """张 alone would be heard in every name that begins with it."""
    assert spelled(hotword) == tokens


@pytest.mark.parametrize("hotword", ["http://example.org/words.txt", "/etc/passwd", "x.txt", "../../x", "\0", "<s>"])
def test_what_looks_like_a_file_or_an_address_is_only_letters(hotword):
    assert spelled(hotword) == ""


def test_hotwords_of_one_spelling_count_once_and_unwritable_ones_not_at_all():
    numbers = SPELLER.spell_all(["张三", "张 三", "𬎆", "李四", "张三"])
    assert numbers == [SPELLER.spell("张三"), SPELLER.spell("李四")]


def test_a_hotword_without_end_is_looked_at_up_to_a_limit():
    assert len(SPELLER.spell("张三" * 10**6)) == MAX_TOKENS
    assert SPELLER.spell("x" * 10**7) == ()


@settings(deadline=None)
@given(st.text(alphabet=string.printable + "张三丰李四今天开会𬎆ǅ", max_size=40))
def test_whatever_is_asked_for_only_tokens_of_speech_come_of_it(hotword):
    numbers = SPELLER.spell(hotword)
    assert all(not TOKENS[number].startswith("<") for number in numbers)
    assert len(numbers) <= MAX_TOKENS
