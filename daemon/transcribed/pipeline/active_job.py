"""A job in hand: what it still waits for, the answers as they come in, and what they amount to.  Lives in memory only.

Knows segments and hypotheses; nothing of ledgers, slots or deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from transcribed.core.types import Failure, Hypothesis, Job, Options, Outcome, Preparation, Segment
from transcribed.output.coverage import (
    MAX_UNTRANSCRIBED_SECONDS,
    covered_seconds,
    has_words,
    needs_second_pass,
    suspicion,
    untranscribed_seconds,
)
from transcribed.output.crosstalk import merge_channels
from transcribed.output.transcript import assemble

_LISTEN = "Listen to it: if words can be heard, another model or language may suit it better."


@dataclass(slots=True)
class ActiveJob:
    job: Job
    preparation: Preparation | None = None
    waiting: dict[int, Segment] = field(default_factory=dict)
    answers: dict[int, Hypothesis] = field(default_factory=dict)
    first_answers: dict[int, Hypothesis] = field(
        default_factory=dict
    )  # first answers to segments that were asked again
    outcome: Outcome | None = None  # once it is being delivered
    deliveries: int = 0
    deliver_at: float | None = None  # when delivery is tried again

    def set_preparation(self, preparation: Preparation) -> None:
        """What an earlier run has heard already is not asked again."""
        self.preparation = preparation
        self.answers = dict(preparation.known)
        self.waiting = {s.index: s for s in preparation.segments if s.index not in self.answers}

    def awaits(self, segment: Segment) -> bool:
        """Whether an answer to exactly this segment is still wanted; those of an attempt given up are not."""
        return self.waiting.get(segment.index) is segment

    def should_retry_segment(self, segment: Segment, hypothesis: Hypothesis) -> bool:
        """Whether words are missing where speech was heard, and this is the first time."""
        if segment.index in self.first_answers or not needs_second_pass(segment, hypothesis):
            return False
        self.first_answers[segment.index] = hypothesis
        return True

    def answer(self, segment: Segment, hypothesis: Hypothesis) -> Hypothesis:
        """Takes an answer; of two to the same segment the better one is kept, and returned."""
        del self.waiting[segment.index]
        first = self.first_answers.pop(segment.index, None)
        self.answers[segment.index] = hypothesis if first is None else better_answer(segment, first, hypothesis)
        return self.answers[segment.index]

    def result(self) -> Outcome | None:
        """The outcome once every segment has its answer.  Silence is no failure, and failure no silence."""
        if self.waiting or self.preparation is None:
            return None
        mute = untranscribed_seconds(self.preparation, self.answers)
        if mute >= MAX_UNTRANSCRIBED_SECONDS:
            return Failure(self.job, f"{mute:.1f} s of speech were heard in it, but no word was recognized.", _LISTEN)
        made = assemble(self.job, self.preparation, self.answers)
        levels = dict(zip(self.preparation.speakers, self.preparation.levels, strict=True))
        utterances = merge_channels(made.utterances, levels) if levels else made.utterances
        return replace(made, utterances=utterances, suspicion=suspicion(self.preparation, self.answers))


def better_answer(segment: Segment, first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """Of two answers, the one whose words cover more; words never give way to none, or to those of another language."""
    if has_words(first) and (second.language != first.language or not has_words(second)):
        return first
    return max(first, second, key=lambda answer: covered_seconds(segment, answer))  # the first, where they are even


def neutral_options(options: Options) -> Options:
    """What a segment is asked with a second time: nothing that could lead the recognizer astray."""
    return replace(options, language="auto", hotwords=())
