"""Track a job in progress: the segments still waiting, the answers so far, and the outcome.  Lives in memory only.

Knows segments and hypotheses; nothing of ledgers, slots or deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from transcribed.core.types import Failure, Hypothesis, Job, Options, Outcome, Preparation, Segment
from transcribed.output.coverage import (
    covered_seconds,
    has_words,
    is_lost,
    needs_second_pass,
    suspicion,
    untranscribed_seconds,
)
from transcribed.output.crosstalk import merge_channels
from transcribed.output.transcript import assemble

_LISTEN = "Listen to the recording: if it contains words, another model or language may suit it better."


@dataclass(slots=True)
class ActiveJob:
    job: Job
    preparation: Preparation | None = None
    waiting: dict[int, Segment] = field(default_factory=dict)
    answers: dict[int, Hypothesis] = field(default_factory=dict)
    first_answers: dict[int, Hypothesis] = field(default_factory=dict)  # of segments in their second pass
    outcome: Outcome | None = None  # set once delivery begins
    deliveries: int = 0
    deliver_at: float | None = None  # when delivery is retried

    def set_preparation(self, preparation: Preparation) -> None:
        """Queue the segments to recognize; those that an earlier run has answered are not recognized again."""
        self.preparation = preparation
        self.answers = dict(preparation.known)
        self.waiting = {s.index: s for s in preparation.segments if s.index not in self.answers}

    def awaits(self, segment: Segment) -> bool:
        """Return whether exactly this segment still needs an answer; a segment of an abandoned attempt does not."""
        return self.waiting.get(segment.index) is segment

    def should_retry_segment(self, segment: Segment, hypothesis: Hypothesis) -> bool:
        """Return True, and keep the answer, if words are missing where speech was detected, for the first time."""
        if segment.index in self.first_answers or not needs_second_pass(segment, hypothesis):
            return False
        self.first_answers[segment.index] = hypothesis
        return True

    def answer(self, segment: Segment, hypothesis: Hypothesis) -> Hypothesis:
        """Record an answer.  Of two to the same segment, keep the better one; return the one kept."""
        del self.waiting[segment.index]
        first = self.first_answers.pop(segment.index, None)
        self.answers[segment.index] = hypothesis if first is None else better_answer(segment, first, hypothesis)
        return self.answers[segment.index]

    def result(self) -> Outcome | None:
        """Return the outcome once every segment has its answer, None before.

        A silent recording is not a failure, nor is a call that nobody answers; a failure never passes for silence.
        """
        if self.waiting or self.preparation is None:
            return None
        if is_lost(self.preparation, self.answers):
            mute = untranscribed_seconds(self.preparation, self.answers)
            return Failure(self.job, f"The file has {mute:.1f} s of speech, but no words were recognized.", _LISTEN)
        made = assemble(self.job, self.preparation, self.answers)
        levels = dict(zip(self.preparation.speakers, self.preparation.levels, strict=True))
        utterances = merge_channels(made.utterances, levels) if levels else made.utterances
        return replace(made, utterances=utterances, suspicion=suspicion(self.preparation, self.answers))


def better_answer(segment: Segment, first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """Return the answer whose words cover more of the segment.

    An answer with words is never replaced by one without any, or by one in another language.
    """
    if has_words(first) and (second.language != first.language or not has_words(second)):
        return first
    return max(first, second, key=lambda answer: covered_seconds(segment, answer))  # the first if they are equal


def neutral_options(options: Options) -> Options:
    """Return the options for a second pass, without anything that could mislead the recognizer."""
    return replace(options, language="auto", hotwords=())
