"""Make a job's file ready for recognition: decode it to 16 kHz in the spool, then find its speech.

Runs in a process of its own, one file at a time, under limits (sandbox.py).  Knows jobs, the spool and limits;
nothing of ledgers, recognizers or outboxes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transcribed.config import filename_patterns
from transcribed.config.recording import InboxDefaults
from transcribed.core.types import Job, Options, Preparation
from transcribed.ingest.preparation import confinement, external_decoder, overrides
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.ingest.preparation.source_file import SourceFile, open_source, unavailable
from transcribed.state import checkpoint
from transcribed.system import sandbox
from transcribed.system.filesystems import FileId

if TYPE_CHECKING:
    from transcribed.ingest.preparation.vad import Vad

EXTRA_BYTES = 2**30  # of address space, beyond that of the process before its first file

_NO_DEFAULTS = InboxDefaults(Options(""))

Heartbeat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class PreparationLimits:
    max_seconds: float = 12 * 3600.0
    max_bytes: int = 64 * 2**30
    min_free: float = 0.0  # of the spool's disk: bytes, or below 1 a share


class Preparer:
    """The worker: called with a job, returns its Preparation.

    Raise Permanent, Withdrawn or Unavailable, for retry_policy.py to decide on.
    """

    def __init__(
        self,
        folder: Path,
        vad: Vad,
        limits: PreparationLimits,
        defaults: Mapping[Path, InboxDefaults] | None = None,
        decoders: Sequence[ExternalDecoder] = (),
        readable: Mapping[Path, FileId | None] | None = None,
    ) -> None:
        """`defaults` by inbox; a folder that is not listed has none, not even a model.

        `readable` is what this process is confined to of strangers' files, as it was then; None if it is not.
        """
        self._folder = folder
        self._vad = vad
        self._limits = limits
        self._defaults = defaults or {}
        self._decoders = decoders
        self._readable = readable

    def __call__(self, job: Job, heartbeat: Heartbeat) -> Preparation:
        sandbox.limit_cpu(self._limits.max_seconds)
        try:
            return self._prepare(job, heartbeat)
        except OSError as error:  # of a disk or a share, at whichever call: the recording is not to blame
            raise unavailable(error) from error

    def _prepare(self, job: Job, heartbeat: Heartbeat) -> Preparation:
        from transcribed.ingest.preparation.spooling import Spooler, SpoolLimits

        defaults = self._defaults.get(job.source.inbox, _NO_DEFAULTS)
        if self._readable is not None:
            confinement.require_current(job.source.inbox, defaults, self._readable)
        requested = overrides.resolve_options(job.source, defaults)
        with open_source(job.source, self._limits.max_bytes, hard_links=defaults.hard_links) as file:
            with self._input_for_ffmpeg(file, job.source.name, heartbeat) as (decodable, name):
                spool = SpoolLimits(self._folder, self._limits.max_seconds, self._limits.min_free)
                sound = Spooler(spool, job.id, decodable, name, requested, heartbeat).sound(self._vad)
            sha256 = file.digest(heartbeat)
            file.check_unchanged(job.source)
        fields = filename_patterns.fields(defaults.name_pattern, job.source.name) if defaults.name_pattern else ()
        found = Preparation(sound.audios[0], sound.segments, sha256, sound.description, requested)
        found = replace(found, speakers=sound.speakers, levels=sound.levels, unheard_tracks=sound.unheard_tracks)
        found = replace(found, name_fields=fields, tags=sound.tags, loud_seconds=sound.loud_seconds)
        if sound.damage:
            found = replace(found, damage=sound.damage.sentence, cut_short=sound.damage.cut_short)
        return replace(found, known=checkpoint.known(self._folder, found))

    @contextlib.contextmanager
    def _input_for_ffmpeg(self, file: SourceFile, name: str, heartbeat: Heartbeat) -> Iterator[tuple[SourceFile, str]]:
        """Yield a file that FFmpeg can decode, and its name: the source, or what the operator's decoder wrote."""
        decoder = external_decoder.choose(self._decoders, name, file.head())
        if decoder is None:
            yield file, name
            return
        limits = external_decoder.DecoderLimits.of(self._limits.max_seconds)
        with external_decoder.decoded(decoder, file.fd, name, self._folder, limits, heartbeat) as wav:
            yield SourceFile(wav), f"{name}.wav"


def make_preparer(
    folder: Path,
    vad_model: Path,
    limits: PreparationLimits,
    defaults: Mapping[Path, InboxDefaults],
    decoders: Sequence[ExternalDecoder],
    slot: str,
    heartbeat: Heartbeat,
) -> Preparer:
    """Build a Preparer in the worker process, so that the daemon itself does not import its libraries.

    Confined before anything else: threads that run already would not be, and torch starts some.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of NumPy, which is loaded below: one core per preparing process
    readable = confinement.confine(folder, vad_model, defaults, decoders)
    import transcribed.ingest.preparation.spooling  # noqa: F401  loads FFmpeg before the limits apply
    from transcribed.ingest.preparation.vad import Vad

    heartbeat()
    vad = Vad(vad_model)
    sandbox.limit_process(limits.max_seconds, EXTRA_BYTES)
    return Preparer(folder, vad, limits, defaults, decoders, readable)
