"""Runs the shipped model folders the way the product does: loaded by FunASR, whole encoder, best path.

It knows nothing of how the models were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.tools.demo_model.corpus import as_recorded
from tests.tools.demo_model.train import AUTO, EVENT_AND_EMOTION, best_path

WITHOUT_ITN = 15
BATCH = 40
RICH = 4


@dataclass(frozen=True)
class Answer:
    """What the recogniser says of a recording."""

    language: str
    text: str


def load_model(folder: Path) -> Any:
    """A FunASR AutoModel."""
    from funasr import AutoModel

    return AutoModel(model=str(folder), disable_update=True, device="cpu", disable_pbar=True, disable_log=True)


class Recogniser:
    """The shipped SenseVoiceSmall."""

    def __init__(self, folder: Path) -> None:
        """Load through FunASR."""
        auto = load_model(folder)
        self.model = auto.model.eval()
        self.frontend = auto.kwargs["frontend"]
        self.tokenizer = auto.kwargs["tokenizer"]

    def recognise(self, recordings: list[np.ndarray]) -> list[Answer]:
        """Answers in the order of the recordings; batches hold similar lengths."""
        order = sorted(range(len(recordings)), key=lambda index: len(recordings[index]))
        answers: dict[int, Answer] = {}
        for start in range(0, len(order), BATCH):
            group = order[start : start + BATCH]
            answers.update(zip(group, self._batch([recordings[index] for index in group]), strict=True))
        return [answers[index] for index in range(len(recordings))]

    @torch.no_grad()
    def _batch(self, recordings: list[np.ndarray]) -> list[Answer]:
        waves = [as_recorded(samples) for samples in recordings]
        padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
        features, lengths = self.frontend(padded, [len(wave) for wave in waves])
        queries = self.model.embed(torch.tensor([[AUTO, *EVENT_AND_EMOTION, WITHOUT_ITN]] * len(waves)))
        output, _ = self.model.encoder(torch.cat([queries, features], 1), lengths + RICH)
        scores = self.model.ctc.ctc_lo(output)
        return [self._answer(row[: length + RICH]) for row, length in zip(scores, lengths.tolist(), strict=True)]

    def _answer(self, scores: torch.Tensor) -> Answer:
        language = self.tokenizer.decode([int(scores[0].argmax())])
        return Answer(language.strip("<|>"), self.tokenizer.decode(best_path(scores[RICH:])))


class Detector:
    """The shipped FsmnVADStreaming."""

    def __init__(self, folder: Path) -> None:
        """Load through FunASR."""
        self.auto = load_model(folder)

    def segments(self, samples: np.ndarray) -> list[tuple[float, float]]:
        """Begin and end of the segments in seconds."""
        found = self.auto.generate(input=as_recorded(samples), cache={}, disable_pbar=True)[0]["value"]
        return [(begin / 1000, end / 1000) for begin, end in found]
