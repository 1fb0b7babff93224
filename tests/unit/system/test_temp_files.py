"""Which temporary files nobody will finish: by owner, and by how long they stayed the same on our clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribed.system.temp_files import (
    TEMPORARY,
    UNCHANGED_SECONDS,
    StaleTempFiles,
    TempFileOwner,
    sweep,
    sweep_in_slices,
)

OURS = TempFileOwner("0000000a")
PREDECESSOR = TempFileOwner("0000000a")
OTHER = TempFileOwner("0000000b")


def test_our_own_always_stay_and_those_of_our_predecessor_go_at_once():
    leftovers, ours, dead = StaleTempFiles(OURS), OURS.name(), PREDECESSOR.name()
    for now in (0.0, 1e9):
        assert leftovers.select({f"/out/sub/{ours}": (1, 1), f"/out/{dead}": (1, 1)}, now) == [f"/out/{dead}"]


def test_those_of_another_daemon_go_after_an_hour_without_a_change():
    leftovers, path = StaleTempFiles(OURS), f"/out/{OTHER.name()}"
    assert leftovers.select({path: (1, 1)}, 0.0) == []
    assert leftovers.select({path: (2, 2)}, UNCHANGED_SECONDS) == []
    assert leftovers.select({path: (2, 2)}, 2 * UNCHANGED_SECONDS - 1) == []
    assert leftovers.select({path: (2, 2)}, 2 * UNCHANGED_SECONDS) == [path]


def test_one_that_was_away_meanwhile_is_new():
    leftovers, path = StaleTempFiles(OURS), f"/out/{OTHER.name()}"
    leftovers.select({path: (1, 1)}, 0.0)
    leftovers.select({}, 10.0)
    assert leftovers.select({path: (1, 1)}, UNCHANGED_SECONDS) == []


def test_those_of_an_older_version_have_no_owner_and_their_hour():
    leftovers, path = StaleTempFiles(OURS), f"/out/{TEMPORARY}1234abcd-0123456789ab"
    assert leftovers.select({path: (1, 1)}, 0.0) == []
    assert leftovers.select({path: (1, 1)}, UNCHANGED_SECONDS) == [path]


@given(st.lists(st.tuples(st.floats(0, 4000), st.integers(0, 3))))
def test_what_changes_within_the_hour_stays(looks):
    leftovers, path, now, since, last = StaleTempFiles(OURS), f"/out/{OTHER.name()}", 0.0, 0.0, None
    for pause, size in looks:
        now += pause
        since, last = (since, last) if size == last else (now, size)
        assert leftovers.select({path: (size, 0)}, now) == ([path] if now - since >= UNCHANGED_SECONDS else [])


def test_a_sweep_removes_them_below_the_folder_and_follows_no_link(tmp_path):
    """It spares what is not ours."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out / "sub", elsewhere):
        folder.mkdir(parents=True)
        (folder / PREDECESSOR.name()).write_text("half")
    (out / "link").symlink_to(elsewhere)
    for name in (OURS.name(), ".hidden", "a.wav.txt", OTHER.name()):
        (out / name).write_text("kept")
    assert sweep(out, StaleTempFiles(OURS), 0.0) == 1
    assert len(list(out.iterdir())) == 6
    assert len(list(elsewhere.iterdir())) == 1


def test_one_that_changes_between_the_look_and_the_removal_stays(tmp_path):
    for n in range(1500):
        (tmp_path / str(n)).touch()
    path = tmp_path / OTHER.name()
    path.write_text("half")
    leftovers = StaleTempFiles(OURS)
    sweep(tmp_path, leftovers, 0.0)
    walk = sweep_in_slices(tmp_path, leftovers, UNCHANGED_SECONDS)
    assert next(walk) == 0
    path.write_text("whole now")
    assert sum(walk) == 0
    assert path.exists()


def test_a_missing_folder_is_an_error_but_not_a_vanished_one_below(tmp_path):
    with pytest.raises(FileNotFoundError):
        sweep(tmp_path / "away", StaleTempFiles(OURS), 0.0)
    (tmp_path / "sub").mkdir()
    (tmp_path / PREDECESSOR.name()).touch()
    walk = sweep_in_slices(tmp_path, StaleTempFiles(OURS), 0.0)
    (tmp_path / "sub").rmdir()
    assert sum(walk) == 1
