"""What is agreed on a source and its folders, as functions: their caller knows neither configuration nor disks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from transcribed.core.types import Hypothesis, Job, Outcome, Preparation, Segment, Source

Answers = Sequence[tuple[Segment, Hypothesis]]


@dataclass(frozen=True, slots=True)
class Places:
    priorities: Mapping[Path, int]  # of the inboxes
    deliver: Callable[[Outcome], Future[None]]
    tidy: Callable[[Job], Future[None]]
    discard: Callable[[int], None]  # the spooled audio of a job
    forget: Callable[[Source], None]  # a withdrawn version: should it come back, it is to be noticed again
    obstacle: Callable[[], str | None] = lambda: None  # why no file may be begun now
    keep_answers: Callable[[Preparation, Answers], None] = lambda preparation, answers: None  # should we be interrupted
    drop_answers: Callable[[Preparation], None] = lambda preparation: None  # nobody needs them any more
    output_of: Callable[[Source], str] = lambda source: source.name  # of its transcripts, without suffix
