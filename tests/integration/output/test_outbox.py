"""Delivery on a real file system: whole or not at all, and nothing but the agreed becomes of the source."""

import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from tests.support.fakes import job, preparation
from tests.support.rights import modes_count
from transcribed.core.errors import Obstructed, Unavailable, Withdrawn
from transcribed.core.types import Failure, Hypothesis, Source
from transcribed.ingest.scanner import source_of
from transcribed.output.layout import Style
from transcribed.output.outbox import Outbox, deliver, write_atomically
from transcribed.output.renderer import OutputSettings
from transcribed.output.source_actions import SourceAction, apply_action, has_newer_version, recording_url
from transcribed.output.transcript import assemble
from transcribed.system.safe_open import Permissions
from transcribed.system.temp_files import TEMPORARY, UNOWNED, StaleTempFiles, TempFileOwner, sweep


@pytest.fixture
def box(tmp_path):
    (tmp_path / "out").mkdir()
    return Outbox(tmp_path / "out")


def transcript(output="a.wav", text="one two"):
    made = preparation(1, 2.0)
    return assemble(job(output=output), made, {0: Hypothesis(text, language="en")})


def names(box):
    return {str(p.relative_to(box.folder)) for p in box.folder.rglob("*") if p.is_file()}


def test_every_format_is_written_and_nothing_else(box):
    deliver(transcript(), box)
    assert names(box) == {"a.wav.json", "a.wav.srt", "a.wav.vtt", "a.wav.txt"}


def test_sub_folders_are_mirrored(box):
    deliver(transcript("2026/11/a.wav"), box)
    assert "2026/11/a.wav.txt" in names(box)


def test_delivering_again_replaces_and_never_doubles(box):
    deliver(transcript(text="old"), box)
    deliver(transcript(text="new"), box)
    assert len(names(box)) == 4
    assert (box.folder / "a.wav.txt").read_text() == "new\n"


def test_the_note_of_a_failure_vanishes_when_a_later_version_succeeds(box):
    deliver(Failure(job(), "It is damaged.", "Copy it again."), box)
    assert names(box) == {"a.wav.error.txt"}
    deliver(transcript(), box)
    assert "a.wav.error.txt" not in names(box)


def test_files_have_the_agreed_mode_whatever_the_umask(box):
    deliver(transcript(), box)
    assert (box.folder / "a.wav.txt").stat().st_mode & 0o777 == 0o664


def test_files_and_new_folders_have_the_agreed_group_and_rights(box):
    """Who may read a file may enter its folder."""
    before = os.umask(0o077)
    try:
        deliver(transcript("2026/a.wav"), replace(box, permissions=Permissions(0o640, gid=12345)))
    finally:
        os.umask(before)
    file, folder = ((box.folder / name).stat() for name in ("2026/a.wav.txt", "2026"))
    assert (file.st_gid, file.st_mode & 0o777) == (12345, 0o640)
    assert (folder.st_gid, folder.st_mode & 0o777) == (12345, 0o750)


def test_a_folder_that_was_there_keeps_its_rights(box):
    (box.folder / "2026").mkdir(mode=0o700)
    deliver(transcript("2026/a.wav"), box)
    assert (box.folder / "2026").stat().st_mode & 0o777 == 0o700


def test_subtitles_in_another_language_may_be_somebody_elses_and_stay(box):
    (box.folder / "a.zh.srt").write_text("made by hand")
    deliver(transcript("a"), replace(box, settings=OutputSettings(("srt", "txt"), Style(sdh=True), "media")))
    assert names(box) == {"a.zh.srt", "a.en.sdh.srt", "a.txt"}


def test_what_is_asked_for_one_recording_counts_for_its_files(box):
    made = transcript()
    requested = replace(made.preparation.requested, formats=("txt",))
    deliver(replace(made, preparation=replace(made.preparation, requested=requested)), box)
    assert names(box) == {"a.wav.txt"}


def test_a_linked_sub_folder_is_not_written_through(box, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (box.folder / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Obstructed):
        deliver(transcript("sub/a.wav"), box)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["../a.wav", "/etc/a.wav", "a/../../b.wav"])
def test_no_name_leads_out_of_the_outbox(box, name):
    with pytest.raises(ValueError, match="not a name below a folder"):
        deliver(transcript(name), box)
    assert names(box) == set()


def test_a_missing_outbox_is_never_made_but_waited_for(tmp_path):
    with pytest.raises(Unavailable, match="cannot be written"):
        deliver(transcript(), Outbox(tmp_path / "away"))
    assert not (tmp_path / "away").exists()


