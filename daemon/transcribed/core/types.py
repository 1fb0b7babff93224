"""The value types of the system.

Everything here is frozen and picklable: with the events, these are the only objects that cross a thread or process
boundary.  This module imports nothing of ours but telemetry.py, and knows no folder or library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from transcribed.core.telemetry import Footprint

SAMPLE_RATE = 16_000
"""Hertz; everything after preparation is mono at this rate."""

NO_SPEECH = "nospeech"
"""SenseVoice's language tag for sounds other than speech."""


SIDECAR = ".transcribe.toml"
"""Suffix of a recording's options file: appended to the whole name of the recording."""

BEST_TRACK, ALL_TRACKS = "best", "all"
"""What may be asked of a file with several audio tracks, besides a language."""

HOTWORDS = "hotwords.txt"
"""File in the root of an inbox with the words to expect in its recordings."""


class State(StrEnum):
    QUEUED = "queued"  # waiting, perhaps until not_before
    ACTIVE = "active"  # in progress in this run of the daemon
    DONE = "done"  # its transcript is in the outbox; if an error is set, the job was withdrawn without one
    FAILED = "failed"  # a note in the outbox says why; not retried automatically


@dataclass(frozen=True, slots=True)
class Source:
    """A settled file, as it was when it settled.  A different size, time or inode means another version."""

    inbox: Path
    path: Path
    size: int
    mtime_ns: int
    inode: int  # 0 on shares, where it may differ at every look

    def is_version(self, status: os.stat_result) -> bool:
        """Return True if a file with this status is still this version."""
        unchanged = (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)
        return unchanged and self.inode in (0, status.st_ino)

    @property
    def name(self) -> str:
        """The path relative to its inbox; holds surrogates if the name is not UTF-8."""
        return str(self.path.relative_to(self.inbox))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a recognizer, and so the batch key: unequal options never share a batch."""

    model: str
    language: str = "auto"
    itn: bool = True
    punctuation: str = ""  # a second model, which adds punctuation where the first gives none
    hotwords: tuple[str, ...] = ()  # words to expect
    corrections: tuple[tuple[str, str], ...] = ()  # as often recognized => as meant


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is to be known of the models that make a transcript, by those who judge and read it."""

    version: str = ""  # of their files
    min_confidence: float = 0.0  # of the words, on average, to be believed
    caution: str = ""  # a sentence that no reader may miss
    credit: str = ""  # who made them, and their licences


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """The options of one recording: from its inbox, its folders and its options file."""

    options: Options
    channels: tuple[str, ...] | None = None  # names of the channels to recognize separately; None: mix all to one
    tracks: str = BEST_TRACK  # or ALL_TRACKS, each a speaker, or the language of the track that is preferred
    formats: tuple[str, ...] = ()  # of its transcripts; empty: those of its outbox
    title: str | None = None
    min_coverage: float = 0.5  # share of the detected speech that should yield words
    model: ModelFacts = ModelFacts()


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    source: Source
    output: str  # name in the outbox, without the suffix of a format
    added_at: float  # seconds since the epoch
    starts: int = 0  # times it was started without an outcome: the daemon died
    failures: int = 0  # recent failures with no other file in the batch
    state: State = State.QUEUED
    not_before: float = 0.0
    error: str | None = None
    suspicion: str | None = None  # a sentence if words may be missing from its transcript


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded sound in the spool: headerless 16 kHz mono s16le."""

    path: Path
    samples: int

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech: a reference into its audio, never the samples themselves."""

    job_id: int
    index: int
    audio: Audio
    start: int  # sample
    stop: int  # sample, exclusive
    speech_samples: int  # samples that the voice activity detector classified as speech
    channel: int = 0

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        return self.speech_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Preparation:
    """The preparer's result: the audio, its speech segments, and facts about the file."""

    audio: Audio  # of the first channel; the others have the same length
    segments: tuple[Segment, ...]
    sha256: str
    media: str  # container and codec, for people: "mp3, 44100 Hz, stereo"
    requested: RecordingOptions
    damage: str | None = None  # a sentence if only part of the file could be decoded
    speakers: tuple[str, ...] = ()  # by channel, if channels are recognized separately
    name_fields: tuple[tuple[str, str], ...] = ()  # parsed from the file's name: caller, started, ...
    tags: tuple[tuple[str, str], ...] = ()  # from its container: title, creation_time, ...
    levels: tuple[bytes, ...] = ()  # loudness of each channel over time (loudness.py), if there are speakers
    known: Mapping[int, Hypothesis] = field(default_factory=dict)  # recognized by an earlier run, by segment index
    loud_seconds: float = 0.0  # clearly louder than the background, and in no segment
    unheard_tracks: int = 0  # audio tracks of the file that were not decoded
    cut_short: bool = False  # the end of the recording is missing: the rest may still be on its way

    @property
    def speech_seconds(self) -> float:
        return sum(s.speech_seconds for s in self.segments)

    @property
    def segment_seconds(self) -> float:
        """The seconds in any segment, of all channels together; what two have in common counts once."""
        common = sum(max(0, a.stop - b.start) for a, b in pairwise(self.segments) if a.channel == b.channel)
        return sum(s.seconds for s in self.segments) - common / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Batch:
    options: Options
    segments: tuple[Segment, ...]

    @property
    def longest_seconds(self) -> float:
        return max(s.seconds for s in self.segments)

    @property
    def padded_seconds(self) -> float:
        """The cost on the device: every row is padded to the longest."""
        return len(self.segments) * self.longest_seconds

    def halves(self) -> tuple[Batch, Batch]:
        middle = len(self.segments) // 2
        return Batch(self.options, self.segments[:middle]), Batch(self.options, self.segments[middle:])

    def without(self, job_id: int) -> Batch:
        return Batch(self.options, tuple(s for s in self.segments if s.job_id != job_id))


