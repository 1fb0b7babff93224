"""Audio in the spool: every channel of a job goes, whichever of them can be removed."""

from transcribed.state import spool


def test_the_later_channels_go_even_where_the_first_cannot(tmp_path):
    (tmp_path / "7.pcm").mkdir()  # stands for a file that cannot be removed
    for name in ("7-1.pcm", "7-2.pcm", "77.pcm", "8.pcm"):
        (tmp_path / name).touch()
    spool.discard(tmp_path, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"7.pcm", "77.pcm", "8.pcm"}
