"""Build, as configured, what prepares, batches, measures and recognizes.

Knows settings and the parts they are for; runs nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.recording import Usage
from transcribed.config.settings import Settings
from transcribed.core.errors import TranscribedError
from transcribed.core.events import Event
from transcribed.core.mailbox import Mailbox
from transcribed.core.telemetry import Reading
from transcribed.core.types import Assignment, Job, Preparation, Recognition, Rest
from transcribed.ingest.preparation import preparer as preparation
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.output.outbox import Outbox
from transcribed.output.renderer import Look
from transcribed.output.source_actions import Ending
from transcribed.pipeline.executors.process_pool import LocalExecutor
from transcribed.pipeline.executors.worker_slot import NEVER
from transcribed.pipeline.scheduling.admission import Admission, Limits
from transcribed.pipeline.scheduling.batcher import Batcher
from transcribed.pipeline.scheduling.dispatcher import Dispatcher
from transcribed.pipeline.scheduling.slots import Known, Slots, boot_bytes
from transcribed.recognition import model_store, worker_factory
from transcribed.recognition.models import families
from transcribed.state.mounts import Mounts
from transcribed.system.temp_files import Token

RECYCLE_FILES = 200  # preparing processes are replaced: FFmpeg's memory creeps up over thousands of files
PADDED_SECONDS = (120.0, 6000.0)  # of a batch on a CPU, on a card
MAX_SEGMENTS = (64, 512)
NVML_SECONDS = 3.0  # a call that takes longer hangs
FIRST_READING_SECONDS = 10.0
BACK_OFF_SECONDS = (5.0, 300.0)  # between tries to bring a recognizer up; a card may have to be reset by hand
PHRASES = {"en": model_store.SHIPPED / "sensevoice" / "canary.wav", "zh": model_store.SHIPPED / "mandarin.wav"}

Tell = Callable[[Event], None]


def check(settings: Settings) -> None:
    """Raises Misconfigured where a model that is named is not there, or is for something else."""
    for directory in models(settings).values():
        families.of_recognizer(directory)
    for directory in punctuation(settings).values():
        families.of_punctuation(directory)
    model_store.locate_vad(settings.vad_model, settings.models_dir)


def models(settings: Settings) -> dict[str, Path]:
    """Those that recognize speech, by name.  Raises Misconfigured where one is not there."""
    names = sorted({inbox.model for inbox in settings.inbox})
    return {name: model_store.locate(name, settings.models_dir) for name in names}


def punctuation(settings: Settings) -> dict[str, Path]:
    """Those that put marks, likewise."""
    names = sorted({inbox.punctuation for inbox in settings.inbox} - {""})
    return {name: model_store.locate(name, settings.models_dir) for name in names}


def preparer(settings: Settings, tell: Tell) -> LocalExecutor[Job, Preparation]:
    wanted = settings.prepare
    limits = preparation.Limits(wanted.max_hours * 3600, int(wanted.max_gib * 2**30))
    vad = model_store.locate_vad(settings.vad_model, settings.models_dir)
    return LocalExecutor(
        [f"prepare:{n}" for n in range(wanted.processes)],
        functools.partial(preparation.preparer, settings.spool_dir, vad, limits, usages(settings), decoders(settings)),
        tell=tell,
        patience=lambda job: wanted.stall_seconds,
        recycle_after=RECYCLE_FILES,
    )


def usages(settings: Settings) -> dict[Path, Usage]:
    """What is usual in each inbox.  Raises Misconfigured where a model is not there."""
    known = models(settings) | punctuation(settings)
    versions = {name: model_store.version(directory) for name, directory in known.items()}
    return {
        inbox.path: replace(
            inbox.usage, model_version="+".join(versions[name] for name in (inbox.model, inbox.punctuation) if name)
        )
        for inbox in settings.inbox
    }


def decoders(settings: Settings) -> tuple[ExternalDecoder, ...]:
    return tuple(
        ExternalDecoder(one.match, one.command, one.starts_with.encode("latin-1") if one.starts_with else None)
        for one in settings.decoder
    )


def outbox(inbox: Inbox, mounts: Mounts, token: Token) -> Outbox:
    """Where its transcripts go, and how they look."""
    look = Look(inbox.formats, inbox.style, inbox.output_names, inbox.bom)
    ending = Ending(inbox.after_success, inbox.move_to, mounts.check)
    return Outbox(inbox.outbox, look, inbox.rights, ending, mounts.check, token)


def monitor() -> LocalExecutor[frozenset[int], Reading]:
    return LocalExecutor(["nvml"], worker_factory.monitor, tell=lambda event: None, patience=lambda _: NVML_SECONDS)


def first_reading(monitor: LocalExecutor[frozenset[int], Reading]) -> Reading:
    """Of a monitor that was started; where it does not answer in time, whether it could have told of anything."""
    until = time.monotonic() + FIRST_READING_SECONDS
    while time.monotonic() < until:
        if idle := monitor.idle():
            with contextlib.suppress(TranscribedError, TimeoutError):
                return monitor.submit(idle[0], frozenset()).result(until - time.monotonic())
        time.sleep(0.01)
    from transcribed.recognition.nvml import is_expected  # here: the daemon's process needs no pynvml otherwise

    return Reading(trouble="NVML does not answer.", absent=not is_expected())


def batcher(settings: Settings, slots: Slots) -> Batcher:
    return Batcher(settings.recognize.max_segments or MAX_SEGMENTS[not slots.on_cpu])


def dispatcher(
    settings: Settings,
    slots: Slots,
    known: Known,
    mailbox: Mailbox,
    batcher: Batcher,
    monitor: LocalExecutor[frozenset[int], Reading] | None,
) -> Dispatcher:
    """Raises Misconfigured where a model is not there."""
    wanted, schedule = settings.recognize, settings.gpu.schedule
    directories = [*models(settings).values(), *punctuation(settings).values()]
    admission = Admission(
        Limits(wanted.padded_seconds or PADDED_SECONDS[not slots.on_cpu], wanted.batch_seconds),
        lambda: schedule.at(time.time()),
        boot_bytes=boot_bytes(directories),
        remembered=known.needs,
    )
    workers = recognizer(settings, slots, mailbox.put)
    return Dispatcher(mailbox, batcher, admission, workers, None if slots.on_cpu else monitor)


def recognizer(settings: Settings, slots: Slots, tell: Tell) -> LocalExecutor[Assignment | Rest, Recognition]:
    """Raises Misconfigured where a model is not there."""
    wanted = settings.recognize
    threads = wanted.threads or os.cpu_count() or 1
    plan = worker_factory.Plan(models(settings), threads, wanted.dtype, PHRASES, punctuation(settings))
    return LocalExecutor(
        slots.names,
        functools.partial(worker_factory.worker, plan),
        tell=tell,
        patience=lambda request: wanted.patience_seconds + 10 * _padded_seconds(request),
        depth=1 if slots.on_cpu else 2,
        eager=False,
        idle_exit=wanted.idle_exit_seconds or NEVER,
        back_off=BACK_OFF_SECONDS,
    )


def _padded_seconds(request: Assignment | Rest) -> float:
    return request.batch.padded_seconds if isinstance(request, Assignment) else 0.0
