"""Measure how much of the detected speech has words, to notice when a recognizer lost some.  Pure.

The voice activity detector and the recognizer are two witnesses of the same sound.  If the recognizer says that a
segment is not speech, it is believed; if it returns nothing, the segment is recognized once more.  If it returns
nothing again, neither is believed: a ringing tone is speech to the one, and a mumbled name is none to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from transcribed.core.types import NO_SPEECH, Hypothesis, Preparation, Segment

MAX_UNTRANSCRIBED_SECONDS = 0.5  # of speech in a segment without any word: it is recognized again
MISSING_SECONDS = 4.0  # of speech without words in a segment that has some: it is recognized again
TELLING_SECONDS = 10.0  # of speech in a recording; its coverage is meaningful from here on
PAUSE_SECONDS = 1.5  # between words; a longer one is a gap


def has_words(hypothesis: Hypothesis) -> bool:
    """Return whether the text has words; punctuation alone does not count."""
    return any(map(str.isalnum, hypothesis.text))


def covered_seconds(segment: Segment, hypothesis: Hypothesis) -> float:
    """Return how many seconds of a segment's speech have words."""
    if hypothesis.language == NO_SPEECH:
        return segment.speech_seconds
    if not has_words(hypothesis):
        return 0.0
    if not hypothesis.words:
        return segment.speech_seconds
    edges = [(0.0, 0.0), *((word.start, word.stop) for word in hypothesis.words), (segment.seconds, segment.seconds)]
    holes = sum(gap for (_, stop), (start, _) in pairwise(edges) if (gap := start - stop) > PAUSE_SECONDS)
    return max(0.0, segment.speech_seconds - holes)


def needs_second_pass(segment: Segment, hypothesis: Hypothesis) -> bool:
    """Return whether enough words seem to be missing to recognize the segment again."""
    missing = segment.speech_seconds - covered_seconds(segment, hypothesis)
    return missing >= (MISSING_SECONDS if has_words(hypothesis) else MAX_UNTRANSCRIBED_SECONDS)


def untranscribed_seconds(preparation: Preparation, answers: Mapping[int, Hypothesis]) -> float:
    """Return the seconds of detected speech in a recording without any recognized word; 0 if there are words."""
    if any(map(has_words, answers.values())):
        return 0.0
    mute = (s.speech_seconds for s in preparation.segments if answers[s.index].language != NO_SPEECH)
    return sum(mute, 0.0)


def is_lost(preparation: Preparation, answers: Mapping[int, Hypothesis]) -> bool:
    """Return whether most of a recording was speech, and plenty of it, and none of it became a word."""
    mute = untranscribed_seconds(preparation, answers)
    return mute >= TELLING_SECONDS and mute > preparation.audio.seconds / 2


def confidence_of(preparation: Preparation, answers: Mapping[int, Hypothesis]) -> float | None:
    """Return the mean confidence of the segments with words, by their length; None if there is none with any."""
    pairs = ((segment, answers[segment.index]) for segment in preparation.segments)
    told = [(s.seconds, a.confidence) for s, a in pairs if a.confidence is not None and has_words(a)]
    return sum(seconds * sure for seconds, sure in told) / sum(seconds for seconds, _ in told) if told else None


def suspicion(preparation: Preparation, answers: Mapping[int, Hypothesis]) -> str | None:
    """Return a sentence if too little of the speech has words, or words that the recognizer is sure of, else None."""
    mute = untranscribed_seconds(preparation, answers)
    if mute and max(segment.speech_seconds for segment in preparation.segments) >= MAX_UNTRANSCRIBED_SECONDS:
        return f"{mute:.1f} seconds sounded like speech, but no words were recognized in them."
    sure = confidence_of(preparation, answers)
    if sure is not None and sure < preparation.requested.model.min_confidence:
        return f"The recognizer was unsure of these words ({sure:.0%} on average); many may be wrong."
    heard = preparation.speech_seconds
    covered = sum((covered_seconds(s, answers[s.index]) for s in preparation.segments), 0.0)
    if heard < TELLING_SECONDS or covered >= preparation.requested.min_coverage * heard:
        return None
    return (
        f"Speech was detected in {heard:.0f} seconds, but only {covered:.0f} of them have words; some may be missing."
    )
