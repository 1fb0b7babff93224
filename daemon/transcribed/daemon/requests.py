"""Carry out the requests that commands leave in the state directory, polled by the run loop.

Knows requests and their receivers; nothing of their file format (control_files.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import structlog

from transcribed.config.inbox import Inbox
from transcribed.core.events import RetryRequested
from transcribed.core.mailbox import Mailbox
from transcribed.state import control_files

log = structlog.get_logger("transcribed")


class Requests:
    def __init__(
        self,
        state_dir: Path,
        inbox_of: Callable[[Path], Inbox | None],
        mailbox: Mailbox,
        send_test_alert: Callable[[], None],
    ) -> None:
        self._state_dir = state_dir
        self._inbox_of = inbox_of
        self._mailbox = mailbox
        self._send_test_alert = send_test_alert

    def poll(self) -> bool:
        """Carry out the requests made since the last call; return True if there were any."""
        any_taken = False
        with contextlib.suppress(OSError):
            for request in control_files.take_requests(self._state_dir):
                any_taken |= self._carry_out(request)
        return any_taken

    def _carry_out(self, request: control_files.Request | None) -> bool:
        if request is None:
            log.warning("request ignored", reason="it is not valid", hint="Give the command again.")
            return False
        if request.kind == "test-alert":
            self._send_test_alert()
        elif request.path and self._inbox_of(request.path):
            self._mailbox.put(RetryRequested(request.path, done=request.kind == "reprocess"))
        else:
            return False
        return True
