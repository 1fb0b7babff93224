"""What people ask for their recordings by files beside them: read, checked, and confined to the inbox."""

import contextlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import Incomplete, Unavailable
from transcribed.core.types import ModelFacts, Options
from transcribed.ingest.preparation.overrides import MAX_BYTES, hotword_faults, resolve_options
from transcribed.ingest.scanner import source_of

OPTIONS = Options("demo", "zh", hotwords=("from the configuration",))
FACTS = ModelFacts("v1", 0.7, credit="somebody")


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    return tmp_path / "in"


def asked(inbox, name="sub/a.wav", usage=None):
    path = inbox / name
    path.write_bytes(b"sound")
    source = source_of(inbox, path, path.stat())
    return resolve_options(source, usage or InboxDefaults(OPTIONS))


def test_without_a_word_the_inbox_is_followed(inbox):
    found = asked(inbox, usage=InboxDefaults(OPTIONS, ("a", "b"), min_coverage=0.25, model=FACTS))
    assert (found.options, found.channels, found.min_coverage, found.model) == (OPTIONS, ("a", "b"), 0.25, FACTS)


def test_a_name_too_long_for_files_beside_it_has_no_sidecar(inbox):
    assert asked(inbox, "sub/" + "x" * 255).options == OPTIONS


def test_the_nearest_word_counts_and_the_rest_stays(inbox):
    (inbox / ".transcribed.toml").write_text('language = "en"\nitn = false\nchannels = "split"\n')
    (inbox / "sub" / ".transcribed.toml").write_text('channels = ["caller", "callee"]\n')
    (inbox / "sub" / "a.wav.transcribe.toml").write_text('language = "yue"\ntitle = " Lunch "\nformats = ["html"]\n')
    found = asked(inbox)
    assert (found.options.language, found.options.itn) == ("yue", False)
    assert (found.channels, found.title, found.formats) == (("caller", "callee"), "Lunch", ("html",))
    assert asked(inbox, "b.wav").channels == ()


def test_hotwords_of_all_places_are_expected(inbox, tmp_path):
    (tmp_path / "usual.txt").write_text("beside the configuration\n")
    (inbox / "hotwords.txt").write_bytes("通义\n开慧 => 开会\n".encode("gb18030"))
    (inbox / ".transcribed.toml").write_text('hotwords = ["of the folder", "A => B"]\n')
    (inbox / "sub" / "a.wav.transcribe.toml").write_text('hotwords = ["of the recording"]\n')
    found = asked(inbox, usage=InboxDefaults(OPTIONS, hotwords_file=tmp_path / "usual.txt")).options
    assert found.hotwords == (
        "from the configuration",
        "beside the configuration",
        "通义",
        "of the folder",
        "of the recording",
    )
    assert found.corrections == (("开慧", "开会"), ("A", "B"))


def test_a_correction_nearer_to_the_recording_replaces_one_farther_away(inbox):
    (inbox / "hotwords.txt").write_text("开慧 => 开会\nA => B\n")
    (inbox / "sub" / "a.wav.transcribe.toml").write_text('hotwords = ["a => C"]\n')
    assert asked(inbox).options.corrections == (("开慧", "开会"), ("a", "C"))


