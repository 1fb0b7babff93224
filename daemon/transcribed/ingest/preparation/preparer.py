"""Make a job's file ready for recognition: decode it to 16 kHz in the spool, then find its speech.

Runs in a process of its own, one file at a time, under limits (sandbox.py).  Knows jobs, the spool and limits;
nothing of ledgers, recognizers or outboxes.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribed.config import filename_patterns
from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import Incomplete, Permanent
from transcribed.core.types import Audio, Job, Options, Preparation, Segment
from transcribed.ingest.preparation import confinement, external_decoder, overrides
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.ingest.preparation.source_file import SourceFile, open_source, unavailable
from transcribed.state import checkpoint, spool
from transcribed.system import sandbox
from transcribed.system.filesystems import FileId

if TYPE_CHECKING:
    from transcribed.ingest.preparation.decoder import Damage, Media
    from transcribed.ingest.preparation.vad import Vad

MIN_SECONDS = 0.1
EXTRA_BYTES = 2**30  # of address space, beyond that of the process before its first file

_NO_DEFAULTS = InboxDefaults(Options(""))

Heartbeat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class PreparationLimits:
    max_seconds: float = 12 * 3600.0
    max_bytes: int = 64 * 2**30


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
        defaults = self._defaults.get(job.source.inbox, _NO_DEFAULTS)
        if self._readable is not None:
            confinement.require_current(job.source.inbox, defaults, self._readable)
        requested = overrides.resolve_options(job.source, defaults)
        opened = open_source(job.source, self._limits.max_bytes, hard_links=defaults.hard_links)
        with opened as file, spool.Writer(self._folder, job.id) as writer:
            with self._input_for_ffmpeg(file, job.source.name, heartbeat) as decodable:
                media, damage = self._decode(decodable, writer, requested.channels is not None, heartbeat)
            sha256 = file.digest(heartbeat)
            file.check_unchanged(job.source)
        audios = writer.audios()
        if audios[0].seconds < MIN_SECONDS:
            raise _nothing_in(audios[0])
        segments, levels = self._find_speech(job, audios, heartbeat)
        speakers = _names(len(audios), requested.channels or ()) if len(audios) > 1 else ()
        fields = filename_patterns.fields(defaults.name_pattern, job.source.name) if defaults.name_pattern else ()
        found = Preparation(audios[0], segments, sha256, media.description, requested)
        found = replace(found, speakers=speakers, name_fields=fields, tags=media.tags, levels=levels)
        if damage:
            found = replace(found, damage=damage.sentence, cut_short=damage.cut_short)
        return replace(found, known=checkpoint.known(self._folder, found))

    @contextlib.contextmanager
    def _input_for_ffmpeg(self, file: SourceFile, name: str, heartbeat: Heartbeat) -> Iterator[SourceFile]:
        """Yield a file that FFmpeg can decode: the source itself, or the output of the operator's decoder."""
        decoder = external_decoder.choose(self._decoders, name, file.head())
        if decoder is None:
            yield file
            return
        limits = external_decoder.DecoderLimits.of(self._limits.max_seconds)
        with external_decoder.decoded(decoder, file.fd, name, self._folder, limits, heartbeat) as wav:
            yield SourceFile(wav)

    def _decode(
        self, file: SourceFile, writer: spool.Writer, apart: bool, heartbeat: Heartbeat
    ) -> tuple[Media, Damage | None]:
        """Write the spool files.  Return a description of the media, and what is missing of it."""
        from transcribed.ingest.preparation.decoder import Damage, DecodeError, Decoder, unreadable

        seconds = 0.0
        try:
            with Decoder(file, apart=apart) as decoder:
                media = decoder.media
                for rows in decoder.blocks():
                    writer.write(rows)
                    seconds = decoder.seconds
                    self._check_length(seconds)
                    heartbeat()
                return media, decoder.damage()
        except (*DecodeError, OSError) as error:
            file.raise_own_error()
            if seconds < MIN_SECONDS:
                raise unreadable(file.head(), error) from error
            sentence = f"Only the first {seconds:.1f} s could be decoded; the rest of the file is damaged."
            return media, Damage(sentence, cut_short=True)

    def _check_length(self, seconds: float) -> None:
        if seconds > self._limits.max_seconds:
            hours = self._limits.max_seconds / 3600
            raise Permanent(
                f"The recording is longer than {hours:g} hours.", "Split it, or raise `max_hours` under [prepare]."
            )

    def _find_speech(
        self, job: Job, audios: Sequence[Audio], heartbeat: Heartbeat
    ) -> tuple[tuple[Segment, ...], tuple[bytes, ...]]:
        """Return the segments with speech, channel by channel, and the levels of the channels if there are several."""
        import numpy as np

        from transcribed.ingest.preparation.mixer import levels_of

        index = itertools.count()
        segments: list[Segment] = []
        levels: list[bytes] = []
        for channel, audio in enumerate(audios):
            pcm: Any = np.memmap(audio.path, dtype="<i2", mode="r")
            segments += [
                Segment(job.id, next(index), audio, found.start, found.stop, found.speech_samples, channel)
                for found in self._vad.detect(pcm, heartbeat)
            ]
            if len(audios) > 1:
                levels.append(levels_of(pcm))
        return tuple(segments), tuple(levels)


def _names(channels: int, given: Sequence[str]) -> tuple[str, ...]:
    """Name each channel: as given, or else by its number."""
    numbered = (f"channel {n + 1}" for n in range(channels))
    return (*given[:channels], *[f"{name}'" if name in given else name for name in numbered][len(given) :])


def _nothing_in(audio: Audio) -> Incomplete:
    if audio.samples == 0:
        return Incomplete("The file contains no sound.", "The recorder may have been stopped at once; record it again.")
    return Incomplete(f"The recording is only {audio.seconds:.2f} s long.", "At least 0.1 s is needed.")


def make_preparer(
    folder: Path,
    vad_model: Path,
    limits: PreparationLimits,
    defaults: Mapping[Path, InboxDefaults],
    decoders: Sequence[ExternalDecoder],
    slot: str,
) -> Preparer:
    """Build a Preparer in the worker process, so that the daemon itself does not import its libraries.

    Confined before anything else: threads that run already would not be, and torch starts some.
    """
    readable = confinement.confine(folder, vad_model, defaults, decoders)
    import transcribed.ingest.preparation.decoder  # noqa: F401  loads FFmpeg before the limits apply
    from transcribed.ingest.preparation.vad import Vad

    vad = Vad(vad_model)
    sandbox.limit_process(limits.max_seconds, EXTRA_BYTES)
    return Preparer(folder, vad, limits, defaults, decoders, readable)
