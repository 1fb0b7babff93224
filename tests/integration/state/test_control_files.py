"""Requests by files: taken once, and never for ever."""

import os

import pytest

from transcribed.state import control_files


def test_a_request_is_taken_once(tmp_path):
    left = control_files.request_retry(tmp_path, tmp_path / "a.wav")
    assert left.exists()
    assert list(control_files.take_requests(tmp_path)) == [(tmp_path / "a.wav", False)]
    assert not left.exists()
    assert list(control_files.take_requests(tmp_path)) == []


def test_a_name_that_is_no_text_survives(tmp_path):
    path = tmp_path / os.fsdecode(b"\xc4\xe3.wav")
    control_files.request_retry(tmp_path, path)
    assert list(control_files.take_requests(tmp_path)) == [(path, False)]


def test_half_written_requests_are_left_alone_and_strange_ones_block_nobody(tmp_path):
    control_files.request_retry(tmp_path, tmp_path / "a.wav")
    (tmp_path / "requests" / ".half").write_bytes(b"/in")
    (tmp_path / "requests" / "folder").mkdir()
    assert list(control_files.take_requests(tmp_path)) == [(tmp_path / "a.wav", False)]
    assert (tmp_path / "requests" / ".half").exists()


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_status_that_is_not_there_or_damaged_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert control_files.read_status(tmp_path) is None


def test_a_daemon_that_is_gone_is_not_alive(tmp_path):
    control_files.write_status(tmp_path, {"pid": 2**22 + 1})
    assert control_files.read_status(tmp_path)["alive"] is False
