"""Checks of the models' files and of the whole path from recording to words, with real workers and real parts.

A ten-second recording is prepared and recognized on the configured device in a temporary folder, and timed.  Knows
models and executors; no inbox, and nothing of the daemon's own workers.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transcribed.config.settings import Settings
from transcribed.core.errors import Misconfigured, SlowStart, TranscribedError
from transcribed.core.types import (
    SAMPLE_RATE,
    Assignment,
    Audio,
    Batch,
    Job,
    Options,
    Preparation,
    Recognition,
    ReleaseMemory,
    Segment,
    Source,
)
from transcribed.daemon import factories
from transcribed.doctor.findings import SLOW, Finding, fault, note, ok, warning
from transcribed.doctor.service_user import ServiceUser
from transcribed.pipeline.executors import Executor
from transcribed.pipeline.scheduling import slots
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.recognition import model_files, model_store
from transcribed.recognition.models import families
from transcribed.system.isolated_call import CallTimeout, MachineBusy, isolated_call

HASH_SECONDS = 120.0
WEIGH_SECONDS = 10.0
PREPARE_SECONDS = 120.0
ANSWER_SECONDS = 60.0
LOOP_SECONDS = 5.0  # for ten seconds of audio, once everything is loaded: the limit in delivery checklists
RECORDING_SECONDS = 10.0
PAUSE_SECONDS = 0.7

Recognizer = Executor[Assignment | ReleaseMemory, Recognition]


@dataclass(frozen=True, slots=True)
class Times:
    """Measured times, in seconds, and the result."""

    load: float
    first: float
    second: float
    loop: float
    heard: str
    segments: int


def boot_bytes(settings: Settings, on_cpu: bool) -> int:
    """Return the most memory a worker may need to start; a default if the models cannot be measured in time."""
    with contextlib.suppress(TranscribedError):
        return isolated_call(_weighed, settings, on_cpu, seconds=WEIGH_SECONDS, what="the models")
    return slots.boot_bytes([], on_cpu=on_cpu)


def _weighed(settings: Settings, on_cpu: bool) -> int:
    models = [*factories.model_directories(settings).values(), *factories.punctuation_directories(settings).values()]
    return slots.boot_bytes(models, on_cpu=on_cpu)


def of_files(settings: Settings, user: ServiceUser) -> Iterator[Finding]:
    """Verify every model and the speech detector, read as the service will read them."""
    for name in sorted(
        {inbox.model for inbox in settings.inbox} | {inbox.punctuation for inbox in settings.inbox} - {""}
    ):
        yield _of_files(f"the model {name}", functools.partial(model_store.locate, name, settings.models_dir), user)
    detector = functools.partial(model_store.locate_vad, settings.detector, settings.models_dir)
    yield _of_files(f"the speech detector {settings.detector}", detector, user)


def of_cautions(settings: Settings) -> Iterator[Finding]:
    """Tell of models that are for demonstrations; nothing if one is missing, which of_files tells."""
    with contextlib.suppress(TranscribedError):
        for caution in isolated_call(factories.cautions, settings, seconds=WEIGH_SECONDS, what="the models"):
            yield warning(caution, "Set `model`, fetch it with `transcribed models pull`, and restart.")


def _of_files(what: str, locate: Callable[[], Path], user: ServiceUser) -> Finding:
    title = f"{what[0].upper()}{what[1:]}"
    try:
        count = isolated_call(_verified, locate, seconds=HASH_SECONDS, identity=user.identity, what=what)
    except (CallTimeout, MachineBusy) as error:
        return warning(str(error), SLOW)
    except TranscribedError as error:
        return fault(str(error), error.hint)
    except OSError as error:
        return fault(f"{user.name} cannot read {what}: {error.strerror}.", "Grant read access to the service's user.")
    if not count:
        return note(
            f"{title} is complete; without a manifest, its files cannot be compared with what was published.",
            "`transcribed models pull` downloads the model with a manifest.",
        )
    return ok(f"{title} is intact: {count} files match the manifest.")


def _verified(locate: Callable[[], Path]) -> int:
    directory = locate()
    if directory != model_store.SILERO_FOLDER:
        model_files.inspect(directory)
    return model_store.verify(directory)


def of_words(settings: Settings, slots: Slots) -> Iterator[Finding]:
    """Try the whole path from a recording to words, on each slot and with each model."""
    if not slots.names:
        yield note("No test recording was recognized: no device is available now.")
        return
    try:
        known = factories.model_directories(settings)
        with tempfile.TemporaryDirectory(prefix="transcribed-doctor-", ignore_cleanup_errors=True) as folder:
            settings = settings.model_copy(update={"state_dir": Path(folder)})
            settings.spool_dir.mkdir()
            with _running(settings, slots) as (preparer, recognizer):
                for slot in slots.names:
                    for name, directory in known.items():
                        speech = factories.PHRASES[families.language_of(directory)]
                        yield judge(_timed(settings, preparer, recognizer, slot, name, speech), name, slot)
    except (SlowStart, CallTimeout, TimeoutError) as error:
        yield warning(f"The test recording was not recognized in time: {error or f'{ANSWER_SECONDS:.0f} s'}", SLOW)
    except TranscribedError as error:
        yield fault(f"The test recording failed: {error}", error.hint or "The lines above may say why.")


def judge(times: Times, model: str, slot: str) -> Finding:
    told = (
        f"{model} on {slot}: loaded in {times.load:.1f} s, the test phrase in {1000 * times.first:.0f} ms and again in "
        f"{1000 * times.second:.0f} ms; a recording of {RECORDING_SECONDS:.0f} s was transcribed in {times.loop:.2f} s"
    )
    if not times.heard:
        fix = "Run `transcribed models verify`; if the model is intact, check the speech detector (`vad_model`)."
        return fault(f"{model} on {slot} recognized no words in clear speech ({times.segments} segments).", fix)
    if times.loop > LOOP_SECONDS:
        fix = "Other programs may be busy; `transcribed capacity` shows the speed.  A card or fewer threads may help."
        return warning(f"{told}, more than {LOOP_SECONDS:.0f} s.", fix)
    return ok(f"{told}.")


@contextlib.contextmanager
def _running(settings: Settings, slots: Slots) -> Iterator[tuple[Executor[Job, Preparation], Recognizer]]:
    troubles: list[Any] = []
    preparer = factories.make_preparer_pool(settings, troubles.append)
    recognizer = factories.make_recognizer(settings, slots, troubles.append)
    preparer.start()
    recognizer.start()
    try:
        yield preparer, recognizer
    finally:
        for executor in (preparer, recognizer):
            executor.stop(grace=0)


def _timed(
    settings: Settings,
    preparer: Executor[Job, Preparation],
    recognizer: Recognizer,
    slot: str,
    name: str,
    speech: Path,
) -> Times:
    spool, clock = settings.spool_dir, time.monotonic
    options = Options(name, itn=False)
    started = clock()
    _submitted(
        recognizer, ReleaseMemory(), slot, PREPARE_SECONDS
    ).result()  # as patient as the daemon: the pool gives up
    loaded = clock() - started
    phrase = _phrase(spool / "phrase.pcm", speech, options)
    first, second = (_recognized(recognizer, slot, phrase).seconds for _ in "12")
    job = _job(spool / "recording.wav", speech)
    _slot(preparer, None, PREPARE_SECONDS)  # has started
    started = clock()
    prepared = _submitted(preparer, job, None, PREPARE_SECONDS).result(PREPARE_SECONDS)
    heard = _recognized(recognizer, slot, Batch(options, prepared.segments)) if prepared.segments else None
    words = " ".join(hypothesis.text for hypothesis in heard.hypotheses) if heard else ""
    return Times(loaded, first, second, clock() - started, words.strip(), len(prepared.segments))


def _recognized(recognizer: Recognizer, slot: str, batch: Batch) -> Recognition:
    answer: Recognition = _submitted(recognizer, Assignment(batch), slot, ANSWER_SECONDS).result(ANSWER_SECONDS)
    return answer


def _submitted(executor: Executor[Any, Any], request: Any, slot: str | None, seconds: float) -> Future[Any]:
    return executor.submit(_slot(executor, slot, seconds), request)


def _slot(executor: Executor[Any, Any], name: str | None, seconds: float) -> Any:
    """Wait for a slot that can take work, and return it.  Raise CallTimeout."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := [slot for slot in executor.idle() if name in (None, slot.id)]:
            return found[0]
        time.sleep(0.01)
    raise CallTimeout(f"No worker started on {name or 'any slot'} within {seconds:.0f} s.")


def _phrase(path: Path, speech: Path, options: Options) -> Batch:
    """Write a known, clear phrase to the spool and return it as a batch."""
    pcm = _pcm(speech)
    path.write_bytes(pcm)
    samples = len(pcm) // 2
    return Batch(options, (Segment(0, 0, Audio(path, samples), 0, samples, samples),))


def _job(path: Path, speech: Path) -> Job:
    """Write ten seconds of the repeated phrase, with pauses, and return them as a settled recording."""
    once = _pcm(speech) + bytes(2 * int(PAUSE_SECONDS * SAMPLE_RATE))
    wanted = 2 * int(RECORDING_SECONDS * SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((once * (wanted // len(once) + 1))[:wanted])
    found = path.stat()
    source = Source(path.parent, path, found.st_size, found.st_mtime_ns, found.st_ino)
    return Job(1, source, path.name, time.time())


def _pcm(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        if file.getframerate() != SAMPLE_RATE or file.getnchannels() != 1:
            raise Misconfigured(f"{path} is not 16 kHz mono.")
        return bytes(file.readframes(file.getnframes()))
