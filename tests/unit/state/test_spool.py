"""Audio in the spool: no channel is taken for another, and every one goes, whichever of them can be removed."""

import os

import numpy as np
import pytest

from tests.support.rights import modes_count
from transcribed.core.errors import Unavailable
from transcribed.state import spool


@pytest.mark.skipif(os.getuid() != 0, reason="a file of another user needs root")
@pytest.mark.parametrize("stays", ["7.pcm", "7-1.pcm", "7-2.pcm"])
def test_the_channels_go_even_where_one_of_them_cannot(tmp_path, stays):
    for name in ("7.pcm", "7-1.pcm", "7-2.pcm", "77.pcm", "8.pcm"):
        (tmp_path / name).touch()
    for path in (tmp_path, tmp_path / stays):
        os.chown(path, 54321, -1)
    tmp_path.chmod(0o1777)  # sticky: nobody removes the files of others
    with modes_count():
        spool.discard(tmp_path, 7)
    assert {path.name for path in tmp_path.iterdir()} == {stays, "77.pcm", "8.pcm"}


@pytest.mark.parametrize(
    ("blocks", "channels"),
    [
        ([[[1, 2], [1, 2]], [[3, 4], [3, 4]]], [[1, 2, 3, 4]]),
        ([[[1, 2], [1, 9]], [[3, 4], [3, 4]]], [[1, 2, 3, 4], [1, 9, 3, 4]]),
        ([[[1, 2], [1, 2]], [[3, 4], [3, 9]]], [[1, 2, 3, 4], [1, 2, 3, 9]]),
        ([[[1], [1], [2]]], [[1], [1], [2]]),
    ],
    ids=["alike", "first block differs", "last block differs", "third differs"],
)
def test_channels_are_one_only_if_every_sample_is_alike(tmp_path, blocks, channels):
    with spool.Writer(tmp_path, 7) as writer:
        for rows in blocks:
            writer.write(np.array(rows, np.int16))
        audios = writer.audios()
    assert [np.fromfile(audio.path, np.int16).tolist() for audio in audios] == channels
    assert {audio.path for audio in audios} == set(tmp_path.iterdir())


def test_writing_ends_before_the_disk_has_less_free_space_than_wanted(tmp_path):
    rows = np.zeros((1, spool.CHECKED_BYTES // 4), np.int16)  # half of what is written between two looks
    with spool.Writer(tmp_path, 7, min_free=2.0**60) as writer:
        writer.write(rows)
        with pytest.raises(Unavailable, match="Paused: only"):
            writer.write(rows)
