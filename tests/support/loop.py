"""The loop around a dispatcher without jobs, files or a ledger: segments in, answers counted, failures put back.

What it does with a failed batch is what the pipeline does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.fakes import OPTIONS, segments
from transcribed.core import events
from transcribed.core.errors import OutOfMemory, Unavailable
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.types import Options, Segment
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.pipeline.executors.worker_slot import NEVER
from transcribed.pipeline.scheduling.admission import Admission, is_cpu
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.recognition import worker_factory


class Loop:
    def __init__(
        self,
        path: Path,
        make: Callable,
        admission: Admission,
        *,
        slot: str = "cuda:0",
        options: Options = OPTIONS,
        max_segments: int = 64,
        patience: float = 5.0,
        idle_exit: float = NEVER,
        executor: type[ProcessPool] = ProcessPool,
    ) -> None:
        """`path` is the spooled audio that segments refer to; `make` builds the worker, in its process."""
        self.path, self.options = path, options
        self.mailbox, self.batcher = Mailbox(), Batcher(max_segments)
        self.events: list[Event] = []
        self.answered = 0
        self.answers: Counter[Segment] = Counter()
        self.blamed: list[events.BatchFailed] = []  # batches of one for which the pipeline would blame their job
        self.recognizer = executor(
            [slot],
            make,
            on_event=self.mailbox.put,
            heartbeat_timeout=lambda request: patience,
            depth=2,
            keep_warm=False,
            idle_exit=idle_exit,
            back_off=(0.2, 1.0),
        )
        self.monitor: ProcessPool | None = None
        if not is_cpu(slot):
            self.monitor = ProcessPool(
                ["nvml"], worker_factory.make_monitor, on_event=lambda _: None, heartbeat_timeout=lambda _: 3.0
            )
        self.dispatcher = Dispatcher(self.mailbox, self.batcher, admission, self.recognizer, self.monitor)
        self.recognizer.start()
        if self.monitor:
            self.monitor.start()

    def add(self, *seconds: float) -> None:
        for n, length in enumerate(seconds):
            self.batcher.add(self.options, segments(n, length, path=self.path))

    def step(self) -> None:
        self.dispatcher.dispatch()
        for event in self.mailbox.collect(0.05):
            self.events.append(event)
            match event:
                case events.Recognized(batch):
                    self.dispatcher.on_recognized(event)
                    self.answered += len(batch.segments)
                    self.answers.update(batch.segments)
                case events.BatchFailed():
                    self.dispatcher.on_batch_failed(event)
                    self._put_back(event)
                case _:
                    self.dispatcher.handle(event)

    def _put_back(self, event: events.BatchFailed) -> None:
        batch, alone = event.batch, len(event.batch.segments) == 1
        if isinstance(event.error, Unavailable) or (alone and isinstance(event.error, OutOfMemory)):
            self.batcher.requeue(batch)
        elif not alone:
            self.batcher.requeue(*batch.halves())
        else:
            self.blamed.append(event)
            self.batcher.requeue(batch)

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, (self.dispatcher.waits, self.dispatcher.unavailable, self.events[-5:])
            self.step()

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def batches(self) -> list[int]:
        return [len(event.batch.segments) for event in self.of(events.Recognized)]

    def stop(self, grace: float = 2.0) -> None:
        self.recognizer.stop(grace)
        if self.monitor:
            self.monitor.stop(0)
