"""Requests by files: taken once, and never for ever."""

import os

import pytest

from tests.support.fakes import daemon_status
from transcribed.state import control_files
from transcribed.state.control_files import Request

STRANGE = (
    b"",
    b"{",
    b"[]",
    b"[" * 60_000,
    b'"' + b"a" * 2**20,
    b"/srv/in/a.wav",  # as older versions left it
    b'{"kind": "shutdown", "path": null}',
    b'{"kind": "retry", "path": 7}',
    b'{"kind": "retry", "path": "/in/\\ud800.wav"}',  # half a surrogate: no file's name
)


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
    os.mkfifo(tmp_path / "requests" / "pipe")  # would block whoever opens it
    (tmp_path / "requests" / "link").symlink_to("/dev/zero")
    for number, text in enumerate(STRANGE):
        (tmp_path / "requests" / f"strange{number}").write_bytes(text)
    taken = list(control_files.take_requests(tmp_path))
    assert [request for request in taken if request] == [Request("retry", tmp_path / "a.wav")]
    assert taken.count(None) == len(STRANGE) + 2
    assert {left.name for left in (tmp_path / "requests").iterdir()} == {".half", "folder"}


def test_a_flood_of_requests_is_taken_in_parts(tmp_path):
    for number in range(250):
        control_files.leave_request(tmp_path, "retry", tmp_path / f"{number}.wav")
    assert [len(list(control_files.take_requests(tmp_path))) for _ in range(4)] == [100, 100, 50, 0]


def test_a_request_of_root_can_be_read_by_the_daemon_whatever_its_umask(tmp_path):
    usual = os.umask(0o077)
    try:
        request = control_files.leave_request(tmp_path, "test-alert")
    finally:
        os.umask(usual)
    assert request.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"pid": 1}'])
def test_a_status_that_is_not_there_or_damaged_is_none(tmp_path, text):
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert control_files.read_status(tmp_path) is None


def test_a_daemon_that_is_gone_is_not_alive(tmp_path):
    control_files.write_status(tmp_path, daemon_status(pid=2**22 + 1).document())
    assert control_files.read_status(tmp_path)["alive"] is False
