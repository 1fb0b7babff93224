"""Audio in the spool: no channel is taken for another, and every one goes, whichever of them can be removed."""

import numpy as np
import pytest

from transcribed.state import spool


def test_the_later_channels_go_even_where_the_first_cannot(tmp_path):
    (tmp_path / "7.pcm").mkdir()  # stands for a file that cannot be removed
    for name in ("7-1.pcm", "7-2.pcm", "77.pcm", "8.pcm"):
        (tmp_path / name).touch()
    spool.discard(tmp_path, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"7.pcm", "77.pcm", "8.pcm"}


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
