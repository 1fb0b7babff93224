from pathlib import Path

import pytest

from transcribed.config.inbox import Inbox, WatchPlan
from transcribed.config.loader import read
from transcribed.core.errors import Misconfigured
from transcribed.core.types import Options, Source


def inbox(**said):
    return Inbox(path=Path("/in"), outbox=Path("/out"), **said)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.wav", "a"),
        ("sub.d/Budget 3.0.mp4", "sub.d/Budget 3.0"),
        ("2026-11-20 10.00", "2026-11-20 10.00"),
        ("recording", "recording"),
        (".wav", ".wav"),
        ("sub/.wav", "sub/.wav"),
        ("a.tar.gz", "a.tar"),
        ("会议.m4a", "会议"),
    ],
)
def test_the_stem_of_a_name_is_all_but_what_says_the_format(name, stem):
    source = Source(Path("/in"), Path("/in") / name, 1, 1, 1)
    assert inbox(output_names="stem").output_name(source) == stem
    assert inbox().output_name(source) == name


def test_hotwords_and_corrections_are_told_apart():
    found = inbox(hotwords=["通义千问", "开慧 => 开会"], language="zh", punctuation="ct-punc").options
    assert found == Options("demo", "zh", True, "ct-punc", ("通义千问",), (("开慧", "开会"),))


@pytest.mark.parametrize(
    ("said", "meant"), [("mix", None), ("split", ()), (["caller", "callee"], ("caller", "callee"))]
)
def test_channels_are_mixed_or_apart_with_or_without_names(said, meant):
    assert inbox(channels=said).defaults.channels == meant


CONFIG = '[[inbox]]\npath = "/in"\noutbox = "/out"\n'


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('name_pattern = "freepbxx"', "freepbx"),
        ('name_pattern = "("', "name_pattern"),
        ('hotwords = ["http://example.org"]', "hotwords"),
        ('channels = ["a", "a"]', "two channels have the same name"),
        ('output_group = "no-such-group"', "no such group exists"),
        ('formats = ["doc"]', "formats"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(tmp_path, line, sentence):
    (tmp_path / "transcribed.toml").write_text(f"{CONFIG}{line}\n")
    with pytest.raises(Misconfigured, match=sentence):
        read(tmp_path / "transcribed.toml")


def test_hotwords_beside_the_configuration_are_meant_unless_another_file_is_named(tmp_path):
    config, words = tmp_path / "transcribed.toml", tmp_path / "hotwords.txt"
    config.write_text(CONFIG)
    assert read(config).inbox[0].hotwords_file is None
    words.write_text("word\n")
    assert read(config).inbox[0].hotwords_file == words
    config.write_text(f'{CONFIG}hotwords_file = "/elsewhere.txt"\n')
    assert read(config).inbox[0].hotwords_file == Path("/elsewhere.txt")


@pytest.mark.parametrize(
    ("wanted", "is_local", "plan"),
    [
        ({}, True, WatchPlan(True, 60.0, 5.0)),
        ({}, False, WatchPlan(False, 10.0, 20.0)),
        ({"watch": "events"}, False, WatchPlan(True, 60.0, 20.0)),
        ({"watch": "poll", "rescan_seconds": 3, "quiet_seconds": 1}, True, WatchPlan(False, 3.0, 1.0)),
    ],
)
def test_an_inbox_is_watched_as_its_file_system_allows(wanted, is_local, plan):
    assert Inbox(path="/in", outbox="/out", **wanted).watch_plan(is_local) == plan
