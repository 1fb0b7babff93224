"""Which names are passed over, and which only look as if they should be. It knows names; there are no files here."""

from __future__ import annotations

import os

import pytest

from tests.support.hostile import IGNORED_NAMES, WANTED_NAMES
from transcribed.ingest.ignore import is_ignored

# The whole table of FAULTS C9, in the shape a name takes when the pattern stands for one.
TABLE = (
    ".talk.wav.Xy12aB",  # rsync
    ".~tmp~/talk.wav",  # rsync --delay-updates
    ".rsync-partial/talk.wav",
    ".syncthing.talk.wav.tmp",
    "~syncthing~talk.wav.tmp",
    ".stversions/talk.wav",
    "talk.wav.partial",  # rclone
    "talk.wav.filepart",  # WinSCP
    "talk.wav.part",
    "talk.wav.crdownload",
    "talk.wav.download",
    "talk.wav.tmp",
    "talk.wav.aria2",
    "talk.wav.aria2__temp",  # what aria2 leaves when it is killed while it saves its control file
    ".in.talk.wav.",  # ProFTPD HiddenStores
    ".pureftpd-upload.5f1e2d3c.15.1a2b.3c4d",
    "._talk.wav",
    ".DS_Store",
    "@eaDir/talk.wav",
    "#recycle/talk.wav",
    "@Recycle/talk.wav",
    ".nfs00000000004a1b2c00000001",
    ".smbdelete00012.4",
    "Thumbs.db",
    "desktop.ini",
    "talk.wav:Zone.Identifier",
    ".sync_a1b2c3d4e5f6.db",
    "lost+found/talk.wav",
    ".snapshot/hourly.0/talk.wav",
)
ORDINARY = (
    "talk.wav",
    "2024/talk.wav",
    "Talk of Monday (2).M4A",
    "会议录音.mp3",
    "new\nline.wav",
    os.fsdecode(b"\xc4\xe3\xba\xc3.wav"),
    "-",
    "a",
    "x" * 255,
)


@pytest.mark.parametrize("name", sorted({*TABLE, *IGNORED_NAMES}))
def test_a_name_of_half_written_or_hidden_files_and_litter_is_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title, str.swapcase])
def test_case_makes_no_difference(name: str, spelling: object) -> None:
    assert is_ignored(spelling(name))  # type: ignore[operator]


@pytest.mark.parametrize("name", TABLE)
def test_a_name_is_ignored_however_deep_it_lies(name: str) -> None:
    assert is_ignored(f"a/b c/d/{name}")


@pytest.mark.parametrize("name", [name.split("/")[0] for name in TABLE])
def test_all_that_lies_below_an_ignored_name_is_ignored(name: str) -> None:
    assert is_ignored(f"{name}/a/talk.wav")


@pytest.mark.parametrize("name", [*WANTED_NAMES, *ORDINARY], ids=ascii)
def test_a_recording_is_wanted_however_much_it_looks_like_litter(name: str) -> None:
    assert is_ignored(name) is None


@pytest.mark.parametrize("name", ["talk.sync-conflict-20240101-120000-ABCDEFG.wav", "Talk.SYNC-CONFLICT-20240101.mp3"])
def test_a_conflict_copy_is_a_whole_recording_and_wanted(name: str) -> None:
    assert is_ignored(name) is None


def test_the_users_own_patterns_are_matched_too() -> None:
    assert is_ignored("talk.bak", ["*.bak"])
    assert is_ignored("old/talk.wav", ["OLD"])
    assert is_ignored("OLD/talk.wav", ["old"])
    assert is_ignored("talk.wav", ["*.bak"]) is None


def test_a_users_pattern_stands_for_a_whole_part_of_the_path() -> None:
    assert is_ignored("bolder/talk.wav", ["old"]) is None
    assert is_ignored("old/talk.wav", ["old/*.wav"]) is None


def test_the_reason_names_the_part_and_the_pattern() -> None:
    reason = is_ignored("a/Talk.WAV.Part")
    assert reason is not None
    assert "'Talk.WAV.Part'" in reason
    assert "'*.part'" in reason


def test_the_reason_shows_no_control_characters() -> None:
    reason = is_ignored("a\x1b[2J\n.part")
    assert reason is not None
    assert reason.isprintable()


def test_the_inbox_itself_is_wanted() -> None:
    assert is_ignored(".") is None
    assert is_ignored("") is None
