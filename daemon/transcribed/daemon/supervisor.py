"""One daemon after another: signals, and new settings without losing a job.

A reload stops the daemon as `systemctl stop` does and starts the next one in the same process: so every setting counts,
whatever it changes, and what was in hand is begun again.  Settings with a fault are not taken: the old ones stay, and
that is told.  Knows daemons and how they are made; nothing of what they do.
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
        """`load` reads and checks the settings, strictly or as they may serve later; `make` builds a daemon of them.

        Both raise TranscribedError.
        """
        self._load = load
        self._make = make
        self._lock = threading.Lock()
        self._settings: Settings | None = None  # of the daemon that runs
        self._next: Settings | None = None  # of the one that is to follow
        self._daemon: Daemon | None = None
        self._stops = 0
        self._hangups: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; told twice, it leaves at once.  Raises what `load` and `make` raise at first."""
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
            if self._next:  # told of while there was none to be stopped
                daemon.stop()

    def _next_daemon(self) -> Daemon:
        """Of the new settings; of the old ones where the new cannot be worked with."""
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

    # --- in a thread of its own: checking folders may take its time ------------------------------

    def _watch_reloads(self) -> None:
        while True:
            self._hangups.get()
            self._wait_until_ready()
            reopen()
            sd_notify.reloading()
            try:
                settings = self._load(True)
            except Exception as error:  # whatever it is, the daemon goes on
                if self._daemon:
                    self._reject(self._daemon, error)
                sd_notify.notify(READY=1)
            else:
                self._change(settings)

    def _wait_until_ready(self) -> None:
        """READY=1 before that would have the watchdog expect pings."""
        while not self._stops and not (self._daemon and self._daemon.ready.wait(1.0)):
            time.sleep(0.01)

    def _change(self, settings: Settings) -> None:
        """Nothing has changed where a log was rotated by others, who only ask for it to be opened anew."""
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
        log.error("the new configuration is not used", error=reason)
        daemon.troubles.set(CONFIGURATION, f"The new configuration is not used: {reason}")