@dataclass(frozen=True, slots=True)
class Assignment:
    """A batch on its way to a worker, with the figures of its admission."""

    batch: Batch
    need_bytes: float = 0.0
    reserve_bytes: int = 0  # of the device, for others


@dataclass(frozen=True, slots=True)
class ReleaseMemory:
    """A request without a batch: start if necessary, and release cached memory."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: float  # seconds from the start of the segment; in a Transcript, of the recording
    stop: float
    confidence: float  # mean posterior of its tokens, 0..1


@dataclass(frozen=True, slots=True)
class Replacement:
    """A recognized phrase that hotwords or corrections replaced in writing."""

    heard: str
    written: str
    score: float = 1.0  # similarity in sound, 0..1; 1 for a literal correction


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A recognizer's result for one segment."""

    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()
    confidence: float | None = None  # mean posterior of all tokens, 0..1
    raw: str = ""  # the model's own tags and text, unparsed
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognition:
    """A worker's result for one batch."""

    hypotheses: tuple[Hypothesis, ...]  # one per segment, in its order
    seconds: float  # of device time
    footprint: Footprint | None = None  # on devices with their own memory


@dataclass(frozen=True, slots=True)
class Utterance:
    """A hypothesis at its place in the recording."""

    start: float  # seconds
    stop: float
    hypothesis: Hypothesis
    speaker: str | None = None  # if channels are recognized separately


@dataclass(frozen=True, slots=True)
class Transcript:
    job: Job
    preparation: Preparation
    utterances: tuple[Utterance, ...]
    suspicion: str | None = None  # a sentence if words may be missing

    @property
    def text(self) -> str:
        """The whole text, one utterance a line."""
        return "\n".join(u.hypothesis.text for u in self.utterances if u.hypothesis.text)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a job has no transcript, worded for a person."""

    job: Job
    reason: str
    hint: str


Outcome = Transcript | Failure
"""The end of a job, as the outbox receives it."""
