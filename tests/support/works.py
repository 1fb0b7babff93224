"""Work for the executor's tests, importable by its child processes: it answers, hangs, dies or raises, as the request
says.
"""

import atexit
import functools
import logging
import os
import signal
import time
from pathlib import Path

from transcribed.core.errors import DeviceLost, Permanent


def make(slot, heartbeat):
    return functools.partial(_work, slot)


def slow(step_seconds, slot, heartbeat):
    """Ten steps to its start, each told of if that is wanted."""
    for _ in range(10):
        time.sleep(abs(step_seconds))
        if step_seconds > 0:
            heartbeat()
    return make(slot, heartbeat)


def unfit(slot, heartbeat):
    raise Permanent("The model is not there.", "Fetch it.")


def _work(slot, request, beat):
    kind, value = request
    match kind:
        case "echo":
            return slot, value, os.getpid()
        case "die":
            os.kill(os.getpid(), value)
        case "hang":
            time.sleep(3600)
        case "slow":
            for _ in range(int(value / 0.1)):
                time.sleep(0.1)
                beat()
            return "done"
        case "log":
            logging.getLogger("library").warning(value)
            return "done"
        case "raise":
            raise Permanent("It is a playlist.", "Drop recordings.")
        case "crash":
            raise KeyError(value)
        case "lost":
            raise DeviceLost("The device is gone.")
        case "append when ended":
            atexit.register(Path(value).write_text, "in good order")
        case "ignore term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            return "ignored"
    return None


class Fetching:
    """Work whose requests are fetched before they are done."""

    profile = "a profile"

    def fetch(self, request):
        if request == "unreadable":
            raise FileNotFoundError("spool")
        return request, time.monotonic()

    def __call__(self, fetched, beat):
        request, fetched_at = fetched
        time.sleep(request)
        return fetched_at, time.monotonic()


def fetching(slot, heartbeat):
    return Fetching()
