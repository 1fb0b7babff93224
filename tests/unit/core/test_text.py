import pytest

from transcribed.core.text import bounded, is_han, is_unspaced, join, printable, spans_of


@pytest.mark.parametrize("character", "中〆\u3400\uf900\U00020000かカ。，Ａ")
def test_scripts_written_without_spaces_are_known(character):
    assert is_unspaced(character)


@pytest.mark.parametrize("character", ["a", "é", "한", "1", ".", "😀", ""])
def test_other_scripts_are_written_with_spaces(character):
    assert not is_unspaced(character)


def test_only_han_is_han():
    assert [is_han(character) for character in "中㐀豈𠀀かカ。a"] == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_texts_are_joined_as_their_scripts_are_written():
    assert join(["hello", "world", ",", "你好", "今天", "ok"]) == "hello world, 你好今天 ok"


def test_what_a_stranger_wrote_cannot_move_a_cursor_or_turn_a_line():
    assert printable("a\x1b[31m\u202eb\n\udcff", keep="\n") == "a\\x1b[31m\\u202eb\n\\udcff"


def test_a_sentence_is_bounded_and_escaped_but_keeps_both_ends():
    told = bounded("a\x1b[31m\u202e" + "x" * 10_000 + " cannot be read.\n")
    assert len(told) <= 300
    assert told.isprintable()
    assert told.startswith("a\\x1b[31m\\u202e")
    assert told.endswith(" cannot be read.\\n")
    assert len(bounded("\x1b" * 1000)) <= 300
    assert bounded("It is short.") == "It is short."


def test_tokens_that_leave_something_out_have_no_places():
    assert spans_of("ab cd", ["ab", "cd"]) == [(0, 2), (3, 5)]
    assert spans_of("ab cd", ["ab"]) == []
    assert spans_of("ab cd", ["b", "cd"]) == []
