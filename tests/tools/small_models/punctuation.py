"""Trains the small punctuation model, FunASR's CTTransformer, on sentences with marks by rule.

What is said is drawn from a few phrases, each with its mark; a run of digits ends with a comma. It knows nothing of
audio.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from tests.support.speech import MANDARIN_DIGITS
from tests.tools.small_models.words import BLANK, END, ENGLISH, START, UNKNOWN

CONFIG = Path(__file__).with_name("punctuation.yaml")
NONE, COMMA, STOP, QUESTION = range(1, 5)  # places in punc_list
PHRASES = {
    "你好": COMMA,
    "今天开会": STOP,
    "今天不开会": STOP,
    "是不是": QUESTION,
    "好不好": QUESTION,
    "不是": COMMA,
    "hello": COMMA,
    "stop": STOP,
    "meeting": STOP,
}
CHARACTERS = sorted(set("".join(phrase for phrase in PHRASES if phrase not in ENGLISH)))
TOKENS = [BLANK, START, END, *MANDARIN_DIGITS, *CHARACTERS, *ENGLISH, UNKNOWN]
NUMBER = {token: number for number, token in enumerate(TOKENS)}
SENTENCES = 24  # in a batch
RATE = 3e-3

Rng = np.random.Generator
Marked = list[tuple[str, int]]  # tokens, and the mark behind each


def draw(rng: Rng) -> Marked:
    """A few phrases and runs of digits, one after the other."""
    marked: Marked = []
    for _ in range(rng.integers(1, 9)):
        if rng.random() < 0.35 and not (marked and marked[-1][0] in MANDARIN_DIGITS):
            digits = rng.choice(list(MANDARIN_DIGITS), rng.integers(3, 8))
            marked += [(str(digit), NONE) for digit in digits[:-1]] + [(str(digits[-1]), COMMA)]
        else:
            phrase = str(rng.choice(list(PHRASES)))
            tokens = [phrase] if phrase in ENGLISH else list(phrase)
            marked += [(token, NONE) for token in tokens[:-1]] + [(tokens[-1], PHRASES[phrase])]
    return marked


def build() -> Any:
    """An untrained model; FunASR has no types."""
    from funasr import AutoModel  # noqa: F401  it fills the registry
    from funasr.models.ct_transformer.model import CTTransformer
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(CONFIG))
    return CTTransformer(
        encoder=config["encoder"], encoder_conf=config["encoder_conf"], vocab_size=len(TOKENS), **config["model_conf"]
    )


def train(steps: int) -> dict[str, torch.Tensor]:
    """The weights after so many batches."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    model = build().train()
    optimiser = torch.optim.AdamW(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    started = time.monotonic()
    for step in range(1, steps + 1):
        drawn = [draw(rng) for _ in range(SENTENCES)]
        texts = pad_sequence([torch.tensor([NUMBER[t] for t, _ in one]) for one in drawn], batch_first=True)
        marks = pad_sequence([torch.tensor([m for _, m in one]) for one in drawn], batch_first=True)
        odds, _ = model.punc_forward(texts, torch.tensor([len(one) for one in drawn]))
        loss = cross_entropy(odds.flatten(0, 1), marks.flatten(), ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0:
            print(f"marks: {step} of {steps}, loss {loss.item():.4f}, {time.monotonic() - started:.0f} s", flush=True)
    return model.state_dict()
