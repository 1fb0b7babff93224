"""Assemble answers into a transcript: place every hypothesis in the recording, and join texts by language.  Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from transcribed.core.types import (
    NO_SPEECH,
    SAMPLE_RATE,
    Hypothesis,
    Job,
    Preparation,
    Segment,
    Transcript,
    Utterance,
    Word,
)
from transcribed.output.overlap import join_overlapping


def assemble(job: Job, preparation: Preparation, answers: Mapping[int, Hypothesis]) -> Transcript:
    """Return one utterance per segment with words or events, in order; times in seconds of the recording.

    Raise KeyError if a segment has no answer.
    """
    speakers = dict(enumerate(preparation.speakers))
    placed = (_placed(s, answers[s.index], speakers.get(s.channel)) for s in preparation.segments)
    told = (u for u in join_overlapping(placed) if u.hypothesis.text or u.hypothesis.events)
    return Transcript(job, preparation, tuple(told))


def language_of(transcript: Transcript) -> str | None:
    """Return the language of most of the spoken time; None if there is none."""
    seconds: dict[str, float] = defaultdict(float)
    for utterance in transcript.utterances:
        if utterance.hypothesis.text and utterance.hypothesis.language not in (None, NO_SPEECH):
            seconds[utterance.hypothesis.language] += utterance.stop - utterance.start
    return max(seconds, key=lambda language: seconds[language], default=None)


def _placed(segment: Segment, hypothesis: Hypothesis, speaker: str | None) -> Utterance:
    start, stop = segment.start / SAMPLE_RATE, segment.stop / SAMPLE_RATE
    words = tuple(_shifted(word, start, stop) for word in hypothesis.words)
    return Utterance(round(start, 3), round(stop, 3), replace(hypothesis, words=words), speaker)


def _shifted(word: Word, start: float, stop: float) -> Word:
    return replace(word, start=round(min(stop, start + word.start), 3), stop=round(min(stop, start + word.stop), 3))
