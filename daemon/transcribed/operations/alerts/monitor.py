"""Check everything once a minute, and report alerts to alert.log, the log and the channels.

health_checks.py judges, rules.py decides what to report; this module acts, in order: decide, log, save the state, send.
State is on disk before anything is sent, so that no restart sends anything twice.  Never raises, and never touches the
ledger: it reads the last status.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from transcribed.config.settings import Settings
from transcribed.core.events import Event, Measured, WorkerExited
from transcribed.core.troubles import OUTBOX, Troubles
from transcribed.operations.alerts import alert_log, health_checks
from transcribed.operations.alerts.folder_probe import FolderProber
from transcribed.operations.alerts.notifier import NotificationChannel, Notifier, channels
from transcribed.operations.alerts.rules import Alerts, Condition, Notification
from transcribed.operations.status import DaemonStatus
from transcribed.state import control_files
from transcribed.system import atomic_write

PROBE_SECONDS = 10.0  # for all folders together to answer
LOST_SECONDS = 3600.0
MAX_REPORTED = 1000  # between two checks

log = structlog.get_logger("transcribed.alerts")


class AlertMonitor:
    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        log_folder: Path | None,
        status: Callable[[], DaemonStatus | None],
        troubles: Troubles | None = None,
        *,
        prober: FolderProber | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the alerts; the first `check` starts them.

        `status` returns the last status, None as long as there is none.  Unusable outboxes are set in `troubles`.
        """
        self._settings = settings
        self._state_dir = state_dir
        self._log_folder = log_folder
        self._status = status
        self._prober = prober or FolderProber()
        self._clock = clock
        self._alerts = Alerts(health_checks.rules(settings.alerts), control_files.read_alert_state(state_dir))
        self._reported: deque[Condition] = deque(maxlen=MAX_REPORTED)
        self._worker_deaths: deque[float] = deque(maxlen=MAX_REPORTED)  # when workers died, on the monotonic clock
        self._checking = threading.Lock()
        self._trouble: str | None = None
        self._troubles = troubles or Troubles()
        self._notifier = Notifier(self._channels, state_dir)

    # --- from any thread -------------------------------------------------------------------------

    def report(self, condition: Condition) -> None:
        """Add a condition that is not measured: it counts at the next check.  Returns at once."""
        self._reported.append(condition)

    def on_event(self, event: Event) -> None:
        """Note lost workers and card faults, as an observer of the pipeline.  Returns at once."""
        if isinstance(event, WorkerExited) and event.lost:
            self._worker_deaths.append(time.monotonic())
        elif isinstance(event, Measured):
            for fault in event.reading.faults:
                self.report(Condition("card-fault", fault, True, fault))

    # --- the scheduler's thread ------------------------------------------------------------------

    def check(self) -> None:
        """Check and alert, once a minute.  Takes little more than PROBE_SECONDS; never runs twice at once."""
        if not self._checking.acquire(blocking=False):
            return
        try:
            with self._logged("check"):
                self._check(self._clock())
        finally:
            self._checking.release()

    def send_test_alert(self) -> None:
        """Have a test sent through every channel; returns at once."""
        self._notifier.send_test()

    def stop(self) -> None:
        """Stop sending; pending messages are still sent, within a few seconds."""
        self._notifier.stop()

    def _check(self, now: float) -> None:
        found = list(self._conditions(now))
        found += [self._reported.popleft() for _ in range(len(self._reported))]
        for condition in found:
            if condition.rule == "outbox":
                self._troubles.set(f"{OUTBOX} {condition.subject}", condition.sentence if condition.bad else None)
        notifications = self._alerts.update(found, now)
        for notification in notifications:
            _log(notification)
        if notifications and self._log_folder:
            alert_log.append(self._log_folder, notifications, now)
        with contextlib.suppress(OSError):  # a full disk has its own alert
            atomic_write.write_json(self._state_dir / control_files.ALERTS, self._document(now), mode=0o640)
        if notifications:
            self._notifier.send(notifications)

    def _conditions(self, now: float) -> Iterator[Condition]:
        settings = self._settings
        seen = self._prober.probe(health_checks.folders(settings), PROBE_SECONDS)
        status = self._status()
        groups = health_checks.conditions(
            settings, status, seen, health_checks.host_memory(), self._lost_workers(), now
        )
        for conditions in (*groups, self._channel_conditions()):
            with self._logged("condition"):
                yield from list(conditions)

    def _lost_workers(self) -> int:
        return sum(moment > time.monotonic() - LOST_SECONDS for moment in list(self._worker_deaths))

    def _channels(self) -> list[NotificationChannel]:
        return channels(self._settings.alerts)

    def _channel_conditions(self) -> Iterator[Condition]:
        for channel, reason in ((result.channel, result.reason) for result in self._notifier.results.values()):
            sentence = f"The alert channel {channel} " + (f"fails: {reason}" if reason else "works.")
            hint = "Test it with `transcribed test-alert`." if reason else ""
            yield Condition("channel", channel, bool(reason), sentence, hint)

    def _document(self, now: float) -> dict[str, Any]:
        failures, results = self._notifier.failures, self._notifier.results.values()
        return {
            "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "log": str(self._log_folder / alert_log.FILE) if self._log_folder else None,
            "channels": [{"channel": r.channel, "reason": r.reason, "failures": failures[r.channel]} for r in results],
            **self._alerts.state(),
        }

    @contextlib.contextmanager
    def _logged(self, what: str) -> Iterator[None]:
        """Confine an error of ours to the part it concerns; log it if it differs from the last one."""
        try:
            yield
        except Exception as error:
            trouble = f"{what}: {type(error).__name__}: {error}"
            if trouble != self._trouble:
                self._trouble = trouble
                log.error("alert check failed", error=trouble)


def _log(notification: Notification) -> None:
    say = {"recovery": log.info}.get(notification.kind, log.error if notification.severity == "error" else log.warning)
    values = {
        "rule": notification.rule,
        "subject": notification.subject,
        "sentence": notification.sentence,
        "hint": notification.hint,
    }
    say(notification.kind, **{key: value for key, value in values.items() if value})
