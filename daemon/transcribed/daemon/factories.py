"""Build the parts of a daemon as configured: preparer, batcher, monitor, recognizer, inboxes and outboxes.

Knows settings and the parts that they configure; runs nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.recording import InboxDefaults
from transcribed.config.settings import Settings
from transcribed.core.errors import TranscribedError
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import Reading
from transcribed.core.types import Assignment, Job, ModelFacts, Preparation, Recognition, ReleaseMemory
from transcribed.daemon.inboxes import ConfiguredInboxes, InboxRuntime
from transcribed.ingest.preparation import preparer as preparation
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.ingest.stability import StabilityTracker
from transcribed.ingest.watcher import InboxWatcher
from transcribed.output.delivery import Delivery
from transcribed.output.outbox import Outbox
from transcribed.output.source_actions import SourceAction
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.pipeline.executors.worker_slot import NEVER
from transcribed.pipeline.pipeline import Pipeline
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.scheduling.slots import RememberedDevices, Slots, boot_bytes, choose_slots
from transcribed.recognition import model_files, model_store, worker_factory
from transcribed.recognition.models import families
from transcribed.state.ledger import Ledger
from transcribed.state.mounts import Mounts
from transcribed.state.spool import Spool
from transcribed.system import filesystems
from transcribed.system.temp_files import TempFileOwner

RECYCLE_FILES = 200  # preparing processes are replaced: FFmpeg's memory creeps up over thousands of files
PADDED_SECONDS = (120.0, 6000.0)  # of a batch: on a CPU, on a card
MAX_SEGMENTS = (64, 512)
NVML_SECONDS = 3.0  # a call that takes longer hangs
FIRST_READING_SECONDS = 10.0
BACK_OFF_SECONDS = (5.0, 300.0)  # between tries to start a recognizer; a card may have to be reset by hand
PHRASES = {"en": model_store.SHIPPED / "sensevoice" / "canary.wav", "zh": model_store.SHIPPED / "mandarin.wav"}

OnEvent = Callable[[Event], None]
Monitor = ProcessPool[frozenset[int], Reading]


def check_models(settings: Settings) -> None:
    """Raise Misconfigured if a configured model is missing, incomplete or of the wrong kind."""
    for directory in model_directories(settings).values():
        model_files.inspect(directory)
        families.of_recognizer(directory)
        model_files.inspect(directory, model_files.RECOGNIZER_FILES)
    for directory in punctuation_directories(settings).values():
        model_files.inspect(directory)
        families.of_punctuation(directory)
    detector = model_store.locate_vad(settings.detector, settings.models_dir)
    if detector != model_store.SILERO_FOLDER:
        model_files.inspect(detector, model_files.RECOGNIZER_FILES)


def cautions(settings: Settings) -> tuple[str, ...]:
    """Return what an operator has to know of the configured models: which are for demonstrations only.

    Raises Misconfigured if a model is missing.
    """
    facts = {name: model_store.facts(name, directory) for name, directory in model_directories(settings).items()}
    detector = model_store.detector_facts(settings.detector, settings.models_dir)
    told = [f"The model {name} is in use: {each.caution}" for name, each in facts.items() if each.caution]
    if detector.caution and len(told) < len(facts):  # the recognizers' own say it already
        told.append(f"The speech detector {settings.detector} is in use: {detector.caution}")
    return tuple(told)


def model_directories(settings: Settings) -> dict[str, Path]:
    """Return the recognition models' folders, by name.  Raises Misconfigured if one is missing."""
    names = sorted({inbox.model for inbox in settings.inbox})
    return {name: model_store.locate(name, settings.models_dir) for name in names}


def punctuation_directories(settings: Settings) -> dict[str, Path]:
    """Return the punctuation models' folders, by name.  Raises Misconfigured if one is missing."""
    names = sorted({inbox.punctuation for inbox in settings.inbox} - {""})
    return {name: model_store.locate(name, settings.models_dir) for name in names}


