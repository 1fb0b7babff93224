"""Three kinds of users, each with an inbox, in one daemon: a phone system, a folder of meetings, a Chinese archive."""

import json
import os

import numpy as np
import pytest

from tests.support.site import Site
from tests.support.speech import save, say, silence, stereo
from tests.tools.small_models import CT_TRANSFORMER, SEACO

CALL = "in-5551234-101-20250327-092517-1743042317.12206.wav"
USERS = """
vad_model = "demo"
[[decoder]]
match = "*.dct"
starts_with = "DICTATION"
command = ["{root}/decode", "{{file}}"]

[[inbox]]
path = "{root}/calls"
outbox = "{root}/calls-out"
quiet_seconds = 0.3
channels = ["caller", "agent"]
name_pattern = "freepbx"
language = "en"

[[inbox]]
path = "{root}/meetings"
outbox = "{root}/meetings-out"
quiet_seconds = 0.3
formats = ["html", "srt", "vtt", "md", "txt", "json"]
output_names = "media"
output_mode = "0640"
bom = true
time_marks = true
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What the three dropped, once it is done."""
    root = tmp_path_factory.mktemp("users")
    site = Site(root)
    site.extra = USERS.format(root=root)
    site.configure(model=str(SEACO), punctuation=str(CT_TRANSFORMER))
    for name in ("calls", "calls-out", "meetings/2026", "meetings-out"):
        (root / name).mkdir(parents=True)
    caller = np.concatenate([say("hello please call today"), silence(5), say("yes")])
    agent = np.concatenate([silence(4), say("seven zero four")])
    stereo(root / "calls" / CALL, *leaking(caller, agent))
    dictated(root, site.inbox / "note.dct")
    save(root / "meetings" / "2026" / "Budget.mp4", say("start meeting stop"))
    (root / "meetings" / "2026" / "Budget.mp4.transcribe.toml").write_text('title = "The budget"\n')
    save(site.inbox / "archive.flac", say("你好今天开会", "cmn"))
    site.once()
    return site


def leaking(one, other):
    """As on a telephone: each channel holds the other party, too, 26 dB quieter."""
    length = max(len(one), len(other))
    one, other = (np.pad(channel, (0, length - len(channel))) for channel in (one, other))
    return one + 0.05 * other, other + 0.05 * one


def dictated(root, path):
    """A recording in a format of its own, and a program that makes WAV of it."""
    wav = save(root / "dictated.wav", say("你好", "cmn"))
    path.write_bytes(b"DICTATION\n" + wav.read_bytes())
    (root / "decode").write_text('#!/bin/sh\ntail -n +2 "$1"\n')
    (root / "decode").chmod(0o755)


def document(path):
    return json.loads(path.read_text())


def test_a_call_is_told_by_speakers_in_order_with_each_word_once(site):
    made = document(site.root / "calls-out" / f"{CALL}.json")
    assert [(part["speaker"], part["text"]) for part in made["segments"]] == [
        ("caller", "hello please call today"),
        ("agent", "seven zero four"),
        ("caller", "yes"),
    ]
    assert made["speakers"] == ["caller", "agent"]


def test_what_the_phone_system_put_in_the_name_is_in_the_json(site):
    fields = document(site.root / "calls-out" / f"{CALL}.json")["name_fields"]
    assert fields["started"] == "2025-03-27T09:25:17"
    assert "5551234" in fields.values()


def test_what_ffmpeg_cannot_decode_is_decoded_by_a_program_of_the_operators(site):
    assert site.text("note.dct") == "你好。"


def test_every_format_tells_who_spoke(site):
    for format in ("txt", "srt", "vtt"):
        text = (site.root / "calls-out" / f"{CALL}.{format}").read_text()
        assert "caller" in text
        assert "agent" in text


def test_a_meeting_gets_subtitles_for_players_and_a_page_with_its_title(site):
    folder = site.root / "meetings-out" / "2026"
    names = {path.name for path in folder.iterdir()}
    assert names == {f"Budget.{suffix}" for suffix in ("en.srt", "en.vtt", "html", "md", "txt", "json")}
    assert (folder / "Budget.txt").read_text().startswith("\ufeff")
    assert "The budget" in (folder / "Budget.html").read_text()
    assert "../../meetings/2026/Budget.mp4" in (folder / "Budget.html").read_text()
    assert (folder / "Budget.html").stat().st_mode & 0o777 == 0o640


def test_a_stored_transcript_is_written_in_another_format_without_recognizing(site):
    recording = site.root / "calls" / CALL
    told = site.call("export", str(recording), "--format", "tsv")
    assert "seven zero four" in told.stdout, told.stderr
    page = site.root / "page.html"
    assert site.call("export", str(recording), "-f", "html", "-o", str(page)).returncode == 0
    assert f"calls/{CALL}" in page.read_text()
    assert site.call("export", "1", "--format", "txt").returncode == 0
    assert site.call("export", "nothing.wav", "--format", "txt").returncode == os.EX_TEMPFAIL
    assert site.call("export", str(recording), "--format", "doc").returncode == os.EX_USAGE


def test_a_file_that_was_never_seen_cannot_be_made_anew(site):
    done = site.call("reprocess", str(site.root / "dictated.wav"))
    assert (done.returncode, done.stdout) == (os.EX_USAGE, "0 will be transcribed again.\n")
    assert "not known to the daemon" in done.stderr


def test_after_new_hotwords_only_the_recordings_concerned_are_made_anew(site):
    assert "0 will be transcribed again" in site.call("reprocess", "--changed").stdout
    assert site.text("archive.flac") == "你好，今天开会。"
    (site.inbox / "hotwords.txt").write_text("# names\n金添\n开会 => 开慧\n")
    told = site.call("reprocess", "--changed", "--dry-run").stdout
    concerned = [f"{site.inbox}/{name}: hotwords, corrections" for name in ("archive.flac", "note.dct")]
    assert sorted(told.splitlines()) == sorted([*concerned, "2 would be transcribed again."])
    site.call("reprocess", "--changed")
    site.once()
    assert site.text("archive.flac").translate({ord(mark): None for mark in "，。"}) == "你好金添开慧"
    (segment,) = document(site.outbox / "archive.flac.json")["segments"]
    assert segment["replacements"] == [{"heard": "开会", "written": "开慧", "score": 1.0}]
    assert "0 will be transcribed again" in site.call("reprocess", "--changed").stdout
