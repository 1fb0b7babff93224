"""Call one function in a process of its own: with a deadline, and optionally as another user.

For calls that may hang for ever (a dead share, a driver) or crash (CUDA), and for checks of a user's permissions, which
only that user can make.  Knows processes and users; nothing of the functions.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from transcribed.core.errors import Unavailable
from transcribed.system import sandbox

Answer = TypeVar("Answer")

START_SECONDS = 60.0  # a Python with our modules: half a second, on an idle machine
_LEAVE_SECONDS = 1.0
_UP = "up"
_spawn = mp.get_context("spawn")


class NoAnswer(Unavailable):
    """The process gave no answer."""


class CallTimeout(NoAnswer):
    """The call takes longer than it may."""


class CallCrashed(NoAnswer):
    """The process ended during the call."""


class MachineBusy(NoAnswer):
    """The process could not even begin: this says nothing of the call."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """The user as whom to run the call."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def isolated_call(
    function: Callable[..., Answer],
    *args: Any,
    seconds: float,
    identity: UserIdentity | None = None,
    what: str = "it",
    start_seconds: float = START_SECONDS,
) -> Answer:
    """Return or raise what `function(*args)` does there; function and arguments are pickled.

    `identity` needs root.  The time counts from when the process is up.  Raise CallTimeout or CallCrashed with a
    sentence about `what`, or MachineBusy; a process stuck in the kernel is left behind.
    """
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_answer, args=(theirs, identity, function, args), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(start_seconds):
            raise MachineBusy(
                f"This machine is too busy to check {what}: no process started within {start_seconds:g} s."
            )
        ours.recv()
        if not ours.poll(seconds):
            raise CallTimeout(f"No answer from {what} within {seconds:g} s.")
        error, answer = ours.recv()
    except (EOFError, ConnectionError):
        process.join(_LEAVE_SECONDS)
        code = process.exitcode
        raise CallCrashed(f"The process that checks {what} ended unexpectedly (exit code {code}).") from None
    finally:
        ours.close()
        process.kill()
        process.join(_LEAVE_SECONDS)
    if error is not None:
        raise error
    return answer  # type: ignore[no-any-return]  # what came through the pipe


def _answer(pipe: Connection[Any, Any], identity: UserIdentity | None, function: Callable[..., Any], args: Any) -> None:
    error = answer = None
    try:
        pipe.send(_UP)
        if identity:
            _become(identity)
        sandbox.die_with_parent()  # after _become: a change of user would undo it
        answer = function(*args)
    except Exception as raised:
        error = raised.with_traceback(None)
    with contextlib.suppress(ConnectionError):
        pipe.send((error, answer))


def _become(identity: UserIdentity) -> None:
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