def make_preparer_pool(settings: Settings, on_event: OnEvent) -> ProcessPool[Job, Preparation]:
    wanted = settings.prepare
    limits = preparation.PreparationLimits(wanted.max_hours * 3600, int(wanted.max_gib * 2**30), wanted.min_free)
    vad = model_store.locate_vad(settings.detector, settings.models_dir)
    return ProcessPool(
        [f"prepare:{n}" for n in range(wanted.processes)],
        functools.partial(
            preparation.make_preparer,
            settings.spool_dir,
            vad,
            limits,
            inbox_defaults(settings),
            make_decoders(settings),
        ),
        on_event=on_event,
        heartbeat_timeout=lambda job: wanted.stall_seconds,
        recycle_after=RECYCLE_FILES,
    )


def inbox_defaults(settings: Settings) -> dict[Path, InboxDefaults]:
    """Return the default options of each inbox.  Raises Misconfigured if a model is missing."""
    known = model_directories(settings) | punctuation_directories(settings)
    facts = {name: model_store.facts(name, directory) for name, directory in known.items()}
    detector = model_store.detector_facts(settings.detector, settings.models_dir)
    return {
        inbox.path: replace(inbox.defaults, model=_together(facts[inbox.model], facts.get(inbox.punctuation), detector))
        for inbox in settings.inbox
    }


def _together(recognizer: ModelFacts, punctuation: ModelFacts | None, detector: ModelFacts) -> ModelFacts:
    """Return what holds for the transcripts that these models make; the detector has a credit, too."""
    said = [recognizer, punctuation] if punctuation else [recognizer]
    credits = dict.fromkeys(each.credit for each in (*said, detector) if each.credit)
    return replace(recognizer, version="+".join(each.version for each in said), credit="; ".join(credits))


def make_decoders(settings: Settings) -> tuple[ExternalDecoder, ...]:
    return tuple(
        ExternalDecoder(one.match, one.command, one.starts_with.encode("latin-1") if one.starts_with else None)
        for one in settings.decoder
    )


def make_outbox(inbox: Inbox, mounts: Mounts, owner: TempFileOwner) -> Outbox:
    """Build the outbox of an inbox: its folder, output formats, permissions and after-success action."""
    action = SourceAction(inbox.after_success, inbox.move_to, mounts.check)
    return Outbox(inbox.outbox, inbox.output_settings, inbox.permissions, action, mounts.check, owner)


def make_monitor_pool() -> Monitor:
    return ProcessPool(
        ["nvml"], worker_factory.make_monitor, on_event=lambda event: None, heartbeat_timeout=lambda _: NVML_SECONDS
    )


def first_reading(monitor: Monitor) -> Reading:
    """Return the first reading of a monitor that has been started.

    Without an answer in time, return a reading with a trouble; its `absent` is True if no driver is expected.
    """
    until = time.monotonic() + FIRST_READING_SECONDS
    while time.monotonic() < until:
        if idle := monitor.idle():
            with contextlib.suppress(TranscribedError, TimeoutError):
                return monitor.submit(idle[0], frozenset()).result(until - time.monotonic())
        time.sleep(0.01)
    from transcribed.recognition.nvml import is_expected  # here: the daemon's process has no other need of pynvml

    return Reading(trouble="NVML does not answer.", absent=not is_expected())


def make_inboxes(
    settings: Settings, mounts: Mounts, owner: TempFileOwner, ledger: Ledger, post: OnEvent
) -> dict[Path, InboxRuntime]:
    """Return one runtime per inbox; its watcher's thread calls `post` with what it notices."""
    runtimes = {}
    for inbox in settings.inbox:
        local = filesystems.is_local(inbox.path)
        plan = inbox.watch_plan(local)
        watcher = InboxWatcher(
            inbox.path,
            tracker=StabilityTracker(plan.quiet_seconds),
            post=post,
            known=ledger.sources(inbox.path),
            failed_at=ledger.failed_at(inbox.path),
            ignore=inbox.ignore,
            events=plan.by_events,
            local=local,
            rescan_seconds=plan.rescan_seconds,
        )
        runtimes[inbox.path] = InboxRuntime(inbox, plan, watcher, make_outbox(inbox, mounts, owner))
    return runtimes


