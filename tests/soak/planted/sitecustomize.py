"""Plant a leak in a daemon: `SOAK_PLANT=descriptors`, one per 100 transcribed files, or `memory`, 1 MiB per 100 files.

Python imports this module at its start because the soak puts its folder on PYTHONPATH.  Only the process that was
started as `python -m transcribed run` leaks; the processes that it starts import the module, and leave all as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

FILES = 100  # handled, per leak
MIB = 2**20
DAEMON = ["-m", "transcribed", "run"]

kept: list[object] = []


def descriptor() -> object:
    """A descriptor that nobody closes."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def memory() -> object:
    """One MiB, every page of it touched."""
    return b"\xa5" * MIB


def leaking(done: Callable[..., Any], leak: Callable[[], object]) -> Callable[..., Any]:
    """Return `done`, which leaks once in FILES calls."""
    calls = 0

    def leaky(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % FILES == 0:
            kept.append(leak())
        return done(*args, **options)

    return leaky


def plant(leak: Callable[[], object]) -> None:
    from transcribed.state.ledger import Ledger

    Ledger.done = leaking(Ledger.done, leak)  # type: ignore[method-assign]


if "SOAK_PLANT" in os.environ and sys.orig_argv[1:4] == DAEMON:
    plant({"descriptors": descriptor, "memory": memory}[os.environ["SOAK_PLANT"]])
