"""Trains the demonstration recogniser, FunASR's SenseVoiceSmall in a small size, on the corpus.

The loss is FunASR's: CTC over the words and cross-entropy over the four rich tokens in front. It knows nothing of
espeak-ng and of the shipped files.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, ctc_loss

from tests.tools.demo_model.corpus import Example
from tests.tools.demo_model.words import PIECE_NUMBER, word_ids

CONFIG = Path(__file__).with_name("sensevoice.yaml")
FEATURES = 560
MEL_BINS = 80
FRAMES_PER_BATCH = 2400
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 300
# The learning rate is constant up to this share of the steps and falls to zero after it.
CONSTANT_SHARE = 0.7
AVERAGE_DECAY = 0.995
RICH_WEIGHT = 0.3

# Rows of SenseVoiceSmall's query embedding, as its inference uses them (lid_dict, textnorm_dict).
AUTO, EVENT_AND_EMOTION = 0, (1, 2)
LANGUAGE_QUERY = {"zh": 3, "en": 4, "nospeech": 13}
STYLE_QUERY = {14: "<|withitn|>", 15: "<|woitn|>"}

Rng = np.random.Generator
# FunASR has no types.
Model = Any


@dataclass(frozen=True)
class Normalisation:
    """What am.mvn holds: both are applied as (features + shift) * scale."""

    shift: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, examples: list[Example]) -> Normalisation:
        """Statistics of the frames that are not digital silence, which would outweigh all others."""
        frames = np.concatenate([one.features.astype(np.float32) for one in examples])
        audible = frames[frames.mean(1) > 0]
        return cls(-audible.mean(0), 1 / audible.std(0))


def build(vocabulary: int) -> Model:
    """An untrained model."""
    from funasr.models.sense_voice.model import SenseVoiceSmall
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(CONFIG))
    return SenseVoiceSmall(
        encoder=config["encoder"],
        encoder_conf=config["encoder_conf"],
        input_size=FEATURES,
        vocab_size=vocabulary,
        **config["model_conf"],
    )


def rich_ids(example: Example, style: str) -> list[int]:
    """The four tokens in front of the words: language, emotion, event, text style."""
    if example.words:
        tokens = [f"<|{example.language}|>", "<|NEUTRAL|>", "<|Speech|>", style]
    else:
        tokens = ["<|nospeech|>", "<|EMO_UNKNOWN|>", "<|BGM|>" if example.musical else "<|Event_UNK|>", style]
    return [PIECE_NUMBER[token] for token in tokens]


def masked(rng: Rng, features: np.ndarray) -> np.ndarray:
    """SpecAugment with masks short enough that no word vanishes."""
    bands = features.reshape(len(features), -1, MEL_BINS).copy()
    for _ in range(2):
        first = rng.integers(0, MEL_BINS)
        bands[:, :, first : first + rng.integers(0, 12)] = 0
    for _ in range(1 + len(features) // 50):
        first = rng.integers(0, len(features))
        bands[first : first + rng.integers(0, 3)] = 0
    return bands.reshape(len(features), -1)


class Batch:
    """Padded features, queries and targets of some examples."""

    def __init__(self, examples: list[Example], normalisation: Normalisation, rng: Rng | None) -> None:
        """Without a random generator nothing is masked and the language is not given."""
        features = [(one.features + normalisation.shift) * normalisation.scale for one in examples]
        if rng:
            features = [masked(rng, one) for one in features]
        tensors = [torch.from_numpy(one.astype(np.float32)) for one in features]
        self.features = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        self.lengths = torch.tensor([len(one) for one in features])
        self.words = [word_ids(one.language, one.words) for one in examples]
        styles = [14 + int(rng.integers(2)) if rng else 15 for _ in examples]
        told = [rng is not None and rng.random() < 0.4 for _ in examples]
        languages = [LANGUAGE_QUERY[one.language] if tell else AUTO for one, tell in zip(examples, told, strict=True)]
        self.queries = torch.tensor([[a, *EVENT_AND_EMOTION, b] for a, b in zip(languages, styles, strict=True)])
        self.rich = torch.tensor([rich_ids(a, STYLE_QUERY[b]) for a, b in zip(examples, styles, strict=True)])


def logits(model: Model, batch: Batch) -> torch.Tensor:
    """Output layer before softmax; the first four positions answer the queries."""
    inputs = torch.cat([model.embed(batch.queries), batch.features], 1)
    return model.ctc.ctc_lo(model.encoder(inputs, batch.lengths + 4)[0])


def loss_of(model: Model, batch: Batch) -> torch.Tensor:
    """CTC over the words plus cross-entropy over the rich tokens."""
    output = logits(model, batch)
    rich = cross_entropy(output[:, :4].flatten(0, 1), batch.rich.flatten(), label_smoothing=0.02)
    targets = torch.tensor([number for words in batch.words for number in words], dtype=torch.long)
    counts = torch.tensor([len(words) for words in batch.words])
    scores = output[:, 4:].log_softmax(-1).transpose(0, 1)
    words = ctc_loss(scores, targets, batch.lengths, counts, reduction="none", zero_infinity=True)
    # Without the lower bound an utterance without words would weigh as much as all others together.
    return (words / counts.clamp(min=3)).mean() + RICH_WEIGHT * rich


def batches(rng: Rng, examples: list[Example]) -> Iterator[list[Example]]:
    """Examples of similar length, in random order, with about the same number of frames in each batch."""
    lengths = np.array([len(one.features) + 4 for one in examples])
    order = np.argsort(lengths + rng.uniform(0, 8, len(lengths)))
    groups: list[list[int]] = [[]]
    for index in order:
        if (len(groups[-1]) + 1) * lengths[index] > FRAMES_PER_BATCH:
            groups.append([])
        groups[-1].append(index)
    for group in rng.permutation(len(groups)):
        yield [examples[index] for index in groups[group]]


def rate_at(step: int, steps: int) -> float:
    """Factor of the learning rate."""
    return min(1.0, (step + 1) / WARM_UP_STEPS, max(0.002, (1 - step / steps) / (1 - CONSTANT_SHARE)))


class Trainer:
    """The model under training, its optimiser, and the running average of its weights, which is what is shipped."""

    def __init__(self, examples: list[Example], vocabulary: int, epochs: int) -> None:
        """Deterministic for a given corpus, number of epochs and number of threads."""
        torch.manual_seed(1)
        self.rng = np.random.default_rng(1)
        self.examples = examples
        self.normalisation = Normalisation.of(examples)
        self.model = build(vocabulary)
        self.average = copy.deepcopy(self.model).eval()
        self.steps = epochs * sum(1 for _ in batches(np.random.default_rng(0), examples))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: rate_at(step, self.steps))

    def epoch(self) -> float:
        """One pass over the examples; returns the mean loss."""
        self.model.train()
        losses = [self._step(group) for group in batches(self.rng, self.examples)]
        return float(np.mean(losses))

    def save(self, path: Path) -> None:
        """Averaged weights and normalisation."""
        torch.save({"weights": self.average.state_dict(), "normalisation": self.normalisation}, path)

    def _step(self, group: list[Example]) -> float:
        loss = loss_of(self.model, Batch(group, self.normalisation, self.rng))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self._follow()
        return loss.item()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster at the beginning."""
        step = self.schedule.last_epoch
        decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
        for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def best_path(output: torch.Tensor) -> list[int]:
    """Collapse the best piece of each frame to pieces: no repetitions, no blanks."""
    numbers = torch.unique_consecutive(output.argmax(-1)).tolist()
    return [number for number in numbers if number]


@torch.no_grad()
def exact_share(model: Model, normalisation: Normalisation, examples: list[Example]) -> float:
    """Share of utterances whose words and rich tokens are all right."""
    right = 0
    for start in range(0, len(examples), 50):
        batch = Batch(examples[start : start + 50], normalisation, None)
        for row, length, rich, words in zip(logits(model, batch), batch.lengths, batch.rich, batch.words, strict=True):
            right += row[:4].argmax(-1).tolist() == rich.tolist() and best_path(row[4 : 4 + length]) == words
    return right / len(examples)


def train(examples: list[Example], vocabulary: int, epochs: int, path: Path, check: int = 250) -> None:
    """Train and keep the weights at `path` after every epoch; the last `check` examples are not trained on."""
    trainer = Trainer(examples[:-check], vocabulary, epochs)
    started = time.monotonic()
    for number in range(1, epochs + 1):
        loss = trainer.epoch()
        exact = exact_share(trainer.average, trainer.normalisation, examples[-check:])
        trainer.save(path)
        print(f"train: epoch {number} loss {loss:.3f} exact {exact:.1%} {time.monotonic() - started:.0f} s", flush=True)
