"""Requests that commands left: carried out once, by whom they concern."""

from pathlib import Path

import pytest

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.events import RetryRequested, Wake
from transcribed.core.mailbox import Mailbox
from transcribed.daemon.requests import Requests
from transcribed.state.control_files import leave_request

INBOX = Path("/srv/in")


class World:
    def __init__(self, state_dir):
        self.mailbox, self.tests_sent = Mailbox(), []
        settings = Settings(state_dir=state_dir, inbox=(Inbox(path=INBOX, outbox="/srv/out"),))
        self.requests = Requests(state_dir, settings.inbox_of, self.mailbox, lambda: self.tests_sent.append(1))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize(("kind", "done"), [("retry", False), ("reprocess", True)])
def test_a_file_in_an_inbox_is_tried_again_once(world, tmp_path, kind, done):
    leave_request(tmp_path, kind, INBOX / "sub" / "a.wav")
    assert world.requests.poll()
    assert world.mailbox.collect(0) == [RetryRequested(INBOX / "sub" / "a.wav", done)]
    assert not world.requests.poll()


def test_a_file_in_no_inbox_is_nobodys_request(world, tmp_path):
    leave_request(tmp_path, "retry", Path("/etc/passwd"))
    assert not world.requests.poll()
    assert world.mailbox.collect(0) == [Wake()]


def test_a_test_alert_is_sent_once(world, tmp_path):
    leave_request(tmp_path, "test-alert")
    assert world.requests.poll()
    assert not world.requests.poll()
    assert world.tests_sent == [1]


def test_a_request_that_is_not_valid_is_logged_and_gone(world, tmp_path, capsys):
    leave_request(tmp_path, "retry").write_text("/srv/in/a.wav")
    assert not world.requests.poll()
    assert "request ignored" in capsys.readouterr().out
    assert not any((tmp_path / "requests").iterdir())