def test_hotwords_are_read_again_when_they_change(inbox):
    (inbox / "hotwords.txt").write_text("one\n")
    before = asked(inbox).options.hotwords
    (inbox / "hotwords.txt").write_text("two\n")
    assert (before[1:], asked(inbox).options.hotwords[1:]) == (("one",), ("two",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('langauge = "en"', "langauge: unknown key; did you mean language?"),
        ('language = "fr"', "language: Input should be"),
        ("language = en", "is not TOML"),
        ('hotwords = ["http://example.org/words.txt"]', "hotwords"),
        ('channels = ["a", "a"]', "two channels have the same name"),
        ('formats = ["../../etc/passwd"]', "formats"),
        ('outbox = "/etc"', "outbox: unknown key"),
        ("\xff", "is not TOML"),
    ],
)
def test_a_sidecar_that_cannot_be_followed_is_told_of_in_a_sentence(inbox, text, sentence):
    (inbox / "sub" / "a.wav.transcribe.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Incomplete, match=sentence):
        asked(inbox)


@pytest.mark.parametrize(
    ("plant", "words", "fault"),
    [
        (lambda path: path.write_text("fine\n/etc/passwd\na => \ngood\n"), ("fine", "good"), "line 2: "),
        (lambda path: path.write_bytes(b"\xff\x00\x81"), (), "the file is not text"),
        (lambda path: path.write_bytes(b"x\n" * 2**20), (), "regular file of at most 1024 KiB"),
        (lambda path: path.mkdir(), (), "regular file of at most 1024 KiB"),
        (os.mkfifo, (), "regular file of at most 1024 KiB"),
        (lambda path: path.symlink_to("/etc/passwd"), (), "cannot be read"),
    ],
    ids=["lines", "no text", "too large", "folder", "pipe", "link"],
)
def test_mistakes_in_the_hotwords_of_an_inbox_are_passed_over_and_logged_once(inbox, caplog, plant, words, fault):
    plant(inbox / "hotwords.txt")
    for _ in range(2):
        assert asked(inbox).options.hotwords == (*OPTIONS.hotwords, *words)
    assert [fault in record.getMessage() for record in caplog.records] == [True]
    assert any(fault in told for told in hotword_faults(inbox, None))


def test_a_fault_in_a_folder_file_makes_its_recordings_wait_and_blames_nobody(inbox):
    (inbox / ".transcribed.toml").write_text("what")
    with pytest.raises(Unavailable, match="is not TOML"):
        asked(inbox)


def test_hard_links_are_read_unless_the_inbox_refuses_them(inbox, tmp_path):
    (tmp_path / "secret.toml").write_text('title = "secret"\n')
    os.link(tmp_path / "secret.toml", inbox / "sub" / "a.wav.transcribe.toml")
    assert asked(inbox).title == "secret"
    with pytest.raises(Incomplete, match="another name elsewhere"):
        asked(inbox, usage=InboxDefaults(OPTIONS, hard_links=False))


def test_nothing_outside_the_inbox_is_read(inbox, tmp_path):
    (tmp_path / "secret.toml").write_text('title = "secret"\n')
    (inbox / "sub" / "a.wav.transcribe.toml").symlink_to(tmp_path / "secret.toml")
    with pytest.raises(Incomplete, match="cannot be read"):
        asked(inbox)


def test_the_operators_own_hotwords_may_be_a_link(inbox, tmp_path):
    (tmp_path / "real.txt").write_text("word\n")
    (tmp_path / "usual.txt").symlink_to(tmp_path / "real.txt")
    usage = InboxDefaults(OPTIONS, hotwords_file=tmp_path / "usual.txt")
    assert asked(inbox, usage=usage).options.hotwords == (*OPTIONS.hotwords, "word")
    assert hotword_faults(inbox, tmp_path / "usual.txt") == []
    assert "does not exist" in hotword_faults(inbox, tmp_path / "none.txt")[0]


def test_a_key_of_thousands_of_parts_costs_no_time(inbox):
    """tomllib takes time with their square."""
    for text in (".".join("a" * 8_000) + " = 1", "x = {" + "a." * 8_000 + "a = 1}", "[" + "a." * 7_000 + "a]"):
        (inbox / "sub" / "a.wav.transcribe.toml").write_text(text)
        with pytest.raises(Incomplete, match="has more than 500 dots"):
            asked(inbox)


def test_a_sidecar_larger_than_16_kib_is_not_parsed(inbox):
    (inbox / "sub" / "a.wav.transcribe.toml").write_text(f'title = "{"x" * 16_384}"')
    with pytest.raises(Incomplete, match="of at most 16 KiB"):
        asked(inbox)


def test_what_is_nested_too_deep_makes_recordings_wait(inbox):
    (inbox / ".transcribed.toml").write_text("a = " + "[" * 16_000)
    with pytest.raises(Unavailable, match="is not TOML"):
        asked(inbox)


def test_a_fifo_blocks_nobody_and_a_huge_file_fills_no_memory(inbox):
    sidecar = inbox / "sub" / "a.wav.transcribe.toml"
    os.mkfifo(sidecar)
    with pytest.raises(Incomplete, match="not a regular file of at most"):
        asked(inbox)
    sidecar.unlink()
    sidecar.mkdir()
    with pytest.raises(Incomplete, match="not a regular file of at most"):
        asked(inbox)
    sidecar.rmdir()
    sidecar.touch()
    os.truncate(sidecar, MAX_BYTES + 1)
    with pytest.raises(Incomplete, match="not a regular file of at most"):
        asked(inbox)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_whatever_stands_in_a_sidecar_is_followed_or_told_of(inbox, rubbish):
    (inbox / "sub" / "a.wav.transcribe.toml").write_bytes(rubbish)
    with contextlib.suppress(Incomplete):
        asked(inbox)