def make_slots(
    settings: Settings, remembered: RememberedDevices, stack: contextlib.ExitStack
) -> tuple[Slots, Monitor | None]:
    """Choose the slots from a first reading of the cards; return them with the monitor, or None without cards.

    The monitor has been started; `stack` stops it.
    """
    device = settings.recognize.device
    if device == "cpu":
        return choose_slots(device, Reading(), remembered.cards), None
    monitor = make_monitor_pool()
    monitor.start()
    stack.callback(monitor.stop, grace=0)
    slots = choose_slots(device, first_reading(monitor), remembered.cards)
    if slots.on_cpu:
        monitor.stop(grace=0)
        return slots, None
    return slots, monitor


def make_pipeline(
    settings: Settings,
    mailbox: Mailbox,
    ledger: Ledger,
    inboxes: Mapping[Path, InboxRuntime],
    delivery: Delivery,
    slots: Slots,
    remembered: RememberedDevices,
    monitor: Monitor | None,
) -> Pipeline:
    """Build the pipeline.  Raises Misconfigured if a model is missing."""
    batcher = make_batcher(settings, slots)
    return Pipeline(
        mailbox=mailbox,
        ledger=ledger,
        inboxes=ConfiguredInboxes(inboxes),
        delivery=delivery,
        spool=Spool(settings.spool_dir, settings.prepare.min_free),
        preparer=make_preparer_pool(settings, mailbox.put),
        batcher=batcher,
        dispatcher=make_dispatcher(settings, slots, remembered, mailbox, batcher, monitor),
        max_active=16 * settings.prepare.processes + 48,
    )


def make_batcher(settings: Settings, slots: Slots) -> Batcher:
    return Batcher(settings.recognize.max_segments or MAX_SEGMENTS[not slots.on_cpu])


def make_dispatcher(
    settings: Settings,
    slots: Slots,
    known: RememberedDevices,
    mailbox: Mailbox,
    batcher: Batcher,
    monitor: Monitor | None,
) -> Dispatcher:
    """Build the dispatcher.  Raises Misconfigured if a model is missing."""
    wanted, schedule = settings.recognize, settings.gpu.schedule
    directories = [*model_directories(settings).values(), *punctuation_directories(settings).values()]
    admission = Admission(
        BatchLimits(wanted.padded_seconds or PADDED_SECONDS[not slots.on_cpu], wanted.batch_seconds),
        lambda: schedule.at(time.time()),
        boot_bytes=boot_bytes(directories, on_cpu=slots.on_cpu),
        remembered=known.needs,
    )
    workers = make_recognizer(settings, slots, mailbox.put)
    return Dispatcher(mailbox, batcher, admission, workers, monitor)


def make_recognizer(
    settings: Settings, slots: Slots, on_event: OnEvent
) -> ProcessPool[Assignment | ReleaseMemory, Recognition]:
    """Build the pool of recognition workers.  Raises Misconfigured if a model is missing."""
    wanted = settings.recognize
    threads = wanted.threads or os.cpu_count() or 1
    plan = worker_factory.WorkerPlan(
        model_directories(settings), threads, wanted.dtype, PHRASES, punctuation_directories(settings)
    )
    return ProcessPool(
        slots.names,
        functools.partial(worker_factory.make_worker, plan),
        on_event=on_event,
        heartbeat_timeout=lambda request: wanted.patience_seconds + 10 * _padded_seconds(request),
        depth=1 if slots.on_cpu else 2,
        keep_warm=False,
        idle_exit=wanted.idle_exit_seconds or NEVER,
        back_off=BACK_OFF_SECONDS,
    )


def _padded_seconds(request: Assignment | ReleaseMemory) -> float:
    return request.batch.padded_seconds if isinstance(request, Assignment) else 0.0