def test_nobody_ever_reads_half_a_file(box):
    """A reader looks all the time while a large file is replaced a hundred times."""
    whole = {letter * 200_000 for letter in "abcdefghij"}
    done, torn = threading.Event(), []

    def read():
        while not done.is_set():
            try:
                text = (box.folder / "a.txt").read_text()
            except FileNotFoundError:
                continue
            if text not in whole:
                torn.append(len(text))

    reader = threading.Thread(target=read)
    reader.start()
    folder = os.open(box.folder, os.O_RDONLY)
    for n in range(100):
        write_atomically(folder, {"a.txt": sorted(whole)[n % 10].encode()}, Permissions(0o644))
    done.set()
    reader.join()
    os.close(folder)
    assert torn == []


def test_what_a_dead_daemon_left_half_written_is_swept(box):
    (box.folder / "sub").mkdir()
    (box.folder / "sub" / TempFileOwner(UNOWNED.owner).name()).write_text("half")
    (box.folder / ".someone-elses").write_text("kept")
    assert sweep(box.folder, StaleTempFiles(UNOWNED), now=0.0) == 1
    assert names(box) == {".someone-elses"}


def _sticky(folder):
    """A stranger's file in a folder in which everybody may remove only his own."""
    folder.mkdir()
    (folder / "a.wav.txt").write_text("mine")
    os.chown(folder / "a.wav.txt", 54321, 54321)
    os.chown(folder, 54321, 54321)
    folder.chmod(0o1777)


PLANTED = {
    "a folder for a file": lambda out: (out / "sub" / "a.wav.txt").mkdir(parents=True),
    "a file for a folder": lambda out: (out / "sub").write_text("mine"),
    "a link for a folder": lambda out: (out / "sub").symlink_to("/tmp"),
    "a pipe for a folder": lambda out: os.mkfifo(out / "sub"),
    "a folder that is closed": lambda out: (out / "sub").mkdir(mode=0o555),
    "a file that is kept": lambda out: _sticky(out / "sub"),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_stands_in_the_place_of_a_transcript_holds_back_only_that(box, plant):
    plant(box.folder)
    before = [(path, path.lstat().st_mode) for path in box.folder.rglob("*")]
    with modes_count(), pytest.raises(Obstructed, match=r"sub/a\.wav cannot be written"):
        deliver(transcript("sub/a.wav"), box)
    with modes_count():
        deliver(transcript("b.wav"), box)
    assert {"b.wav.json", "b.wav.txt", "b.wav.srt", "b.wav.vtt"} <= names(box)
    assert all((path, path.lstat().st_mode) in before for path, _ in before)
    assert not list(box.folder.rglob(f"{TEMPORARY}*"))


HARMLESS = {
    "a link for a file": lambda out, other: (out / "a.wav.txt").symlink_to(other),
    "a hard link for a file": lambda out, other: os.link(other, out / "a.wav.txt"),
    "a pipe for a file": lambda out, other: os.mkfifo(out / "a.wav.txt"),
    "a folder for a note": lambda out, other: (out / "a.wav.error.txt").mkdir(),
}


@pytest.mark.parametrize("plant", HARMLESS.values(), ids=HARMLESS)
def test_planted_files_are_replaced_and_what_they_lead_to_is_not_touched(box, tmp_path, plant):
    other = tmp_path / "other"
    other.write_text("theirs")
    plant(box.folder, other)
    deliver(transcript(), box)
    assert (box.folder / "a.wav.txt").read_text() == "one two\n"
    found = (box.folder / "a.wav.txt").lstat()
    assert (stat.S_ISREG(found.st_mode), found.st_mode & 0o777, found.st_uid) == (True, 0o664, os.getuid())
    assert other.read_text() == "theirs"


def test_an_outbox_that_takes_nothing_holds_back_everything(box):
    box.folder.chmod(0o555)
    with modes_count(), pytest.raises(Unavailable):
        deliver(transcript(), box)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("options", ["size=64k", "size=1m,nr_inodes=3"])
def test_a_full_outbox_keeps_no_leftovers_and_takes_the_transcript_given_room(tmp_path, options):
    folder = tmp_path / "out"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        box = Outbox(folder)
        (folder / "filler").write_bytes(b"\0" * 60_000)
        with pytest.raises(Unavailable):
            deliver(transcript(text="words " * 20_000), box)
        assert not list(folder.glob(f"{TEMPORARY}*"))
        (folder / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m,nr_inodes=100", folder], check=True)
        deliver(transcript(), box)
        assert len(names(box)) == 4
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


WRITE = """
import os, sys
from transcribed.output.outbox import write_atomically
from transcribed.system.safe_open import Permissions
write_atomically(os.open(sys.argv[1], os.O_RDONLY), {"a.txt": b"words"}, Permissions(0o644))
"""


def write_under_strace(folder, inject):
    """Write one file in a process whose system calls go wrong as `inject` says; its exit status."""
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={inject}", sys.executable, "-c", WRITE, str(folder)]
    return subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}).returncode


RENAME = "rename,renameat,renameat2"


