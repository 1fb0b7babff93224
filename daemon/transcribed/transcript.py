"""Answers -> Transcript: put every hypothesis at its place in the recording, and join texts as their languages do.
Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from transcribed.core import SAMPLE_RATE, Hypothesis, Job, Preparation, Segment, Transcript, Utterance, Word

NO_SPEECH = "nospeech"
"""SenseVoice's language tag for sounds that are no speech."""


def assemble(job: Job, preparation: Preparation, answers: Mapping[int, Hypothesis]) -> Transcript:
    """One utterance per segment with words or events, in order; times in seconds of the recording.

    Raises KeyError if a segment has no answer.
    """
    placed = (_placed(segment, answers[segment.index]) for segment in preparation.segments)
    return Transcript(job, preparation, tuple(u for u in placed if u.hypothesis.text or u.hypothesis.events))


def lost_speech_seconds(preparation: Preparation, answers: Mapping[int, Hypothesis]) -> float:
    """Seconds of speech that were heard, in a recording of which no word was recognized; 0 where all is well.

    Where the recognizer itself says that it is no speech, it is believed.
    """
    if any(hypothesis.text for hypothesis in answers.values()):
        return 0.0
    mute = (s.speech_seconds for s in preparation.segments if answers[s.index].language != NO_SPEECH)
    return sum(mute, 0.0)


def language_of(transcript: Transcript) -> str | None:
    """The language of most of the spoken time."""
    seconds: dict[str, float] = defaultdict(float)
    for utterance in transcript.utterances:
        if utterance.hypothesis.text and utterance.hypothesis.language:
            seconds[utterance.hypothesis.language] += utterance.stop - utterance.start
    return max(seconds, key=lambda language: seconds[language], default=None)


def join(texts: Iterable[str]) -> str:
    """Join pieces of text: a space between them, none between characters of scripts written without."""
    joined = ""
    for text in texts:
        tight = not joined or not text or (_unspaced(joined[-1]) and _unspaced(text[0])) or _closing(text[0])
        joined += text if tight else f" {text}"
    return joined


def _placed(segment: Segment, hypothesis: Hypothesis) -> Utterance:
    start, stop = segment.start / SAMPLE_RATE, segment.stop / SAMPLE_RATE
    words = tuple(_shifted(word, start, stop) for word in hypothesis.words)
    return Utterance(round(start, 3), round(stop, 3), replace(hypothesis, words=words))


def _shifted(word: Word, start: float, stop: float) -> Word:
    return replace(word, start=round(min(stop, start + word.start), 3), stop=round(min(stop, start + word.stop), 3))


def _unspaced(character: str) -> bool:
    """Han, kana and their full-width punctuation."""
    code = ord(character)
    return 0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF or code >= 0x20000


def _closing(character: str) -> bool:
    return character in ",.;:!?%)]}，。；：！？、）】》」』"
