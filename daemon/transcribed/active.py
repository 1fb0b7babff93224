"""A job in hand: what it still waits for, the answers as they come in, and what they amount to.  Lives in memory only.

Knows segments and hypotheses; nothing of ledgers, slots or deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transcribed.core import Failure, Hypothesis, Job, Outcome, Preparation, Segment
from transcribed.transcript import NO_SPEECH, assemble, lost_speech_seconds

HEARD_SECONDS = 0.5  # of speech without any word: a segment is asked a second time, a recording is an error
_LISTEN = "Listen to it: if words can be heard, another model or language may suit it better."


@dataclass(slots=True)
class Active:
    job: Job
    preparation: Preparation | None = None
    waiting: dict[int, Segment] = field(default_factory=dict)
    answers: dict[int, Hypothesis] = field(default_factory=dict)
    asked_again: set[int] = field(default_factory=set)
    outcome: Outcome | None = None  # once it is being delivered
    deliveries: int = 0
    deliver_at: float | None = None  # when delivery is tried again

    def prepared(self, preparation: Preparation) -> None:
        self.preparation = preparation
        self.waiting = {segment.index: segment for segment in preparation.segments}

    def awaits(self, segment: Segment) -> bool:
        """Whether an answer to exactly this segment is still wanted; those of an attempt given up are not."""
        return self.waiting.get(segment.index) is segment

    def asks_again(self, segment: Segment, hypothesis: Hypothesis) -> bool:
        """Whether words are missing where speech was heard, and this is the first time."""
        certain = hypothesis.text or hypothesis.language == NO_SPEECH or segment.speech_seconds < HEARD_SECONDS
        if certain or segment.index in self.asked_again:
            return False
        self.asked_again.add(segment.index)
        return True

    def answer(self, segment: Segment, hypothesis: Hypothesis) -> None:
        del self.waiting[segment.index]
        self.answers[segment.index] = hypothesis

    def result(self) -> Outcome | None:
        """The outcome once every segment has its answer.  Silence is no failure, and failure no silence."""
        if self.waiting or self.preparation is None:
            return None
        lost = lost_speech_seconds(self.preparation, self.answers)
        if lost >= HEARD_SECONDS:
            return Failure(self.job, f"{lost:.1f} s of speech were heard in it, but no word was recognized.", _LISTEN)
        return assemble(self.job, self.preparation, self.answers)
