"""What a look at a file tells: changes that size and time do not show, and whether it is still being filled."""

import pytest

from transcribed.ingest.scanner import BLANK_BYTES, SAMPLE_BYTES, observe


@pytest.mark.parametrize(
    ("zeros", "blank"), [(0, False), (SAMPLE_BYTES, False), (BLANK_BYTES - 1, False), (BLANK_BYTES, True)]
)
def test_only_a_long_end_of_zeros_looks_preallocated(tmp_path, zeros, blank):
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound" + bytes(zeros))
    assert observe(tmp_path, path).blank_tail is blank


@pytest.mark.parametrize("place", [0, 500_000, -1])
def test_a_change_at_the_head_middle_or_end_changes_the_sample(tmp_path, place):
    path = tmp_path / "a.wav"
    data = bytearray(b"\1" * 1_000_000)
    path.write_bytes(data)
    before = observe(tmp_path, path).sample
    data[place] = 2
    path.write_bytes(data)
    assert observe(tmp_path, path).sample != before
