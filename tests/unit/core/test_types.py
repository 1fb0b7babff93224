"""What the rest trusts the value types to know: which file is still the same version, and what a batch holds."""

import pytest

from tests.support.fakes import OPTIONS, preparation
from transcribed.core.types import Batch, Source
from transcribed.ingest.scanner import source_of


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_halves_of_a_batch_hold_each_of_its_segments_once(count):
    segments = preparation(1, *[1.0] * count).segments
    first, second = Batch(OPTIONS, segments).halves()
    assert first.segments + second.segments == segments
    assert first.segments
    assert second.segments


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    return path


def test_a_file_with_another_size_time_or_inode_is_another_version(recording):
    status = recording.stat()
    known = source_of(recording.parent, recording, status)
    assert known.is_version(status)
    for size, time, inode in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        other = Source(known.inbox, known.path, known.size + size, known.mtime_ns + time, known.inode + inode)
        assert not other.is_version(status)


def test_the_inode_of_a_file_on_a_share_tells_nothing(recording):
    status = recording.stat()
    assert Source(recording.parent, recording, status.st_size, status.st_mtime_ns, 0).is_version(status)
