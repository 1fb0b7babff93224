"""sd_notify on a real Unix datagram socket."""

import socket

import pytest

from transcribed.system.sd_notify import notify, watchdog_seconds


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    address = str(tmp_path / "notify") if request.param == "path" else f"@transcribed-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address[0] == "@" else address)
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield listener


def test_every_field_arrives_in_any_script(manager):
    assert notify(READY=1, STATUS="3 running: 会议录音.wav")
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=3 running: 会议录音.wav"


def test_a_file_name_cannot_forge_a_field_nor_lose_the_message(manager):
    assert notify(STATUS="a\nSTOPPING=1\udcc4.wav")
    assert manager.recv(4096) == rb"STATUS=a STOPPING=1\udcc4.wav"


def test_where_nobody_listens_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify(READY=1)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/socket")
    assert not notify(READY=1)


def test_the_watchdog_is_for_the_process_it_names(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    assert watchdog_seconds() == 60.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None
    monkeypatch.delenv("WATCHDOG_USEC")
    assert watchdog_seconds() is None
