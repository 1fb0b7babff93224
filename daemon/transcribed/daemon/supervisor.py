"""Run one daemon after another: handle signals, and reload settings without losing a job.

A reload stops the daemon as `systemctl stop` does and starts the next one in the same process: so every setting
applies, whatever it changes, and interrupted jobs start again.  Invalid settings are rejected: the old ones stay, and
the rejection is reported.  Knows how to build and stop daemons; nothing of what they do.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from transcribed.config.settings import Settings
from transcribed.core.errors import TranscribedError
from transcribed.core.troubles import CONFIGURATION
from transcribed.daemon.daemon import Daemon
from transcribed.system import sd_notify
from transcribed.system.log import reopen

log = structlog.get_logger("transcribed")

DaemonFactory = Callable[[Settings], Daemon]


class Supervisor:
    def __init__(self, load: Callable[[bool], Settings], make: DaemonFactory) -> None:
        """Prepare to run; `run` starts the first daemon.

        `load` reads and checks the settings: strictly with True; with False it accepts faults that may pass later.
        `make` builds a daemon from them.  Both raise TranscribedError.
        """
        self._load = load
        self._make = make
        self._lock = threading.Lock()
        self._settings: Settings | None = None  # of the running daemon
        self._next: Settings | None = None  # of the next daemon
        self._daemon: Daemon | None = None
        self._stops = 0
        self._hangups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Run daemons until SIGTERM or SIGINT; a second signal makes it exit at once.

        Raises what the first `load` and `make` raise.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._hangups.put(None))
        self._settings = self._load(False)
        self._adopt(self._make(self._settings))
        threading.Thread(target=self._watch_reloads, name="reload", daemon=True).start()
        while self._daemon and not self._stops:
            self._daemon.run()
            if self._stops or not self._next:
                return
            self._adopt(self._next_daemon())

    # --- in the main thread --------------------------------------------------------------------

    def _stop(self, *_: Any) -> None:
        self._stops += 1
        sd_notify.notify(STOPPING=1)
        if self._daemon:
            self._daemon.stop()

    def _adopt(self, daemon: Daemon) -> None:
        with self._lock:
            self._daemon = daemon
            if self._next:  # requested while there was no daemon to stop
                daemon.stop()

    def _next_daemon(self) -> Daemon:
        """Build a daemon from the new settings, or from the old ones if the new ones fail."""
        with self._lock:
            wanted, old = self._next, self._settings
            self._daemon = self._next = None
        assert wanted is not None
        assert old is not None
        try:
            daemon = self._make(wanted)
        except TranscribedError as error:
            daemon = self._make(old)
            self._reject(daemon, error)
        else:
            self._settings = wanted
        return daemon

    # --- in a thread of its own: checking folders may take a while -------------------------------

    def _watch_reloads(self) -> None:
        while True:
            self._hangups.get()
            self._wait_until_ready()
            reopen()
            sd_notify.reloading()
            try:
                settings = self._load(True)
            except Exception as error:  # whatever the error, the daemon goes on
                if self._daemon:
                    self._reject(self._daemon, error)
                sd_notify.notify(READY=1)
            else:
                self._change(settings)

    def _wait_until_ready(self) -> None:
        """Wait for the daemon: READY=1 sent earlier would make the watchdog expect pings."""
        while not self._stops and not (self._daemon and self._daemon.ready.wait(1.0)):
            time.sleep(0.01)

    def _change(self, settings: Settings) -> None:
        """Stop the daemon so that the next one runs with these settings.

        Equal settings change nothing: an external log rotation sends SIGHUP only to have the log reopened.
        """
        with self._lock:
            if settings == (self._next or self._settings):
                if self._daemon and not self._next:
                    self._daemon.troubles.set(CONFIGURATION, None)
                    sd_notify.notify(READY=1)
                return
            log.info("reloading")
            stops_already, self._next = self._next is not None, settings
            if self._daemon and not stops_already:
                self._daemon.stop()

    @staticmethod
    def _reject(daemon: Daemon, error: Exception) -> None:
        reason = " ".join(f"{error} {getattr(error, 'hint', '')}".split())
        log.error("new configuration rejected", error=reason)
        daemon.troubles.set(CONFIGURATION, f"The new configuration is not used: {reason}")
