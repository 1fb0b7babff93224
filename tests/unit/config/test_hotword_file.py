"""Files of hotwords, as people and their editors write them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.config.hotword_file import MAX_BYTES, MAX_CHARACTERS, MAX_ENTRIES, MAX_FAULTS_TOLD, decode, parse, read

CHINESE = "阿里巴巴 20\r\n夏为 => 华为\r\n"


def attempt(function, argument):
    """What it returns, or None and what it says."""
    try:
        return function(argument), ""
    except ValueError as error:
        return None, str(error)


def faults(*lines):
    return attempt(parse, lines)[1].splitlines()


def test_one_entry_stands_on_each_line():
    assert parse(["张三丰", "", "  Kubernetes\n", "夏为 => 华为", "cuber netties=>Kubernetes"]) == (
        ("张三丰", "Kubernetes"),
        (("夏为", "华为"), ("cuber netties", "Kubernetes")),
    )


def test_arrows_of_funasr_are_understood():
    assert parse(["夏为->华为", "克洛德 → Claude"])[1] == (("夏为", "华为"), ("克洛德", "Claude"))


def test_remarks_are_no_entries():
    assert parse(["# names", "张三 # the boss", "C#", "a => b  # why", " #", "\u3000# 备注"]) == (
        ("张三", "C#"),
        (("a", "b"),),
    )


def test_weights_of_funasr_are_dropped():
    assert parse(["阿里巴巴 20", "hello world\t100", "Windows 2000", "Boeing 747", "iPhone15"])[0] == (
        "阿里巴巴",
        "hello world",
        "Windows 2000",
        "Boeing 747",
        "iPhone15",
    )


def test_nothing_is_there_twice():
    assert parse(["张三", "张三 20", "a => b", "a => b", "A => b"]) == (("张三",), (("a", "b"),))


def test_two_spellings_of_one_letter_are_one_word():
    decomposed = unicodedata.normalize("NFD", "Müller")
    assert parse([decomposed, "Müller"])[0] == ("Müller",)


def test_the_mark_of_an_editor_is_no_part_of_the_first_word():
    assert parse(["\ufeff张三"])[0] == ("张三",)
    assert parse(["\ufeff# names"])[0] == ()
    assert decode("\ufeff张三".encode()) == "张三"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("http://example.com/words.txt", '"http://example.com/words.txt" looks like a web address'),
        ("HTTPS:x", '"HTTPS:x" looks like a web address'),
        ("httpd", '"httpd" looks like a web address'),
        ("ftp://x", '"ftp://x" looks like a web address'),
        ("a => file://b", '"file://b" looks like a web address'),
        ("words.TXT", '"words.TXT" looks like a file name'),
        ("list.jsonl 20", '"list.jsonl" looks like a file name'),
        ("wav.scp => b", '"wav.scp" looks like a file name'),
        ("/etc/passwd", '"/etc/passwd" looks like a file name'),
        ("a\\b", '"a\\b" looks like a file name'),
        ("a\x1b[2J", '"a\\x1b[2J" contains an invisible character'),
        ("a\u200bb", '"a\\u200bb" contains an invisible character'),
        ("b => a\0", '"a\\x00" contains an invisible character'),
        ("x" * (MAX_CHARACTERS + 1), f'"{"x" * 30}..." is longer than 60 characters'),
        ("!!!", '"!!!" contains no letter or digit'),
        ("。 => x", '"。" contains no letter or digit'),
        ("a => b => c", "the line has more than one arrow; write one correction per line"),
        ("a =>", "one side of the arrow is empty; write: wrong => right"),
        ("=> b", "one side of the arrow is empty; write: wrong => right"),
        ("a => a", '"a" would be replaced by itself'),
    ],
)
def test_what_is_no_word_is_refused_with_its_line(entry, sentence):
    assert faults("张三", entry) == [f"line 2: {sentence}"]


def test_a_line_without_end_is_refused_at_once():
    assert faults("\u0f71\u0f39" * 400_000) == ["line 1: the line is longer than 1000 characters"]
    assert faults("x" + " " * 800_000 + "y") == ["line 1: the line is longer than 1000 characters"]


def test_http_in_capitals_is_a_word():
    assert parse(["HTTP", "the httpd"])[0] == ("HTTP", "the httpd")


def test_a_word_of_the_greatest_length_is_a_word():
    assert parse(["长" * MAX_CHARACTERS])[0] == ("长" * MAX_CHARACTERS,)


def test_a_correction_may_change_nothing_but_capitals_or_write_a_mark():
    assert parse(["github => GitHub", "逗号 => ，"])[1] == (("github", "GitHub"), ("逗号", "，"))


def test_two_corrections_of_one_word_contradict_each_other():
    assert faults("夏为 => 华为", "夏为 => 夏威夷") == ['line 2: "夏为" already has a correction, "华为"']
    assert faults("a => b", "A => c") == ['line 2: "A" already has a correction, "b"']


def test_all_faults_are_told_at_once():
    assert [line.split(":")[0] for line in faults("/a", "张三", "!!!", "", "x =>")] == ["line 1", "line 3", "line 5"]


def test_of_very_many_faults_the_first_are_told():
    told = faults(*["!!!"] * (MAX_FAULTS_TOLD + 5))
    assert len(told) == MAX_FAULTS_TOLD + 1
    assert told[-1] == "and 5 more"


def test_there_is_a_limit_of_entries():
    words = [f"word{n}" for n in range(MAX_ENTRIES - 1)]
    assert len(parse([*words, "a => b", "word0"])[0]) == MAX_ENTRIES - 1
    assert faults(*words, "a => b", "one more") == [
        f"the list has {MAX_ENTRIES + 1} entries; at most {MAX_ENTRIES} are allowed"
    ]


def test_of_a_file_what_is_valid_counts():
    found = read(b"one\n/etc/passwd\na => b => c\ntwo\nx => y\n")
    assert (found.hotwords, found.corrections) == (("one", "two"), (("x", "y"),))
    assert [fault.split(":")[0] for fault in found.faults] == ["line 2", "line 3"]
    many = read("\n".join(f"word{n}" for n in range(MAX_ENTRIES + 5)).encode())
    assert (len(many.hotwords), len(many.faults)) == (MAX_ENTRIES, 1)
    assert read(b"\xff\x00\x81").faults == ("the file is not text; save it as UTF-8",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
def test_a_file_is_read_as_its_editor_wrote_it(encoding):
    assert parse(decode(CHINESE.encode(encoding)).splitlines()) == (("阿里巴巴",), (("夏为", "华为"),))


def test_both_orders_of_utf_16_are_read():
    assert decode(b"\xff\xfea\0") == decode(b"\xfe\xff\0a") == "a"


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"a\0b\0", b"\xff\xfe\0\xd8", b"RIFF\0\0\0\0WAVE", b"\x81"]
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(ValueError, match="not text"):
        decode(data)


def test_a_file_that_is_too_large_is_refused():
    assert decode(b"a" * MAX_BYTES)
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        decode(b"a" * (MAX_BYTES + 1))


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), st.sampled_from(["utf-8", "utf-16"])
)
def test_any_text_survives(text, encoding):
    data = text.encode(encoding)
    assert decode(data) == data.decode("utf-8-sig" if encoding == "utf-8" else encoding)


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_sentence(data):
    text, sentence = attempt(decode, data)
    assert "not text" in sentence if text is None else "\0" not in text


LINES = st.lists(
    st.one_of(st.text(max_size=70), st.from_regex(r"\w{1,5}( => \w{1,5}){0,2}( \d{1,3})?", fullmatch=True))
)


@given(LINES)
def test_any_lines_give_safe_words_or_sentences_that_can_be_shown(lines):
    words, sentences = attempt(parse, lines)
    assert bool(words) != bool(sentences)
    assert all(line.isprintable() for line in sentences.split("\n"))
    hotwords, corrections = words or ((), ())
    assert len(set(hotwords)) == len(hotwords)
    for word in (*hotwords, *(side for pair in corrections for side in pair)):
        assert 0 < len(word) <= MAX_CHARACTERS
        assert word == word.strip() == unicodedata.normalize("NFC", word)
        assert word.isprintable()
        assert not word.startswith("http")
        assert not set(word) & set("/\\\n\r")


@given(LINES)
def test_what_was_read_reads_the_same_again(lines):
    hotwords, corrections = attempt(parse, lines)[0] or ((), ())
    again = [f"{word} 1" for word in hotwords] + [f"{heard} => {meant}" for heard, meant in corrections]
    assert parse(again) == (hotwords, corrections)
