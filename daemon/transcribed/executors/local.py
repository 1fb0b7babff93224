"""Work in processes of this host, one process per slot.

One thread waits on every pipe and every process at once, so an answer, a death and a missed deadline all arrive in
the same place.  Knows processes; nothing of what they do.  What happens inside one is in process.py.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

import structlog

from transcribed.errors import Unavailable, WorkerLost
from transcribed.executors import Slot
from transcribed.executors.process import Answered, Beat, Booted, Logged, Raised, Unfit, live

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Work = Callable[[Request, Callable[[], None]], Answer]

BOOT_SECONDS = 300.0
BACK_OFF_SECONDS = (1.0, 60.0)  # first pause after a boot that failed, and the longest
UNKILLABLE_SECONDS = 5.0
NEVER = float("inf")

log = structlog.get_logger("transcribed.executors")
_spawn = mp.get_context("spawn")


@dataclass(slots=True)
class _Seat(Generic[Answer]):
    """A slot, and the process that sits in it now."""

    name: str
    process: SpawnProcess | None = None
    pipe: Connection[Any, Any] | None = None
    ready: bool = False
    future: Future[Answer] | None = None
    patience: float = BOOT_SECONDS  # without a sign of life
    deadline: float = NEVER
    failed_boots: int = 0
    boot_at: float = 0.0


class LocalExecutor(Generic[Request, Answer]):
    """`make(slot)` is called once in each process; what it returns is called with each request and a function to beat
    with.

    A request may take any time, but its process is killed after `patience(request)` seconds without a beat.  A
    process leaves after `recycle_after` requests and is replaced.  `changed(slot, sentence)` is called when a slot
    comes up (None) or cannot.
    """

    def __init__(
        self,
        names: Sequence[str],
        make: Callable[[str], Work[Request, Answer]],
        *,
        changed: Callable[[str, str | None], None],
        patience: Callable[[Request], float],
        recycle_after: int = 0,
    ) -> None:
        self._make = make
        self._changed = changed
        self._patience = patience
        self._recycle_after = recycle_after
        self._lock = threading.Lock()
        self._seats: dict[str, _Seat[Answer]] = {name: _Seat(name) for name in names}
        self._bell_out, self._bell_in = _spawn.Pipe(duplex=False)
        self._stopping, self._grace = False, 0.0
        self._thread = threading.Thread(target=self._attend, name=f"executor {names[0]}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def idle(self) -> list[Slot]:
        with self._lock:
            idle = [seat.name for seat in self._seats.values() if seat.ready and seat.future is None]
        return [Slot(name) for name in idle]

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        future: Future[Answer] = Future()
        with self._lock:
            seat = self._seats[slot.id]
            if not seat.ready or seat.pipe is None:  # it died since it was idle
                future.set_exception(Unavailable(f"{slot.id} has just ended; another one will take its place."))
                return future
            seat.future, seat.patience = future, self._patience(request)
            seat.deadline = time.monotonic() + seat.patience
            with contextlib.suppress(OSError):  # just died: the thread will see, and fail the future
                seat.pipe.send(request)
        self._bell_in.send_bytes(b".")  # a new deadline to wait for
        return future

    def processes(self) -> list[int]:
        """The process ids that sit in slots now."""
        with self._lock:
            return [seat.process.pid for seat in self._seats.values() if seat.process and seat.process.pid]

    def stop(self, grace: float) -> None:
        self._grace, self._stopping = grace, True
        self._bell_in.send_bytes(b".")
        self._thread.join()

    # --- the thread ----------------------------------------------------------------------------

    def _attend(self) -> None:
        while not self._stopping:
            for seat in self._seats.values():
                if seat.process is None and seat.boot_at <= time.monotonic():
                    self._try_to_boot(seat)
            ready = self._wait()
            if self._bell_out in ready:
                self._bell_out.recv_bytes()
            for seat in self._seats.values():
                if seat.pipe in ready:
                    self._hear(seat)
                elif seat.process and seat.process.sentinel in ready:
                    self._lose(seat, _exited(seat))
                elif seat.deadline <= time.monotonic():
                    self._lose(seat, WorkerLost(f"{seat.name} gave no sign of life for {seat.patience:.0f} s."))
        self._end()

    def _end(self) -> None:
        """In this thread, not in `stop`: the kernel kills the processes when the thread that started them ends."""
        processes = [seat.process for seat in self._seats.values() if seat.process]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._grace
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            _end(process)

    def _wait(self) -> set[Any]:
        seated = [seat for seat in self._seats.values() if seat.process]
        times = [s.deadline for s in seated] + [s.boot_at for s in self._seats.values() if not s.process]
        soonest = min(times, default=NEVER)
        timeout = None if soonest == NEVER else max(0.0, soonest - time.monotonic())
        pipes = [seat.pipe for seat in seated if seat.pipe]
        return set(wait([self._bell_out, *pipes, *(s.process.sentinel for s in seated if s.process)], timeout))

    def _try_to_boot(self, seat: _Seat[Answer]) -> None:
        try:
            self._boot(seat)
        except OSError as error:  # no memory, no process, no descriptor left on this host
            self._back_off(seat)
            self._changed(seat.name, f"{seat.name} cannot be started: {error.strerror}.")

    def _boot(self, seat: _Seat[Answer]) -> None:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=live, args=(theirs, self._make, seat.name, self._recycle_after), name=seat.name, daemon=True
        )
        process.start()
        theirs.close()
        with self._lock:
            seat.process, seat.pipe, seat.ready = process, ours, False
            seat.patience, seat.deadline = BOOT_SECONDS, time.monotonic() + BOOT_SECONDS

    def _hear(self, seat: _Seat[Answer]) -> None:
        assert seat.pipe is not None
        try:
            message = seat.pipe.recv()
        except (EOFError, OSError):
            self._lose(seat, _exited(seat))
            return
        match message:
            case Beat():
                seat.deadline = time.monotonic() + seat.patience
            case Logged(level, event, values):
                log.log(level, event, slot=seat.name, **values)
            case Booted():
                self._booted(seat)
            case Unfit(sentence):
                self._lose(seat, WorkerLost(sentence))
            case Answered(answer, leaving):
                self._free(seat, leaving).set_result(answer)
            case Raised(error, leaving):
                self._free(seat, leaving).set_exception(error)

    def _back_off(self, seat: _Seat[Answer]) -> None:
        first, longest = BACK_OFF_SECONDS
        seat.boot_at = time.monotonic() + min(longest, first * 2**seat.failed_boots)
        seat.failed_boots += 1

    def _booted(self, seat: _Seat[Answer]) -> None:
        with self._lock:
            seat.ready, seat.deadline, seat.failed_boots = True, NEVER, 0
        self._changed(seat.name, None)

    def _free(self, seat: _Seat[Answer], leaving: bool) -> Future[Answer]:
        with self._lock:
            future, seat.future, seat.deadline = seat.future, None, NEVER
            seat.ready = not leaving
        assert future is not None, "an answer to nothing"
        return future

    def _lose(self, seat: _Seat[Answer], error: WorkerLost) -> None:
        """The process is gone, or must go.  What it had in hand fails; another one will be booted."""
        assert seat.process is not None
        assert seat.pipe is not None
        booting = seat.deadline != NEVER and seat.future is None
        _end(seat.process)
        seat.pipe.close()
        with self._lock:
            future, seat.future = seat.future, None
            seat.process, seat.pipe, seat.ready, seat.deadline = None, None, False, NEVER
            if booting:
                self._back_off(seat)
        if future is not None:
            future.set_exception(error)
        if booting:
            self._changed(seat.name, str(error))


def _end(process: SpawnProcess) -> None:
    """Kill a process.  One that hangs in the kernel is left to it: waiting would freeze every other slot."""
    process.kill()
    process.join(UNKILLABLE_SECONDS)
    if process.is_alive():
        log.error("a process cannot be ended", process=process.pid, slot=process.name)


def _exited(seat: _Seat[Any]) -> WorkerLost:
    assert seat.process is not None
    seat.process.join(UNKILLABLE_SECONDS)  # the exit code is unknown until the process is reaped
    return WorkerLost(f"{seat.name} ended unexpectedly (exit code {seat.process.exitcode}).")
