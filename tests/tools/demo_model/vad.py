"""Trains the demonstration voice activity detector, FunASR's FSMN in a small size, on scenes.

The model's output 0 is silence and output 1 speech, as FsmnVADStreaming reads them. It knows nothing of
espeak-ng and of the shipped files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy, pad

from tests.tools.demo_model.scenes import Scene
from tests.tools.demo_model.train import Model, Normalisation

CONFIG = Path(__file__).with_name("vad.yaml")
CONTEXT = 2
BATCH = 12
LEARNING_RATE = 2e-3
# Frames before the batch's longest scene ends, but after a scene's own end, do not count.
IGNORED = -1.0
# FsmnVADStreaming takes the logarithm of both probabilities, so neither may ever be rounded to zero.
LEAST_PROBABILITY = 0.02


def stacked(mel: np.ndarray) -> np.ndarray:
    """Each frame with two neighbours on either side: FunASR's low frame rate features with m = 5, n = 1."""
    index = np.arange(len(mel))[:, None] + np.arange(-CONTEXT, CONTEXT + 1)
    return mel[np.clip(index, 0, len(mel) - 1)].reshape(len(mel), -1).astype(np.float32)


def normalisation_of(scenes: list[Scene]) -> Normalisation:
    """Mean and deviation per mel bin over the frames that are not digital silence."""
    frames = np.concatenate([scene.mel for scene in scenes]).astype(np.float32)
    audible = frames[frames.mean(1) > 0]
    repeat = 2 * CONTEXT + 1
    return Normalisation(np.tile(-audible.mean(0), repeat), np.tile(1 / audible.std(0), repeat))


def build() -> Model:
    """An untrained model."""
    from funasr.models.fsmn_vad_streaming.model import FsmnVADStreaming
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(CONFIG))
    return FsmnVADStreaming(encoder=config["encoder"], encoder_conf=config["encoder_conf"], **config["model_conf"])


def batch_of(scenes: list[Scene], normalisation: Normalisation) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded features and truth."""
    length = max(len(scene.mel) for scene in scenes)
    features, truth = [], []
    for scene in scenes:
        normal = torch.from_numpy((stacked(scene.mel) + normalisation.shift) * normalisation.scale)
        missing = length - len(normal)
        features.append(pad(normal, (0, 0, 0, missing)))
        truth.append(pad(torch.from_numpy(scene.speech), (0, missing), value=IGNORED))
    return torch.stack(features), torch.stack(truth)


def loss_of(model: Model, features: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy between silence and speech."""
    silent = model.encoder(features)[..., 0].clamp(1e-6, 1 - 1e-6)
    target = truth.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return binary_cross_entropy(1 - silent, target, reduction="none")[truth != IGNORED].mean()


@torch.no_grad()
def frame_accuracy(model: Model, normalisation: Normalisation, scenes: list[Scene]) -> float:
    """Share of frames that FsmnVADStreaming's rule decides rightly."""
    features, truth = batch_of(scenes, normalisation)
    silent = model.encoder(features)[..., 0]
    right = (1 - silent >= silent + 0.5) == (truth > 0)
    return float(right[truth != IGNORED].float().mean())


def step(model: Model, optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step of the optimiser."""
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def train(scenes: list[Scene], epochs: int, path: Path, check: int = 50) -> None:
    """Train and keep the weights at `path`; the last `check` scenes are not trained on."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    model, normalisation = build(), normalisation_of(scenes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    learn, groups = scenes[:-check], (len(scenes) - check) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=epochs * groups)
    for number in range(1, epochs + 1):
        for group in np.array_split(rng.permutation(len(learn)), groups):
            step(model, optimiser, loss_of(model, *batch_of([learn[index] for index in group], normalisation)))
            schedule.step()
        right = frame_accuracy(model, normalisation, scenes[-check:])
        print(f"vad: epoch {number} frames right {right:.1%}", flush=True)
    torch.save({"weights": model.state_dict(), "normalisation": normalisation}, path)
