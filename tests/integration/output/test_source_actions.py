"""What becomes of a source on a real file system: step by step, whoever writes it, wherever a step is cut short."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.support.patience import patient
from transcribed.core.errors import Unavailable
from transcribed.ingest.scanner import source_of
from transcribed.output.source_actions import KEEP, SECOND_LOOK_SECONDS, SourceAction, apply_action

DELETE = SourceAction("delete")


def later():
    return time.time() + SECOND_LOOK_SECONDS + 1


@pytest.fixture
def sidecar(recording):
    path = recording.path.with_name("a.wav.transcribe.toml")
    path.write_text('title = "x"')
    return path


@pytest.fixture
def moving(tmp_path):
    (tmp_path / "done").mkdir()
    return SourceAction("move", tmp_path / "done")


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_asked_beside_a_recording_goes_where_it_goes(recording, tmp_path):
    beside = recording.path.with_name("a.wav.transcribe.toml")
    beside.write_text('title = "x"')
    (tmp_path / "done").mkdir()
    apply_action(recording, SourceAction("move", tmp_path / "done"))
    assert {p.name for p in (tmp_path / "done" / "sub").iterdir()} == {"a.wav", "a.wav.transcribe.toml"}
    assert not beside.exists()


def test_by_default_the_source_stays_where_it_is(recording):
    assert apply_action(recording, KEEP)
    assert recording.path.read_bytes() == b"sound"


def test_a_source_is_deleted_only_in_the_version_that_was_transcribed(recording):
    recording.path.write_bytes(b"newer sound")
    apply_action(recording, SourceAction("delete"))
    assert recording.path.read_bytes() == b"newer sound"
    newer = source_of(recording.inbox, recording.path, recording.path.stat())
    assert not apply_action(newer, SourceAction("delete"))
    assert not recording.path.exists()
    assert apply_action(newer, SourceAction("delete"), later)
    assert list(recording.path.parent.iterdir()) == []


def test_a_source_is_moved_to_the_same_sub_folder_without_overwriting(recording, tmp_path):
    done = tmp_path / "done"
    (done / "sub").mkdir(parents=True)
    (done / "sub" / "a.wav").write_bytes(b"an older one")
    apply_action(recording, SourceAction("move", done))
    assert (done / "sub" / "a.wav").read_bytes() == b"an older one"
    assert (done / "sub" / "a~1.wav").read_bytes() == b"sound"
    assert not recording.path.exists()


def test_a_source_that_its_owner_took_away_is_no_error(recording):
    recording.path.unlink()
    apply_action(recording, SourceAction("delete"))


def test_a_source_swapped_for_a_link_is_left_alone(recording, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"sound")
    recording.path.unlink()
    recording.path.symlink_to(victim)
    apply_action(recording, SourceAction("delete"))
    assert recording.path.is_symlink()
    assert victim.exists()


# --- somebody may still write it ---------------------------------------------------------------------


def test_a_file_to_be_deleted_is_hidden_until_its_second_look(recording, sidecar):
    assert not apply_action(recording, DELETE)
    assert not recording.path.exists()
    assert not apply_action(recording, DELETE)
    assert sorted(content(recording.inbox).values()) == [b"sound", b'title = "x"']
    assert all(name.startswith("sub/.") for name in content(recording.inbox))
    assert apply_action(recording, DELETE, later)
    assert content(recording.inbox) == {}


def test_a_file_written_on_after_it_was_hidden_gets_its_name_back(recording, sidecar):
    """On a share nobody tells who has it open: only what it holds then."""
    assert not apply_action(recording, DELETE)
    (hidden,) = (path for path in recording.path.parent.iterdir() if path.suffix != ".toml")
    hidden.write_bytes(b"sound, and the rest of it")
    assert apply_action(recording, DELETE, later)
    assert content(recording.inbox) == {
        "sub/a.wav": b"sound, and the rest of it",
        "sub/a.wav.transcribe.toml": b'title = "x"',
    }


def test_a_hidden_file_takes_no_name_from_a_new_one(recording):
    assert not apply_action(recording, DELETE)
    (hidden,) = recording.path.parent.iterdir()
    hidden.write_bytes(b"the rest")
    recording.path.write_bytes(b"another")
    assert apply_action(recording, DELETE, later)
    assert content(recording.inbox) == {"sub/a.wav": b"another", "sub/a~1.wav": b"the rest"}


def test_a_new_version_under_the_name_waits_for_its_own_second_look(recording):
    assert not apply_action(recording, DELETE)
    recording.path.write_bytes(b"a newer one")
    newer = source_of(recording.inbox, recording.path, recording.path.stat())
    assert not apply_action(newer, DELETE)
    assert apply_action(recording, DELETE, later)
    assert list(content(recording.inbox).values()) == [b"a newer one"]
    assert apply_action(newer, DELETE, later)
    assert content(recording.inbox) == {}


@pytest.mark.parametrize("action", ["move", "delete"])
def test_a_file_that_is_open_for_writing_is_not_touched(recording, moving, action):
    chosen = moving if action == "move" else DELETE
    with recording.path.open("ab"):
        assert not apply_action(recording, chosen, later)
        assert content(recording.inbox) == {"sub/a.wav": b"sound"}
    apply_action(recording, chosen, later)
    assert not recording.path.exists()


def test_a_hidden_file_that_is_open_for_writing_is_not_deleted(recording):
    assert not apply_action(recording, DELETE)
    (hidden,) = recording.path.parent.iterdir()
    with hidden.open("ab"):
        assert not apply_action(recording, DELETE, later)
        assert hidden.exists()


# --- steps that are cut short, or refused ------------------------------------------------------------

ACT = """
import sys
from pathlib import Path
from transcribed.ingest.scanner import source_of
from transcribed.output.source_actions import SourceAction, apply_action
inbox, move_to, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
path = inbox / "sub" / "a.wav"
source = source_of(inbox, path, (path if path.exists() else next(inbox.glob("sub/.deleted*[!l]"))).stat())
action = SourceAction("move", Path(move_to)) if move_to else SourceAction("delete")
sys.exit(0 if apply_action(source, action, lambda: seconds) else 75)
"""
CALLS = "linkat,unlinkat,renameat2,renameat,fsync"


def act(recording, action, *injected, clock=time.time):
    """Run the action in a process whose system calls are tampered with, and return its exit code."""
    command = ["strace", "-qq", "-o", "/dev/null", *(part for rule in injected for part in ("-e", f"inject={rule}"))]
    arguments = (str(recording.inbox), str(action.move_to or ""), str(clock()))
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, "-c", ACT, *arguments], env=environment, capture_output=True, timeout=patient(60)
    )
    return done.returncode


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_kill_at_any_call_of_a_move_doubles_and_loses_nothing(recording, sidecar, moving, tmp_path, links):
    """Each round kills one call later, until there is none left to kill."""
    without = () if links else ("linkat:error=EPERM",)
    calls = CALLS if links else CALLS.removeprefix("linkat,")
    for when in range(1, 20):
        code = act(recording, moving, *without, f"{calls}:signal=SIGKILL:when={when}")
        assert apply_action(recording, moving)
        assert content(recording.inbox) == {}
        assert content(tmp_path / "done") == {"sub/a.wav": b"sound", "sub/a.wav.transcribe.toml": b'title = "x"'}
        if code == 0:
            assert when > 3
            return
        for name in ("a.wav", "a.wav.transcribe.toml"):
            os.rename(tmp_path / "done" / "sub" / name, recording.path.with_name(name))
    raise AssertionError("it was killed each time")


def test_a_kill_at_any_call_of_a_delete_leaves_nothing_behind(recording, sidecar):
    for when in range(1, 20):
        act(recording, DELETE, f"{CALLS}:signal=SIGKILL:when={when}")
        code = act(recording, DELETE, f"{CALLS}:signal=SIGKILL:when={when}", clock=later)
        while not apply_action(recording, DELETE, later):
            pass
        assert content(recording.inbox) == {}
        if code == 0:
            assert when > 2
            return
        recording.path.write_bytes(b"sound")
        os.utime(recording.path, ns=(recording.mtime_ns, recording.mtime_ns))
        sidecar.write_text('title = "x"')
        recording = replace(recording, inode=recording.path.stat().st_ino)
    raise AssertionError("it was killed each time")


def test_a_source_that_may_not_be_unlinked_is_not_doubled(recording, moving, tmp_path):
    """As in a sticky folder: the file is another user's."""
    assert act(recording, moving, "unlinkat:error=EPERM:when=1") == 1
    assert content(tmp_path / "done") == {}
    assert content(recording.inbox) == {"sub/a.wav": b"sound"}
    assert apply_action(recording, moving)
    assert content(tmp_path / "done") == {"sub/a.wav": b"sound"}


@pytest.mark.parametrize("rename", ["renameat2:error=EINVAL", "renameat2:error=ENOSYS:when=1"])
def test_a_share_with_neither_links_nor_exclusive_renames_is_served(recording, moving, tmp_path, rename):
    (tmp_path / "done" / "sub").mkdir()
    (tmp_path / "done" / "sub" / "a.wav").write_bytes(b"an older one")
    assert act(recording, moving, "linkat:error=EPERM", rename) == 0
    assert content(tmp_path / "done") == {"sub/a.wav": b"an older one", "sub/a~1.wav": b"sound"}


def test_a_rename_that_is_refused_leaves_no_empty_file(recording, moving, tmp_path):
    refused = ("linkat:error=EPERM", "renameat2:error=EINVAL", "rename,renameat:error=EBUSY")
    for _ in range(3):
        assert act(recording, moving, *refused) == 1
    assert content(tmp_path / "done") == {}
    assert content(recording.inbox) == {"sub/a.wav": b"sound"}


def test_a_refused_action_is_said_and_tried_again(recording, tmp_path):
    with pytest.raises(Unavailable, match="does not exist"):
        apply_action(recording, SourceAction("move", tmp_path / "away"))
