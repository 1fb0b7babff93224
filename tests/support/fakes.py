"""Stand-ins for the world, each a small implementation of the protocol it stands for: a clock that obeys, executors
that answer at once or when told, jobs and segments out of nothing.  Nothing is patched.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

from transcribed.core.telemetry import Card, Footprint
from transcribed.core.types import (
    SAMPLE_RATE,
    Audio,
    Batch,
    Hypothesis,
    Job,
    Options,
    Preparation,
    Recognition,
    RecordingOptions,
    Segment,
    Source,
)
from transcribed.operations.status import Backlog, DaemonStatus, InboxStatus, RecentFiles, SlotStatus
from transcribed.pipeline.executors import Slot
from transcribed.state.status_document import STATUS_VERSION

OPTIONS = Options("echo")


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


class Inline:
    """An executor that does each request inside submit(), with `work`."""

    def __init__(self, work, slots=1):
        self.slots = [Slot(f"cpu:{n}") for n in range(slots)]
        self.work = work
        self.requests = []

    def start(self): ...

    def stop(self, grace): ...

    def processes(self):
        return []

    def idle(self):
        return list(self.slots)

    def submit(self, slot, request):
        self.requests.append(request)
        return attempt(self.work, request)


class Manual(Inline):
    """An executor that answers when the test does; a busy slot is not idle."""

    def __init__(self, slots=1):
        super().__init__(lambda request: None, slots)
        self.futures = []

    def submit(self, slot, request):
        self.slots.remove(slot)
        self.requests.append(request)
        future = Future()
        future.add_done_callback(lambda _: self.slots.append(slot))
        self.futures.append(future)
        return future


class FixedInboxes:
    """Inboxes with these priorities, in which an unreadable file may grow for 50 seconds."""

    def __init__(self, priorities=None):
        self.priorities = priorities or {Path("/inbox"): 0}
        self.forgotten, self.failed = [], []

    def output_name(self, source):
        return source.name

    def grace_seconds(self, source):
        return 50.0

    def note_failure(self, source, at):
        self.failed.append((source, at))

    def forget(self, source):
        self.forgotten.append(source)


class InlineDelivery:
    """Delivers with `deliver` and puts sources away with `put_away`, both at once."""

    def __init__(self, deliver, put_away):
        self.work, self.put_away = deliver, put_away
        self.notes_removed = []

    def deliver(self, outcome):
        return attempt(self.work, outcome)

    def remove_note(self, job):
        return attempt(self.notes_removed.append, job.source.name)

    def clean_up(self, job):
        return attempt(lambda: self.put_away(job) is not False)


class MemorySpool:
    """A spool of which only what is done with it is remembered."""

    def __init__(self):
        self.discarded, self.kept, self.dropped = [], [], []
        self.shortage = None

    def space_shortage(self):
        return self.shortage

    def discard(self, job_id):
        self.discarded.append(job_id)

    def keep_answers(self, preparation, answers):
        self.kept.extend(answers)

    def drop_answers(self, preparation):
        self.dropped.append(preparation)


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's own, by which it is known: so no test must import PyTorch for it."""


class CardMemory:
    """A card's memory, and a caching allocator in front of it; bytes."""

    def __init__(self, total=1000, others=0, weights=100):
        self.total, self.others = total, others
        self.resting = self.peak = self.reserved = weights
        self.released = 0

    def begin(self):
        self.peak = self.resting

    def take(self, bytes):
        """What a batch does: raises what PyTorch raises where the card has not enough."""
        self.peak = self.resting + bytes
        if self.peak > self.total - self.others:
            raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {bytes} bytes.\nAnd much more.")
        self.reserved = max(self.reserved, self.peak)

    @property
    def free(self):
        return self.total - self.others - self.reserved

    def footprint(self):
        return Footprint(self.resting, self.peak, self.reserved, self.free)

    def spare_bytes(self):
        return self.free + self.reserved - self.resting

    def release(self):
        self.released += 1
        self.reserved = self.resting


def attempt(work, *args):
    """A future that holds what `work` returned or raised."""
    future = Future()
    try:
        future.set_result(work(*args))
    except Exception as error:
        future.set_exception(error)
    return future


def recognizing(work):
    """What an executor of assignments does, given what is to be done with each batch."""
    return lambda request: work(request.batch)


def echo(batch: Batch):
    """Recognizes every segment as `job/index`."""
    return heard(*(Hypothesis(f"{s.job_id}/{s.index}", language="en") for s in batch.segments))


def heard(*hypotheses):
    return Recognition(hypotheses, seconds=0.1)


def source(name="a.wav", inbox=Path("/inbox"), size=1, mtime_ns=1, inode=1):
    return Source(inbox, inbox / name, size, mtime_ns, inode)


def job(id=1, name="a.wav", **changes):
    return Job(**{"id": id, "source": source(name), "output": name, "added_at": 0.0} | changes)


def segments(job_id, *seconds, path=Path("/nowhere.pcm"), speech=1.0):
    """Back to back; `speech` is the share of each that is heard as speech."""
    edges = list(accumulate((int(length * SAMPLE_RATE) for length in seconds), initial=0))
    audio = Audio(path, edges[-1])
    return tuple(Segment(job_id, i, audio, a, b, int(speech * (b - a))) for i, (a, b) in enumerate(pairwise(edges)))


def preparation(job_id, *seconds, speech=1.0, damage=None):
    parts = segments(job_id, *seconds, speech=speech)
    audio = parts[0].audio if parts else Audio(Path("/nowhere.pcm"), SAMPLE_RATE)
    return Preparation(audio, parts, "0" * 64, "wav (pcm_s16le), 16000 Hz, mono", RecordingOptions(OPTIONS), damage)


def daemon_status(**facts):
    """What a daemon says of itself when all is well, or not: of `cuda:0`, half used, and the inbox /in."""
    usual = DaemonStatus(
        schema_version=STATUS_VERSION,
        software="transcribed",
        pid=1,
        at="2026-11-20T16:25:00+00:00",
        started_at="2026-11-20T16:00:00+00:00",
        summary="",
        troubles=(),
        ledger=None,
        cards=None,
        benched={},
        lately=RecentFiles({"/in": 0}, None),
        note=None,
        counts={"queued": 0, "active": 0, "done": 0, "failed": 0},
        today={"done": 0, "failed": 0},
        slots=(slot_status("cuda:0", card(10)),),
        backlog=Backlog(0, 0, None),
        inboxes=(InboxStatus("/in", "events", None, 3),),
        growing=(),
        active=(),
        waiting=(),
        failed=(),
        suspicious=(),
        housekeeping=(),
        rejected=None,
    )
    return replace(usual, **facts)


def slot_status(name, card):
    return SlotStatus(name, card, None, None, [])


def card(used_gib, others=None, trouble=None):
    return Card(
        "cuda:0", "GPU-0", "NVIDIA A10", 24 * 2**30, 0, int(used_gib * 2**30), others_bytes=others, trouble=trouble
    )
