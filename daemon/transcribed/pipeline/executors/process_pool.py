"""Work in processes of this host, one process per slot.

One thread waits on every pipe and every process at once, so an answer, a death and a missed deadline all arrive in
the same place.  Knows processes; nothing of what they do.  What happens inside one is in worker_process.py.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from multiprocessing.connection import wait
from typing import Any, Generic

import structlog

from transcribed.core.errors import TranscribedError, Unavailable, WorkerLost
from transcribed.core.events import Event, SlotDown, SlotUnfit, SlotUp
from transcribed.pipeline.executors import Slot
from transcribed.pipeline.executors.worker_process import Answered, Beat, Booted, Logged, Raised, Unfit, live
from transcribed.pipeline.executors.worker_slot import BOOT_SECONDS, NEVER, Answer, Request, Seat

LEAVE_SECONDS = 2.0  # to end in good order: a GPU may be left wedged by a process that is killed in the midst of it
UNKILLABLE_SECONDS = 5.0

log = structlog.get_logger("transcribed.executors")
_spawn = mp.get_context("spawn")


class LocalExecutor(Generic[Request, Answer]):
    """`make(slot)` is called once in each process; what it returns is called with each request, or with what its
    `fetch` made of it, and with a function to beat with.

    A request may take any time, but its process is ended after `patience(request)` seconds without a beat.  `depth`
    requests may be in hand: while one is done, the process fetches what the next one needs.  A process leaves after
    `recycle_after` requests and, unless `eager`, after `idle_exit` seconds without any; eager slots are filled again at
    once, others with their next request.  `tell` hears when a worker is up, gone, or cannot come up.
    """

    def __init__(
        self,
        names: Sequence[str],
        make: Callable[[str], Callable[..., Answer]],
        *,
        tell: Callable[[Event], None],
        patience: Callable[[Request], float],
        recycle_after: int = 0,
        depth: int = 1,
        eager: bool = True,
        idle_exit: float = NEVER,
        back_off: tuple[float, float] = (1.0, 60.0),  # first pause after a boot that failed, and the longest
    ) -> None:
        self._make = make
        self._tell = tell
        self._patience = patience
        self._recycle_after = recycle_after
        self._depth = depth
        self._eager = eager
        self._idle_exit = idle_exit
        self._back_off = back_off
        self._lock = threading.Lock()
        self._seats: dict[str, Seat[Request, Answer]] = {name: Seat(name) for name in names}
        self._bell_out, self._bell_in = _spawn.Pipe(duplex=False)
        self._stopping, self._grace = False, 0.0
        self._thread = threading.Thread(target=self._attend, name=f"executor {names[0]}", daemon=True)

    @property
    def name(self) -> str:
        return self._thread.name

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def idle(self) -> list[Slot]:
        with self._lock:
            return [Slot(s.name, s.booted, len(s.in_hand)) for s in self._seats.values() if self._takes(s)]

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        future: Future[Answer] = Future()
        with self._lock:
            seat = self._seats[slot.id]
            if not self._takes(seat):  # it died since it was idle
                future.set_exception(Unavailable(f"{slot.id} has just ended; another worker will take its place."))
                return future
            seat.in_hand.append((future, request))
            if seat.booted:
                self._send(seat, request)
        self._bell_in.send_bytes(b".")  # a new deadline to wait for, or a worker to bring up
        return future

    def processes(self) -> list[int]:
        with self._lock:
            return [seat.process.pid for seat in self._seats.values() if seat.process and seat.process.pid]

    def stop(self, grace: float) -> None:
        self._grace, self._stopping = grace, True
        self._bell_in.send_bytes(b".")
        if self._thread.ident is not None:  # a start that failed may come to its end before this one began
            self._thread.join()

    def _takes(self, seat: Seat[Request, Answer]) -> bool:
        """Whether it could take a request; a cold eager seat boots by itself, before it can."""
        up = seat.booted and seat.pipe is not None
        cold = not self._eager and seat.process is None and seat.boot_at <= time.monotonic()
        return len(seat.in_hand) < self._depth if up else cold and not seat.in_hand

    def _send(self, seat: Seat[Request, Answer], request: Request) -> None:
        assert seat.pipe is not None
        if len(seat.in_hand) == 1:
            self._watch(seat)
        with contextlib.suppress(OSError):  # just died: the thread will see, and fail the future
            seat.pipe.send(request)

    def _watch(self, seat: Seat[Request, Answer]) -> None:
        """From now on, the first in hand is being done."""
        seat.patience = self._patience(seat.in_hand[0][1])
        seat.deadline, seat.idle_since = time.monotonic() + seat.patience, NEVER

    # --- the thread ----------------------------------------------------------------------------

    def _attend(self) -> None:
        while not self._stopping:
            for seat in self._seats.values():
                if self._wants_process(seat):
                    self._try_to_boot(seat)
            ready = self._wait()
            if self._bell_out in ready:
                self._bell_out.recv_bytes()
            for seat in self._seats.values():
                self._attend_to(seat, ready)
        self._end()

    def _attend_to(self, seat: Seat[Request, Answer], ready: set[Any]) -> None:
        now = time.monotonic()
        if seat.pipe in ready:
            self._hear(seat)
        elif seat.process and seat.process.sentinel in ready:
            self._bury(seat)
        elif seat.deadline <= now:
            self._dismiss(seat, WorkerLost(f"{seat.name} gave no sign of life for {seat.patience:.0f} s."))
            if seat.process:
                seat.process.terminate()
        elif seat.end_by <= now:
            self._kill(seat)
        elif seat.idle_since + self._idle_exit <= now and not seat.in_hand:
            self._dismiss(seat, Unavailable(f"{seat.name} was idle, and its worker left."))

    def _wants_process(self, seat: Seat[Request, Answer]) -> bool:
        return seat.process is None and seat.boot_at <= time.monotonic() and (self._eager or bool(seat.in_hand))

    def _wait(self) -> set[Any]:
        seats = self._seats.values()
        times = [min(s.deadline, s.end_by, s.idle_since + self._idle_exit) for s in seats if s.process]
        times += [s.boot_at for s in seats if not s.process and (self._eager or s.in_hand)]
        soonest = min(times, default=NEVER)
        timeout = None if soonest == NEVER else max(0.0, soonest - time.monotonic())
        pipes = [seat.pipe for seat in seats if seat.pipe]
        return set(wait([self._bell_out, *pipes, *(s.process.sentinel for s in seats if s.process)], timeout))

    def _try_to_boot(self, seat: Seat[Request, Answer]) -> None:
        try:
            self._boot(seat)
        except OSError as error:  # no memory, no process, no descriptor left on this host
            self._cannot_boot(seat, f"{seat.name} cannot be started: {error.strerror}.")

    def _boot(self, seat: Seat[Request, Answer]) -> None:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=live, args=(theirs, self._make, seat.name, self._recycle_after), name=seat.name, daemon=True
        )
        process.start()
        theirs.close()
        with self._lock:
            seat.process, seat.pipe, seat.booted, seat.lost, seat.end_by = process, ours, False, False, NEVER
            seat.patience, seat.deadline = BOOT_SECONDS, time.monotonic() + BOOT_SECONDS

    def _hear(self, seat: Seat[Request, Answer]) -> None:
        assert seat.pipe is not None
        try:
            message = seat.pipe.recv()
        except (EOFError, OSError):
            assert seat.process is not None
            seat.process.join(LEAVE_SECONDS)  # the exit code is unknown until the process is reaped
            self._dismiss(seat, WorkerLost(f"{seat.name} ended unexpectedly (exit code {seat.process.exitcode})."))
            return
        match message:
            case Beat():
                seat.deadline = time.monotonic() + seat.patience
            case Logged(level, event, values):
                log.log(level, event, slot=seat.name, **values)
            case Booted(profile):
                self._booted(seat, profile)
            case Unfit(sentence):
                self._dismiss(seat, WorkerLost(sentence))
            case Answered(answer, leaving):
                self._take(seat, leaving).set_result(answer)
            case Raised(error, leaving):
                seat.lost = isinstance(error, TranscribedError) and error.ends_process
                self._take(seat, leaving).set_exception(error)

    def _booted(self, seat: Seat[Request, Answer], profile: Any) -> None:
        with self._lock:
            seat.booted, seat.deadline, seat.failed_boots, seat.idle_since = True, NEVER, 0, time.monotonic()
            for _, request in seat.in_hand:
                self._send(seat, request)
        self._tell(SlotUp(seat.name, profile))

    def _take(self, seat: Seat[Request, Answer], leaving: bool) -> Future[Answer]:
        """The future of what was just answered; the next in hand, if any, is being done now."""
        with self._lock:
            future, _ = seat.in_hand.popleft()
            seat.deadline, seat.idle_since = NEVER, time.monotonic()
            if seat.in_hand:
                self._watch(seat)
        if leaving:
            self._dismiss(seat, Unavailable(f"{seat.name} has done its share, and another worker takes its place."))
        return future

    def _dismiss(self, seat: Seat[Request, Answer], error: WorkerLost | Unavailable) -> None:
        """It leaves, or must.  What it was doing fails with `error`; what it had not begun was not done, no more."""
        assert seat.pipe is not None
        with self._lock:
            booting = not seat.booted
            seat.lost = seat.lost or (seat.booted and isinstance(error, WorkerLost))
            in_hand, seat.in_hand = seat.in_hand, deque()
            seat.pipe.close()  # whoever is alive at the other end leaves now
            seat.pipe, seat.booted, seat.deadline, seat.idle_since = None, False, NEVER, NEVER
            seat.end_by = time.monotonic() + LEAVE_SECONDS
        if booting:
            self._cannot_boot(seat, str(error))
        for place, (future, _) in enumerate(in_hand):
            future.set_exception(Unavailable(str(error)) if booting or place else error)

    def _cannot_boot(self, seat: Seat[Request, Answer], sentence: str) -> None:
        first, longest = self._back_off
        seat.boot_at = time.monotonic() + min(longest, first * 2.0 ** min(seat.failed_boots, 30))
        seat.failed_boots += 1
        while seat.in_hand:
            seat.in_hand.popleft()[0].set_exception(Unavailable(sentence))
        self._tell(SlotUnfit(seat.name, sentence))

    def _kill(self, seat: Seat[Request, Answer]) -> None:
        """It had its time to leave.  One that hangs in the kernel is left to it, and its seat with it."""
        assert seat.process is not None
        if not seat.killed:
            seat.process.kill()
            seat.killed, seat.end_by = True, time.monotonic() + UNKILLABLE_SECONDS
            return
        seat.end_by = NEVER
        stuck = f"The process {seat.process.pid} of {seat.name} cannot be ended: it hangs in the kernel."
        self._tell(SlotUnfit(seat.name, stuck))

    def _bury(self, seat: Seat[Request, Answer]) -> None:
        """The process is gone; its seat is free for another one."""
        assert seat.process is not None
        seat.process.join()
        if seat.pipe:
            self._dismiss(seat, WorkerLost(f"{seat.name} ended unexpectedly (exit code {seat.process.exitcode})."))
        with self._lock:
            seat.process.close()
            seat.process, seat.end_by, seat.killed = None, NEVER, False
        self._tell(SlotDown(seat.name, seat.lost))

    def _end(self) -> None:
        """In this thread, not in `stop`: the kernel kills the processes when the thread that started them ends."""
        processes = [seat.process for seat in self._seats.values() if seat.process]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._grace
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
        until = time.monotonic() + UNKILLABLE_SECONDS
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
