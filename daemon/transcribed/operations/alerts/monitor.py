"""Look at everything once a minute, and tell whoever should know: alert.log, the log, the channels.

What is bad is judged in health_checks.py, what is told in rules.py; here it is done, in order: decide, log, remember,
send.  State is on disk before anything is sent, so that no restart sends anything twice.  Never raises, and never
touches the ledger: the loop hands it the status document.
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
from transcribed.core.events import Event, Measured, SlotDown
from transcribed.operations.alerts import alert_log, health_checks
from transcribed.operations.alerts.folder_probe import Reach
from transcribed.operations.alerts.notifier import Channel, Courier, channels
from transcribed.operations.alerts.rules import Alerts, Finding, Notice
from transcribed.state import control_files
from transcribed.system import files

REACH_SECONDS = 10.0  # for all folders together to answer
LOST_SECONDS = 3600.0
MAX_TOLD = 1000  # between two looks

log = structlog.get_logger("transcribed.alerts")


class Watchman:
    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        log_folder: Path | None,
        status: Callable[[], dict[str, Any] | None],
        *,
        reach: Reach | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`status` gives the last status document, or None as long as there is none; asked in the thread of `look`."""
        self._settings = settings
        self._state_dir = state_dir
        self._log_folder = log_folder
        self._status = status
        self._reach = reach or Reach()
        self._clock = clock
        self._alerts = Alerts(health_checks.rules(settings.alerts), control_files.read_alerts(state_dir))
        self._told: deque[Finding] = deque(maxlen=MAX_TOLD)
        self._lost: deque[float] = deque(maxlen=MAX_TOLD)  # when workers died, on the monotonic clock
        self._looking = threading.Lock()
        self._trouble: str | None = None
        self.outbox_troubles: tuple[str, ...] = ()  # at the last look
        self._courier = Courier(self._channels, state_dir)

    # --- from any thread -------------------------------------------------------------------------

    def tell(self, finding: Finding) -> None:
        """Something that is not measured: it counts at the next look.  Returns at once."""
        self._told.append(finding)

    def observe(self, event: Event) -> None:
        """An observer of the pipeline: workers that die, faults of cards.  Returns at once."""
        if isinstance(event, SlotDown) and event.lost:
            self._lost.append(time.monotonic())
        elif isinstance(event, Measured):
            for fault in event.reading.faults:
                self.tell(Finding("card-fault", fault, True, fault))

    # --- upkeep's thread -------------------------------------------------------------------------

    def look(self) -> None:
        """Once a minute.  Takes at most REACH_SECONDS and a little; a look that is not over is not begun again."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            with self._logged("look"):
                self._look(self._clock())
        finally:
            self._looking.release()

    def stop(self) -> None:
        """What is to be sent is still sent, within a few seconds."""
        self._courier.stop()

    def _look(self, now: float) -> None:
        found = list(self._found(now))
        found += [self._told.popleft() for _ in range(len(self._told))]
        self.outbox_troubles = tuple(f.sentence for f in found if f.rule == "outbox" and f.bad)
        notices = self._alerts.observe(found, now)
        for notice in notices:
            _log(notice)
        if notices and self._log_folder:
            alert_log.append(self._log_folder, notices, now)
        with contextlib.suppress(OSError):  # a full disk is told of
            files.write_json(self._state_dir / control_files.ALERTS, self._document(now))
        if notices:
            self._courier.send(notices)

    def _found(self, now: float) -> Iterator[Finding]:
        settings = self._settings
        seen = self._reach.at(health_checks.folders(settings), REACH_SECONDS)
        status = self._status() or {}
        groups = health_checks.findings(settings, status, seen, health_checks.memory(), self._lost_workers(), now)
        for findings in (*groups, self._channel_findings()):
            with self._logged("finding") if status else contextlib.suppress(KeyError):
                yield from list(findings)

    def _lost_workers(self) -> int:
        return sum(moment > time.monotonic() - LOST_SECONDS for moment in list(self._lost))

    def _channels(self) -> list[Channel]:
        return channels(self._settings.alerts)

    def _channel_findings(self) -> Iterator[Finding]:
        for channel, reason in ((result.channel, result.reason) for result in self._courier.results.values()):
            sentence = f"The alert channel {channel} " + (f"fails: {reason}" if reason else "works.")
            hint = "Try it with `transcribed test-alert`." if reason else ""
            yield Finding("channel", channel, bool(reason), sentence, hint)

    def _document(self, now: float) -> dict[str, Any]:
        failures, results = self._courier.failures, self._courier.results.values()
        return {
            "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "log": str(self._log_folder / alert_log.FILE) if self._log_folder else None,
            "channels": [{"channel": r.channel, "reason": r.reason, "failures": failures[r.channel]} for r in results],
            **self._alerts.state(),
        }

    @contextlib.contextmanager
    def _logged(self, what: str) -> Iterator[None]:
        """An error of ours costs what it concerns, not the rest; it is logged when it is another than before."""
        try:
            yield
        except Exception as error:
            trouble = f"{what}: {type(error).__name__}: {error}"
            if trouble != self._trouble:
                self._trouble = trouble
                log.error("the watchman is in trouble", error=trouble)


def _log(notice: Notice) -> None:
    say = {"recovery": log.info}.get(notice.kind, log.error if notice.severity == "error" else log.warning)
    values = {"rule": notice.rule, "subject": notice.subject, "sentence": notice.sentence, "hint": notice.hint}
    say(notice.kind, **{key: value for key, value in values.items() if value})
