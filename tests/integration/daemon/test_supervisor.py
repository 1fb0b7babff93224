"""A real daemon process told to take new settings, to stop, and watched by a service manager."""

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from tests.support.site import kill_tree, stop, wait_for


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """What the daemon tells a service manager: messages, each a dictionary."""
    address = tmp_path / "notify"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(address))
    listener.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(address))
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    yield Manager(listener)
    listener.close()


class Manager:
    def __init__(self, listener):
        self.listener = listener
        self.messages = []

    def told(self, key):
        """The values of a key, in order."""
        try:
            while True:
                text = self.listener.recv(65536).decode()
                self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))
        except BlockingIOError:
            pass
        return [message[key] for message in self.messages if key in message]


def reload(process):
    process.send_signal(signal.SIGHUP)


def starts(site):
    log = (site.root / "daemon.log").read_text()
    return log.count("ready inboxes")


def status(site):
    return json.loads((site.state / "status.json").read_text())


def summary(site):
    return status(site)["summary"] if site.state_written() else ""


def test_the_same_process_takes_new_settings_but_no_faulty_ones(site, spoken, manager):
    """From a disk that counts as full to one that does not, and from events to a walk."""
    site.extra = "[prepare]\nmin_free = 0.9999999\n"
    site.configure()
    (site.inbox / "a.wav").write_bytes(spoken(12).read_bytes())
    process = site.start()
    try:
        wait_for(lambda: manager.told("READY") and "Paused: only" in summary(site), 60)
        wait_for(lambda: "0 running, 1 queued" in summary(site), 60)
        assert status(site)["inboxes"][0]["watch"] == "events"

        site.extra = ""
        site.configure(watch="poll")
        reload(process)
        wait_for(lambda: len(manager.told("READY")) == 2, 60)
        (since,) = manager.told("MONOTONIC_USEC")
        assert abs(time.monotonic() - int(since) / 1e6) < 60
        wait_for(lambda: "Paused: only" not in summary(site), 30)
        assert status(site)["inboxes"][0]["watch"] == "poll"

        site.configure(format=["txt"])
        reload(process)
        wait_for(lambda: "not used: transcribed.toml: inbox[0].format: unknown key" in summary(site), 30)
        assert len(manager.told("READY")) == 3

        site.configure(watch="poll")  # as it is in use: nothing is begun again
        reload(process)
        wait_for(lambda: len(manager.told("READY")) == 4 and "not used" not in summary(site), 30)
        assert starts(site) == 2
        assert manager.told("WATCHDOG")
        assert "STOPPING" not in str(manager.messages)
        assert stop(process) == 0
        assert manager.told("STOPPING") == ["1"]
    finally:
        kill_tree(process)
    with contextlib.closing(sqlite3.connect(site.state / "ledger.db")) as db:  # else twenty restarts would fail a file
        waiting = db.execute("select state, starts from job where state != 'done'").fetchall()
    assert all(row == ("queued", 0) for row in waiting)


def test_settings_that_the_next_daemon_cannot_work_with_leave_the_old_one(site, spoken):
    """They pass every check of files, and fail when the state directory is opened."""
    other = site.root / "other"
    site.configure()
    process, rival = site.start(), None
    try:
        wait_for(lambda: starts(site) == 1, 60)
        original = site.config.read_text()
        site.config.write_text(original.replace(str(site.state), str(other)))
        rival = subprocess.Popen(site.command("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for((other / "status.json").exists, 60)
        reload(process)
        wait_for(lambda: starts(site) == 2 and "is already using" in summary(site), 60)
        assert json.loads((site.state / "status.json").read_text())["pid"] == process.pid
    finally:
        kill_tree(process)
        if rival:
            rival.kill()
            rival.wait()