@pytest.mark.parametrize("call", ["fsync:error=EIO", "fsync:error=ENOSPC", f"{RENAME}:error=EXDEV", "fchmod:error=EIO"])
@pytest.mark.parametrize("when", [1, 2])
def test_a_system_call_that_fails_leaves_no_half_file_and_no_temporary(tmp_path, call, when):
    status = write_under_strace(tmp_path, f"{call}:when={when}")
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left in ({}, {"a.txt": b"words"})
    assert status == 0 or call.startswith(("fsync", "fchmod")) or left == {}
    assert (status != 0) == (when == 1 or call.startswith("fsync"))


@pytest.mark.parametrize("call", ["fsync:signal=SIGKILL", f"{RENAME}:signal=SIGKILL", "write:signal=SIGKILL"])
@pytest.mark.parametrize("when", [1, 2])
def test_a_kill_at_any_system_call_leaves_the_file_whole_or_absent(tmp_path, call, when):
    write_under_strace(tmp_path, f"{call}:when={when}")
    assert not (tmp_path / "a.txt").exists() or (tmp_path / "a.txt").read_bytes() == b"words"
    sweep(tmp_path, StaleTempFiles(UNOWNED), now=0.0)
    assert {path.name for path in tmp_path.iterdir()} <= {"a.txt"}


@pytest.fixture
def open_folder(box):
    fd = os.open(box.folder, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_a_rename_that_a_share_did_and_denied_counts(box, open_folder):
    def rename_first():
        (draft,) = box.folder.glob(f"{TEMPORARY}*")
        draft.rename(box.folder / "a.txt")

    write_atomically(open_folder, {"a.txt": b"words"}, Permissions(0o644), insist=rename_first)
    assert (box.folder / "a.txt").read_bytes() == b"words"


@pytest.mark.parametrize("before", [None, b"older words"])
def test_a_draft_that_has_vanished_is_no_delivery(box, open_folder, before):
    def lose():
        (draft,) = box.folder.glob(f"{TEMPORARY}*")
        draft.unlink()

    if before is not None:
        (box.folder / "a.txt").write_bytes(before)
    with pytest.raises(FileNotFoundError):
        write_atomically(open_folder, {"a.txt": b"words"}, Permissions(0o644), insist=lose)


@pytest.mark.parametrize("error", ["EACCES", "EBUSY"])
def test_a_reader_that_holds_the_target_for_a_while_loses_nobodys_text(tmp_path, error):
    assert write_under_strace(tmp_path, f"{RENAME}:error={error}:when=1..5") == 0
    assert (tmp_path / "a.txt").read_bytes() == b"words"


# --- what becomes of the source ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "way"),
    [
        (SourceAction(), "../../in/sub/a%20b%23.wav"),
        (SourceAction("move", "done"), "../../done/sub/a%20b%23.wav"),
        (SourceAction("delete"), None),
    ],
)
def test_a_page_finds_its_recording_where_that_will_be(box, tmp_path, ending, way):
    path = tmp_path / "in" / "sub" / "a b#.wav"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"sound")
    recording = source_of(tmp_path / "in", path, path.stat())
    if ending.move_to:
        ending = replace(ending, move_to=tmp_path / ending.move_to)
    assert recording_url(recording, ending, box.folder / "sub") == way


def test_a_page_finds_its_recording_beside_another_of_its_name(box, tmp_path):
    path, done = tmp_path / "in" / "a.wav", tmp_path / "done"
    for folder in (path.parent, done):
        folder.mkdir(exist_ok=True)
    path.write_bytes(b"sound")
    (done / "a.wav").write_bytes(b"of last week")
    recording, moves = source_of(path.parent, path, path.stat()), SourceAction("move", done)
    assert recording_url(recording, moves, box.folder) == "../done/a~1.wav"
    apply_action(recording, moves)
    assert (done / "a~1.wav").read_bytes() == b"sound"


def test_a_version_that_comes_during_delivery_keeps_old_words_from_its_name(box, recording):
    """A disk may hang for hours in between, and the newer words be there already."""
    looks = []

    def replaced(folder):
        looks.append(folder)
        recording.path.write_bytes(b"another sound")

    made = assemble(replace(job(), source=recording), preparation(1, 2.0), {0: Hypothesis("old", language="en")})
    with pytest.raises(Withdrawn):
        deliver(made, replace(box, check=replaced))
    assert len(looks) == 1
    assert names(box) == set()


def test_a_superseded_version_is_not_delivered(box, recording):
    stale = Source(recording.inbox, recording.path, 1, 1, 1)
    assert has_newer_version(stale)
    assert not has_newer_version(recording)
    recording.path.unlink()
    assert not has_newer_version(recording)
    recording.path.write_bytes(b"other")
    with pytest.raises(Withdrawn):
        deliver(Failure(job(source=stale), "It is damaged.", ""), box)
    assert names(box) == set()
