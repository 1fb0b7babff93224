"""Decide what happens to a job after an error: fail it, retry it later, or discard it.  Pure; the clock is passed in.

Only a job that failed alone is blamed: the caller has already split batches, and a slot takes work only after it
passed its canary.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcribed.core.errors import (
    AudioLost,
    Incomplete,
    Obstructed,
    Permanent,
    TranscribedError,
    Unavailable,
    Withdrawn,
)
from transcribed.core.text import bounded
from transcribed.core.types import Job

UNAVAILABLE_SECONDS = 30.0
OBSTRUCTED_SECONDS = 3600.0  # the file is then recognized again: strangers must not fill the memory with what waits
FAILURE_SECONDS = (10.0, 90.0)  # before the second try, before the third


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    max_failures: int = 3
    failure_window_seconds: float = 72 * 3600.0  # Sidekiq's rule for poison pills: three times in 72 hours
    max_starts: int = 20


@dataclass(frozen=True, slots=True)
class Fail:
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Retry:
    until: float
    reason: str
    counts_as_failure: bool


@dataclass(frozen=True, slots=True)
class Discard:
    reason: str


RetryDecision = Fail | Retry | Discard


def decide(
    error: BaseException, job: Job, now: float, policy: RetryPolicy, grace_seconds: float = 0.0
) -> RetryDecision:
    """Decide what happens to a job after `error`; for `grace_seconds`, an unreadable file may still be growing."""
    reason, hint = bounded(str(error)), error.hint if isinstance(error, TranscribedError) else ""
    match error:
        case Withdrawn():
            return Discard(reason)
        case Unavailable() | AudioLost():
            return Retry(now + UNAVAILABLE_SECONDS, reason, counts_as_failure=False)
        case Obstructed():
            return Retry(now + OBSTRUCTED_SECONDS, reason, counts_as_failure=False)
        case Incomplete() if (until := job.added_at + grace_seconds) > now:
            return Retry(
                until, f"The file may still be incomplete and is retried later.  {reason}", counts_as_failure=False
            )
        case Permanent():
            return Fail(reason, hint)
    if job.failures + 1 >= policy.max_failures:
        return Fail(f"The file failed {job.failures + 1} times.  Last error: {reason}", hint or _ASK)
    return Retry(now + FAILURE_SECONDS[min(job.failures, len(FAILURE_SECONDS) - 1)], reason, counts_as_failure=True)


def exceeded_starts(job: Job, policy: RetryPolicy) -> Permanent | None:
    """Return an error if the daemon has died too often while working on this job, else None."""
    if job.starts <= policy.max_starts:
        return None
    return Permanent(f"The service stopped {job.starts - 1} times while working on this file.", _ASK)


_ASK = "Play the file on your own computer.  If it plays, convert it to WAV, FLAC or MP3, and inform the administrator."
