"""Run work in processes of this host, one process per slot.

One thread waits on every pipe and every process at once, so an answer, a death and a missed deadline all arrive in
the same place.  Knows processes; nothing of their work.  worker_process.py is what runs inside one.
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

from transcribed.core.backoff import backoff_seconds
from transcribed.core.errors import TranscribedError, Unavailable, WorkerLost
from transcribed.core.events import Event, SlotUnavailable, WorkerExited, WorkerReady
from transcribed.pipeline.executors import Slot, worker_process
from transcribed.pipeline.executors.worker_slot import NEVER, START_SECONDS, Answer, Request, WorkerSlot

LEAVE_SECONDS = 2.0  # to exit cleanly: a process killed in the middle of its work may leave the GPU wedged
UNKILLABLE_SECONDS = 5.0

log = structlog.get_logger("transcribed.executors")
_spawn = mp.get_context("spawn")


class ProcessPool(Generic[Request, Answer]):
    """An executor with one worker process per slot.

    `worker_factory(slot, heartbeat)` is called once in each process; the worker it returns is called with each request
    (or with the result of its `fetch`, if it has one) and with the same function, which sends a heartbeat.

    A request may take any time, but its process is terminated after `heartbeat_timeout(request)` seconds without a
    heartbeat; so may a start, with `start_timeout`.  Up to `depth` requests may be pending in a slot: while one runs,
    the process fetches the data of the next.  A process exits after `recycle_after` requests, and after `idle_exit`
    seconds without any.  With `keep_warm`, its slot gets a new process at once, otherwise with its next request.
    `on_event` is called when a worker is ready, has exited or cannot be started.
    """

    def __init__(
        self,
        names: Sequence[str],
        worker_factory: Callable[[str, Callable[[], None]], Callable[..., Answer]],
        *,
        on_event: Callable[[Event], None],
        heartbeat_timeout: Callable[[Request], float],
        start_timeout: float = START_SECONDS,
        recycle_after: int = 0,
        depth: int = 1,
        keep_warm: bool = True,
        idle_exit: float = NEVER,
        back_off: tuple[float, float] = (1.0, 60.0),  # first and longest pause after a failed start
    ) -> None:
        self._worker_factory = worker_factory
        self._on_event = on_event
        self._heartbeat_timeout = heartbeat_timeout
        self._start_timeout = start_timeout
        self._recycle_after = recycle_after
        self._depth = depth
        self._keep_warm = keep_warm
        self._idle_exit = idle_exit
        self._back_off = back_off
        self._lock = threading.Lock()
        self._slots: dict[str, WorkerSlot[Request, Answer]] = {name: WorkerSlot(name) for name in names}
        self._wakeup_r, self._wakeup_w = _spawn.Pipe(duplex=False)
        self._stopping, self._grace = False, 0.0
        self._thread = threading.Thread(target=self._supervise, name=f"executor {names[0]}", daemon=True)

    @property
    def name(self) -> str:
        return self._thread.name

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def idle(self) -> list[Slot]:
        with self._lock:
            return [Slot(s.name, s.ready, len(s.pending)) for s in self._slots.values() if self._takes(s)]

    def submit(self, slot: Slot, request: Request) -> Future[Answer]:
        future: Future[Answer] = Future()
        with self._lock:
            own = self._slots[slot.id]
            if not self._takes(own):  # it has died since it was listed as idle
                future.set_exception(Unavailable(f"The worker of {slot.id} has just exited; another one will start."))
                return future
            own.pending.append((future, request))
            if own.ready:
                self._send(own, request)
        self._wakeup_w.send_bytes(b".")  # a new deadline to wait for, or a worker to start
        return future

    def processes(self) -> list[int]:
        with self._lock:
            return [slot.process.pid for slot in self._slots.values() if slot.process and slot.process.pid]

    def stop(self, grace: float) -> None:
        self._grace, self._stopping = grace, True
        self._wakeup_w.send_bytes(b".")
        if self._thread.ident is not None:  # None if the daemon's start failed before this thread was started
            self._thread.join()

    def _takes(self, slot: WorkerSlot[Request, Answer]) -> bool:
        """Return whether the slot can accept a request; a cold slot that is kept warm starts by itself first."""
        up = slot.ready and slot.pipe is not None
        cold = not self._keep_warm and slot.process is None and slot.restart_at <= time.monotonic()
        return len(slot.pending) < self._depth if up else cold and not slot.pending

    def _send(self, slot: WorkerSlot[Request, Answer], request: Request) -> None:
        assert slot.pipe is not None
        if len(slot.pending) == 1:
            self._watch(slot)
        with contextlib.suppress(OSError):  # the worker has just died: the thread notices, and fails the future
            slot.pipe.send(request)

    def _watch(self, slot: WorkerSlot[Request, Answer]) -> None:
        """Start the deadline of the first pending request, which is now running."""
        slot.heartbeat_timeout = self._heartbeat_timeout(slot.pending[0][1])
        slot.deadline, slot.idle_since = time.monotonic() + slot.heartbeat_timeout, NEVER

    # --- the thread ----------------------------------------------------------------------------

    def _supervise(self) -> None:
        while not self._stopping:
            for slot in self._slots.values():
                if self._wants_process(slot):
                    self._try_to_start(slot)
            ready = self._wait()
            if self._wakeup_r in ready:
                self._wakeup_r.recv_bytes()
            for slot in self._slots.values():
                self._supervise_slot(slot, ready)
        self._shutdown()

    def _supervise_slot(self, slot: WorkerSlot[Request, Answer], ready: set[Any]) -> None:
        now = time.monotonic()
        if slot.pipe in ready:
            self._receive(slot)
        elif slot.process and slot.process.sentinel in ready:
            self._reap(slot)
        elif slot.deadline <= now:
            self._retire(slot, slot.overdue())
            if slot.process:
                slot.process.terminate()
        elif slot.kill_at <= now:
            self._kill(slot)
        elif slot.idle_since + self._idle_exit <= now and not slot.pending:
            self._retire(slot, Unavailable(f"The worker of {slot.name} has exited after being idle."))

    def _wants_process(self, slot: WorkerSlot[Request, Answer]) -> bool:
        return slot.process is None and slot.restart_at <= time.monotonic() and (self._keep_warm or bool(slot.pending))

    def _wait(self) -> set[Any]:
        slots = self._slots.values()
        times = [min(s.deadline, s.kill_at, s.idle_since + self._idle_exit) for s in slots if s.process]
        times += [s.restart_at for s in slots if not s.process and (self._keep_warm or s.pending)]
        soonest = min(times, default=NEVER)
        timeout = None if soonest == NEVER else max(0.0, soonest - time.monotonic())
        pipes = [slot.pipe for slot in slots if slot.pipe]
        return set(wait([self._wakeup_r, *pipes, *(s.process.sentinel for s in slots if s.process)], timeout))

    def _try_to_start(self, slot: WorkerSlot[Request, Answer]) -> None:
        try:
            self._start_process(slot)
        except OSError as error:  # the host is out of memory, processes or descriptors
            self._start_failed(slot, f"{slot.name} cannot be started: {error.strerror}.")

    def _start_process(self, slot: WorkerSlot[Request, Answer]) -> None:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=worker_process.run_worker,
            args=(theirs, self._worker_factory, slot.name, self._recycle_after),
            name=slot.name,
            daemon=True,
        )
        process.start()
        theirs.close()
        with self._lock:
            slot.process, slot.pipe, slot.ready, slot.lost, slot.kill_at = process, ours, False, False, NEVER
            slot.heartbeat_timeout, slot.deadline = self._start_timeout, time.monotonic() + self._start_timeout

    def _receive(self, slot: WorkerSlot[Request, Answer]) -> None:
        assert slot.pipe is not None
        try:
            message = slot.pipe.recv()
        except (EOFError, OSError):
            assert slot.process is not None
            slot.process.join(LEAVE_SECONDS)  # the exit code is unknown until the process is reaped
            self._retire(slot, WorkerLost(f"{slot.name} ended unexpectedly (exit code {slot.process.exitcode})."))
            return
        match message:
            case worker_process.Heartbeat():
                slot.deadline = time.monotonic() + slot.heartbeat_timeout
            case worker_process.Logged(level, event, values):
                log.log(level, event, slot=slot.name, **values)
            case worker_process.Ready(profile):
                self._on_ready(slot, profile)
            case worker_process.StartupFailed(sentence):
                self._retire(slot, WorkerLost(sentence))
            case worker_process.Answered(answer, leaving):
                self._take(slot, leaving).set_result(answer)
            case worker_process.Raised(error, leaving):
                slot.lost = isinstance(error, TranscribedError) and error.ends_process
                self._take(slot, leaving).set_exception(error)

    def _on_ready(self, slot: WorkerSlot[Request, Answer], profile: Any) -> None:
        with self._lock:
            slot.ready, slot.deadline, slot.failed_starts, slot.idle_since = True, NEVER, 0, time.monotonic()
            for _, request in slot.pending:
                self._send(slot, request)
        self._on_event(WorkerReady(slot.name, profile))

    def _take(self, slot: WorkerSlot[Request, Answer], leaving: bool) -> Future[Answer]:
        """Return the future of the request just answered, and start the deadline of the next one, if any."""
        with self._lock:
            future, _ = slot.pending.popleft()
            slot.deadline, slot.idle_since = NEVER, time.monotonic()
            if slot.pending:
                self._watch(slot)
        if leaving:
            self._retire(slot, Unavailable(f"The worker of {slot.name} is being replaced by a fresh one."))
        return future

    def _retire(self, slot: WorkerSlot[Request, Answer], error: WorkerLost | Unavailable) -> None:
        """Disconnect a worker that is exiting, or must.

        The running request fails with `error`; requests not yet started fail with Unavailable.
        """
        assert slot.pipe is not None
        with self._lock:
            booting = not slot.ready
            slot.lost = slot.lost or (slot.ready and isinstance(error, WorkerLost))
            in_hand, slot.pending = slot.pending, deque()
            slot.pipe.close()  # a process still alive at the other end exits now
            slot.pipe, slot.ready, slot.deadline, slot.idle_since = None, False, NEVER, NEVER
            slot.kill_at = time.monotonic() + LEAVE_SECONDS
        if booting:
            self._start_failed(slot, str(error))
        for place, (future, _) in enumerate(in_hand):
            begun = not booting and not place
            future.set_exception(error if begun or isinstance(error, Unavailable) else Unavailable(str(error)))

    def _start_failed(self, slot: WorkerSlot[Request, Answer], sentence: str) -> None:
        slot.restart_at = time.monotonic() + backoff_seconds(slot.failed_starts, *self._back_off)
        slot.failed_starts += 1
        while slot.pending:
            slot.pending.popleft()[0].set_exception(Unavailable(sentence))
        self._on_event(SlotUnavailable(slot.name, sentence))

    def _kill(self, slot: WorkerSlot[Request, Answer]) -> None:
        """Kill a process whose grace period is over.

        A process stuck in the kernel cannot be killed; its slot stays occupied.
        """
        assert slot.process is not None
        if not slot.killed:
            slot.process.kill()
            slot.killed, slot.kill_at = True, time.monotonic() + UNKILLABLE_SECONDS
            return
        slot.kill_at = NEVER
        stuck = f"Process {slot.process.pid} of {slot.name} cannot be killed: it hangs in the kernel."
        self._on_event(SlotUnavailable(slot.name, stuck))

    def _reap(self, slot: WorkerSlot[Request, Answer]) -> None:
        """Free the slot of a process that has exited."""
        assert slot.process is not None
        slot.process.join()
        if slot.pipe:
            self._retire(slot, WorkerLost(f"{slot.name} ended unexpectedly (exit code {slot.process.exitcode})."))
        with self._lock:
            slot.process.close()
            slot.process, slot.kill_at, slot.killed = None, NEVER, False
        self._on_event(WorkerExited(slot.name, slot.lost))

    def _shutdown(self) -> None:
        """Stop all processes.

        Runs in this thread, not in `stop`: the kernel kills the processes when the thread that started them ends.
        """
        processes = [slot.process for slot in self._slots.values() if slot.process]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._grace
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
        until = time.monotonic() + UNKILLABLE_SECONDS
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
