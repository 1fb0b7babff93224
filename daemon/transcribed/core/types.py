"""The nouns of the system.

Everything here is frozen and picklable: with the events, these are the only objects that cross a thread or process
boundary.  This module imports nothing of ours but the readings of devices, and knows no folder or library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from transcribed.core.telemetry import Footprint

SAMPLE_RATE = 16_000
"""Hertz; everything after preparation is mono at this rate."""

NO_SPEECH = "nospeech"
"""SenseVoice's language tag for sounds that are no speech."""


SIDECAR = ".transcribe.toml"
"""Appended to the name of a recording: the file that says what is asked for it."""

HOTWORDS = "hotwords.txt"
"""In the root of an inbox: words to expect in its recordings."""


class State(StrEnum):
    QUEUED = "queued"  # waiting, perhaps until not_before
    ACTIVE = "active"  # this run of the daemon has it in hand
    DONE = "done"  # its transcript is in the outbox; with a reason beside it: withdrawn, nothing is owed
    FAILED = "failed"  # a note in the outbox says why; not tried again by itself


@dataclass(frozen=True, slots=True)
class Source:
    """A settled file, as it was when it settled.  Another size, time or inode is another version."""

    inbox: Path
    path: Path
    size: int
    mtime_ns: int
    inode: int  # 0 on shares, where it may be another at every look

    def is_version(self, status: os.stat_result) -> bool:
        """Whether a file that looks like this now is still this version."""
        unchanged = (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)
        return unchanged and self.inode in (0, status.st_ino)

    @property
    def name(self) -> str:
        """The path below its inbox; may hold surrogates where the name is not UTF-8."""
        return str(self.path.relative_to(self.inbox))


@dataclass(frozen=True, slots=True)
class Options:
    """What a recognizer must be told: the batch key.  Unequal options never share a batch."""

    model: str
    language: str = "auto"
    itn: bool = True
    punctuation: str = ""  # a second model, which puts marks where the first puts none
    hotwords: tuple[str, ...] = ()  # to be expected in what is said
    corrections: tuple[tuple[str, str], ...] = ()  # what tends to be heard => what is meant


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What is asked for one recording: by its inbox, by its folders, by what lies beside it."""

    options: Options
    channels: tuple[str, ...] | None = None  # names of those to be recognized apart; None: all are mixed to one
    formats: tuple[str, ...] = ()  # of its transcripts; none: as its outbox has them
    title: str | None = None
    min_coverage: float = 0.5  # share of the speech heard that should become words
    model_version: str = ""  # of its files


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    source: Source
    output: str  # name in the outbox, without the suffix of a format
    added_at: float  # seconds since the epoch
    starts: int = 0  # how often it was taken in hand and never heard of again: the daemon died
    failures: int = 0  # how often it failed alone, of late
    state: State = State.QUEUED
    not_before: float = 0.0
    error: str | None = None
    suspicion: str | None = None  # of its transcript: words may be missing


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
    """A stretch with speech: a reference into its audio, never the samples themselves."""

    job_id: int
    index: int
    audio: Audio
    start: int  # sample
    stop: int  # sample, exclusive
    speech_samples: int  # how much of it the voice activity detector heard as speech
    channel: int = 0

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        return self.speech_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the preparer answers: the audio, where its speech is, and what was learned of the file."""

    audio: Audio  # of the first channel; the others are as long
    segments: tuple[Segment, ...]
    sha256: str
    media: str  # container and codec, for people: "mp3, 44100 Hz, stereo"
    requested: RecordingOptions
    damage: str | None = None  # a sentence, when only part of the file could be decoded
    speakers: tuple[str, ...] = ()  # by channel, where channels are recognized apart
    name_fields: tuple[tuple[str, str], ...] = ()  # what the file's name tells: caller, started, ...
    tags: tuple[tuple[str, str], ...] = ()  # what its container tells: title, creation_time, ...
    levels: tuple[bytes, ...] = ()  # how loud each channel is over time (loudness.py), where there are speakers
    known: Mapping[int, Hypothesis] = field(default_factory=dict)  # what an earlier run has heard already, by segment

    @property
    def speech_seconds(self) -> float:
        return sum(s.speech_seconds for s in self.segments)


@dataclass(frozen=True, slots=True)
class Batch:
    options: Options
    segments: tuple[Segment, ...]

    @property
    def longest_seconds(self) -> float:
        return max(s.seconds for s in self.segments)

    @property
    def padded_seconds(self) -> float:
        """What the device pays for: every row is as long as the longest."""
        return len(self.segments) * self.longest_seconds

    def halves(self) -> tuple[Batch, Batch]:
        middle = len(self.segments) // 2
        return Batch(self.options, self.segments[:middle]), Batch(self.options, self.segments[middle:])

    def without(self, job_id: int) -> Batch:
        return Batch(self.options, tuple(s for s in self.segments if s.job_id != job_id))


@dataclass(frozen=True, slots=True)
class Assignment:
    """A batch on its way to a worker, with what was found when it was admitted."""

    batch: Batch
    need_bytes: float = 0.0
    reserve_bytes: int = 0  # of the device, for others


@dataclass(frozen=True, slots=True)
class ReleaseMemory:
    """No batch: come up if you are not, and give back what is only cached."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: float  # seconds from the start of the segment; in a Transcript, of the recording
    stop: float
    confidence: float  # mean posterior of its tokens, 0..1


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was heard, and written otherwise, as hotwords or corrections ask."""

    heard: str
    written: str
    score: float = 1.0  # how alike they sound, 0..1; 1 for what was asked for literally


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recognizer heard in one segment."""

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
    """What a worker answers to a batch."""

    hypotheses: tuple[Hypothesis, ...]  # one per segment, in its order
    seconds: float  # that the device took
    footprint: Footprint | None = None  # on devices with memory of their own


@dataclass(frozen=True, slots=True)
class Utterance:
    """A hypothesis at its place in the recording."""

    start: float  # seconds
    stop: float
    hypothesis: Hypothesis
    speaker: str | None = None  # where channels are recognized apart


@dataclass(frozen=True, slots=True)
class Transcript:
    job: Job
    preparation: Preparation
    utterances: tuple[Utterance, ...]
    suspicion: str | None = None  # a sentence, when words may be missing

    @property
    def text(self) -> str:
        """All that was said, one utterance a line."""
        return "\n".join(u.hypothesis.text for u in self.utterances if u.hypothesis.text)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no transcript, as a person should read it."""

    job: Job
    reason: str
    hint: str


Outcome = Transcript | Failure
"""What a job ends as, and what the outbox receives."""
