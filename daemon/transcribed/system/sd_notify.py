"""Report our state to the service manager (sd_notify(3)).  A datagram on a Unix socket, and no more.

Own code because the package `sdnotify` drops every message that is not Latin-1.  Knows nothing of the messages'
meaning.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(**fields: str | int) -> bool:
    """Send `KEY=value` lines, e.g. `notify(READY=1, STATUS="3 running")`.

    Return False if there is no manager or it cannot be reached; never raises OSError.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    message = "\n".join(f"{key}={_one_line(str(value))}" for key, value in fields.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
        s.settimeout(1.0)  # a stuck manager must not stop us
        s.connect("\0" + address[1:] if address[0] == "@" else address)
        s.sendall(message.encode("utf-8", "backslashreplace"))
        return True
    return False


def reloading() -> bool:
    """Report that a reload has started, and when (systemd.service(5), Type=notify); READY=1 must follow."""
    return notify(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)


def watchdog_seconds() -> float | None:
    """Return the longest pause allowed between WATCHDOG=1 messages; None without a watchdog for this process."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdigit() and pid == str(os.getpid()) else None


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
