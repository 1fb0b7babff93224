"""Requests by files: taken once, and never for ever."""

import os

import pytest

from transcribed.state import control_files
from transcribed.state.control_files import Request


def test_a_request_is_taken_once(tmp_path):
    left = control_files.leave_request(tmp_path, "retry", tmp_path / "a.wav")
    assert left.exists()
    assert list(control_files.take_requests(tmp_path)) == [Request("retry", tmp_path / "a.wav")]
    assert not left.exists()
    assert list(control_files.take_requests(tmp_path)) == []


def test_a_name_that_is_no_text_survives(tmp_path):
    path = tmp_path / os.fsdecode(b"\xc4\xe3.wav")
    control_files.leave_request(tmp_path, "retry", path)
    assert list(control_files.take_requests(tmp_path)) == [Request("retry", path)]


def test_half_written_requests_are_left_alone_and_strange_ones_block_nobody(tmp_path):
    control_files.leave_request(tmp_path, "retry", tmp_path / "a.wav")
    (tmp_path / "requests" / ".half").write_bytes(b"/in")
    (tmp_path / "requests" / "folder").mkdir()
    for number, text in enumerate(
        (b"", b"{", b"[]", b'{"kind": "shutdown", "path": null}', b'{"kind": "retry", "path": 7}')
    ):
        (tmp_path / "requests" / f"strange{number}").write_bytes(text)
    assert list(control_files.take_requests(tmp_path)) == [Request("retry", tmp_path / "a.wav")]
    assert {left.name for left in (tmp_path / "requests").iterdir()} == {".half", "folder"}


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_status_that_is_not_there_or_damaged_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert control_files.read_status(tmp_path) is None


def test_a_daemon_that_is_gone_is_not_alive(tmp_path):
    control_files.write_status(tmp_path, {"pid": 2**22 + 1})
    assert control_files.read_status(tmp_path)["alive"] is False
