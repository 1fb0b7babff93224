"""Send notifications to the channels: one thread, a bounded queue, and a process per message, killed when it is late.

A failed channel is logged, counted, and retried with the next message.  Knows channels by their number and scheme;
their URLs are secrets, and leave this module only through the standard input of that process.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import structlog

from transcribed.core.errors import Unavailable
from transcribed.operations.alerts.rules import Notification
from transcribed.state import control_files
from transcribed.system import documents
from transcribed.system.documents import Count

if TYPE_CHECKING:
    from transcribed.config.operations import AlertSettings

SEND_SECONDS = 60.0  # for all channels together, which are tried in parallel
MAX_NOTIFICATIONS = 200  # pending; the oldest are dropped, and remain in alert.log
WAIT_SECONDS = 1.0  # between looks at notifications that no channel took
KEPT_SECONDS = 120.0  # before another try, if every channel failed
STOP_SECONDS = 3.0  # for pending notifications
_TYPES = {"error": "failure", "warning": "warning", "recovery": "success"}

log = structlog.get_logger("transcribed.alerts")


@dataclass(frozen=True, slots=True)
class NotificationChannel:
    label: str  # "1 (mailto)"
    url: str = field(repr=False)
    fault: str | None = None  # why there is no URL


@dataclass(frozen=True, slots=True)
class Result:
    channel: str
    reason: str | None = None  # why the message was rejected; None if it was accepted


class Answer(TypedDict):
    """What the sending process says of one channel."""

    number: Count
    reason: str | None


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    body: str
    type: str = "info"  # as Apprise names them: info, success, warning, failure


TEST = Message(
    f"transcribed on {socket.gethostname()}: test",
    "This is a test.  Alerts from transcribed will look like this.",
)


def channels(settings: AlertSettings, environment: Mapping[str, str] = os.environ) -> list[NotificationChannel]:
    """Return the configured channels; credentials are read again each time, as they may have been replaced."""
    urls: list[tuple[str, str | None]] = [(url.get_secret_value(), None) for url in settings.urls]
    for name in settings.credentials:
        urls += _credential(name, environment.get("CREDENTIALS_DIRECTORY"))
    return [
        NotificationChannel(f"{number} ({_scheme(url)})", url, fault) for number, (url, fault) in enumerate(urls, 1)
    ]


def _credential(name: str, folder: str | None) -> list[tuple[str, str | None]]:
    if not folder:
        return [
            ("", f"The credential {name} is available to the service only: $CREDENTIALS_DIRECTORY is not set here.")
        ]
    try:
        lines = Path(folder, name).read_text().splitlines()
    except (OSError, ValueError) as error:
        return [("", f"The credential {name} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.")]
    return [(line.strip(), None) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _scheme(url: str) -> str:
    scheme, found, _ = url.partition("://")
    return scheme if found and scheme.isalnum() and len(scheme) < 20 else "credential" if not url else "no URL"


def message(notifications: Sequence[Notification]) -> Message:
    """Return all notifications as one message."""
    worst = next((n for level in ("error", "warning") for n in notifications if _type(n) == level), notifications[0])
    what = worst.sentence if len(notifications) == 1 else f"{len(notifications)} messages"
    over = "resolved: " if len(notifications) == 1 and worst.kind == "recovery" else ""
    return Message(
        f"transcribed on {socket.gethostname()}: {over}{what}",
        "\n\n".join(map(_told, notifications)),
        _TYPES[_type(worst)],
    )


def _type(notification: Notification) -> str:
    return "recovery" if notification.kind == "recovery" else notification.severity


def _told(notification: Notification) -> str:
    head = {
        "alert": notification.severity.upper(),
        "repeat": f"REMINDER ({notification.severity})",
        "recovery": "RESOLVED",
    }
    return f"{head[notification.kind]}: {notification.sentence}" + (
        f"\n{notification.hint}" if notification.hint else ""
    )


class Notifier:
    def __init__(
        self, wanted: Callable[[], list[NotificationChannel]], state_dir: Path, seconds: float = SEND_SECONDS
    ) -> None:
        self.results: dict[str, Result] = {}  # the last of each channel
        self.failures: Counter[str] = Counter()  # in a row
        self._wanted = wanted
        self._state_dir = state_dir
        self._seconds = seconds
        self._waiting: deque[Notification] = deque(maxlen=MAX_NOTIFICATIONS)
        self._wake = threading.Condition()
        self._stopping = False
        self._test_requested = False
        self._undelivered: list[Notification] = []  # that no channel took
        self._kept_until = 0.0
        self._sending: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def send(self, notifications: Sequence[Notification]) -> None:
        """Queue notifications to be sent; returns at once."""
        with self._wake:
            self._waiting.extend(notifications)
            self._wake.notify()

    def send_test(self) -> None:
        """Request a test through every channel, its result to be left in the state directory; returns at once."""
        with self._wake:
            self._test_requested = True
            self._wake.notify()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Stop; pending notifications are still sent if that takes no longer than `seconds`."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(seconds)
        for process in list(self._sending):
            process.kill()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while self._has_pending():
            try:
                notifications = self._take_pending()
                if notifications and not self._send(notifications):
                    self._keep(notifications)
                if self._test_requested:
                    self._test_requested = False
                    results = self._deliver(TEST)
                    self._note(results)
                    control_files.write_test_result(
                        self._state_dir, [[result.channel, result.reason] for result in results]
                    )
            except Exception as error:  # a dead thread would go unnoticed: nothing could report it
                log.error("alerts could not be sent", error=f"{type(error).__name__}: {error}")

    def _take_pending(self) -> list[Notification]:
        """Take the pending notifications and the undelivered ones; the latter alone only after KEPT_SECONDS."""
        with self._wake:
            if not self._waiting and time.monotonic() < self._kept_until:
                return []
            notifications = [*self._undelivered, *self._waiting]
            self._undelivered = []
            self._waiting.clear()
            return notifications

    def _send(self, notifications: list[Notification]) -> bool:
        """Send them; return True if any channel accepted them or none is configured."""
        results = self._deliver(message(notifications))
        self._note(results)
        return not results or any(result.reason is None for result in results)

    def _keep(self, notifications: list[Notification]) -> None:
        """Keep what no channel accepted: it goes with the next message, or alone after KEPT_SECONDS."""
        with self._wake:
            self._undelivered = [*self._undelivered, *notifications][-MAX_NOTIFICATIONS:]
            self._kept_until = time.monotonic() + KEPT_SECONDS

    def _has_pending(self) -> bool:
        """Wait for work or the next check; return False when the thread should exit."""
        with self._wake:
            if not self._waiting and not self._stopping and not self._test_requested:
                self._wake.wait(WAIT_SECONDS)
            return bool(self._waiting) or not self._stopping

    def _deliver(self, message: Message) -> list[Result]:
        return deliver(self._wanted(), message, self._seconds, self._sending)

    def _note(self, results: Sequence[Result]) -> None:
        self.results = {result.channel: result for result in results}
        for channel, reason in ((result.channel, result.reason) for result in results):
            self.failures[channel] = self.failures[channel] + 1 if reason else 0
            if reason:
                log.warning("alert channel failed", channel=channel, reason=reason, failures=self.failures[channel])


def deliver(
    channels: Sequence[NotificationChannel],
    message: Message,
    seconds: float = SEND_SECONDS,
    sending: list[subprocess.Popen[bytes]] | None = None,
) -> list[Result]:
    """Try each channel independently; block no longer than `seconds`.  `sending` holds the process meanwhile."""
    usable = [channel for channel in channels if channel.fault is None]
    request = {"urls": [c.url for c in usable], "seconds": seconds, "title": message.title, "body": message.body}
    said, ending = (
        _ask(json.dumps(request | {"type": message.type}).encode(), seconds, sending) if usable else (b"", "")
    )
    reasons: dict[str, str | None] = {channel.label: channel.fault or ending for channel in channels}
    for line in said.splitlines():
        answer = documents.parse(line, Answer)
        if answer and answer["number"] < len(usable):  # else it was printed by a library
            reasons[usable[answer["number"]].label] = answer["reason"]
    return [Result(label, reason) for label, reason in reasons.items()]


def ask_test(state_dir: Path, seconds: float = SEND_SECONDS + 15.0) -> list[Result]:
    """Have the running daemon send a test, with its own permissions and network.  Raises Unavailable."""
    try:
        control_files.forget_test_result(state_dir)
        control_files.leave_request(state_dir, "test-alert")
    except OSError as error:
        raise Unavailable(
            f"{state_dir} cannot be written: {error.strerror}.", "Run the command as root or as the service's user."
        ) from error
    until = time.monotonic() + seconds
    while (answer := control_files.read_test_result(state_dir)) is None:
        if time.monotonic() > until:
            raise Unavailable("The service is running but did not answer.", "See the service's log.")
        time.sleep(0.1)
    return [Result(str(channel), reason) for channel, reason in answer]


def _ask(request: bytes, seconds: float, sending: list[subprocess.Popen[bytes]] | None) -> tuple[bytes, str]:
    """Run the sending process; return its output, and the reason for channels without an answer."""
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    command = [sys.executable, "-m", "transcribed.operations.alerts.apprise_sender"]
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere)
    except OSError as error:  # no memory, no process left on this host
        return b"", f"The sending process could not start: {error.strerror}."
    with process:
        if sending is not None:
            sending[:] = [process]
        try:
            said = process.communicate(request, timeout=seconds)[0]
            return said, f"The sending process exited with code {process.returncode}."
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0], f"No answer within {seconds:.0f} s."
