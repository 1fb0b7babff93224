"""Trains the small Seaco-Paraformer, FunASR's classes, in two stages as the public one was.

First tokens and how many there are, where the encoder begins with what the demonstration model knows; then, with that
held still, hotwords: characters that are never written otherwise, where a hotword asks for them. It knows nothing of
espeak-ng.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss
from torch.nn.utils.rnn import pad_sequence

from tests.tools.small_models.speech import Spoken
from tests.tools.small_models.words import END, FREQUENT, NO_HOTWORD, NUMBER, SOUND_ALIKE, START, TOKENS
from transcribed.recognition import model_store
from transcribed.recognition.models.cif import Predictor, integrate

CONFIG = Path(__file__).with_name("seaco.yaml")
TEACHER = model_store.SHIPPED / "sensevoice"
FRAMES_PER_BATCH = 2400
RATE = 2e-3
IGNORED = -1
STEP_SECONDS = 0.02
LEAD_STEPS = 1.5  # FunASR takes a token to begin so many steps before its fire

Rng = np.random.Generator
Hotword = tuple[str, ...]
Model = Any  # FunASR has no types


def build() -> Model:
    """The encoder as the demonstration model's, as far as the sizes are the same; all else untrained."""
    from funasr import AutoModel  # noqa: F401  it fills the registry
    from funasr.models.seaco_paraformer.model import SeacoParaformer
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(CONFIG))
    parts = {key: value for key, value in config.items() if key.startswith(("encoder", "decoder", "predictor"))}
    seaco = {key: value for key, value in config.items() if key.startswith("seaco")}
    model = SeacoParaformer(input_size=560, vocab_size=len(TOKENS), **parts, **seaco, **config["model_conf"])
    known = torch.load(TEACHER / "model.pt", weights_only=True)
    wanted = model.state_dict()
    same = {name: known[name] for name in wanted if name.startswith("encoder.") and name in known}
    model.load_state_dict(wanted | same)
    return model


def normalisation() -> tuple[Tensor, Tensor]:
    """The demonstration model's."""
    from funasr.frontends.wav_frontend import load_cmvn

    shift, scale = load_cmvn(str(TEACHER / "am.mvn"))
    return shift, scale


class Batch:
    """Padded features and targets, with the end as the last token."""

    def __init__(self, group: Sequence[Spoken], cmvn: tuple[Tensor, Tensor], rng: Rng | None) -> None:
        """Without a random generator nothing is masked."""
        rows = [(torch.from_numpy(one.features.astype(np.float32)) + cmvn[0]) * cmvn[1] for one in group]
        self.features = pad_sequence([masked(rng, row) if rng else row for row in rows], batch_first=True)
        self.lengths = torch.tensor([len(row) for row in rows])
        self.tokens = [one.tokens for one in group]
        self.moments = [one.moments for one in group]
        self.targets = padded([[NUMBER[t] for t in one.tokens] + [NUMBER[END]] for one in group])
        self.counts = torch.tensor([len(one.tokens) + 1 for one in group])


def masked(rng: Rng, row: Tensor) -> Tensor:
    """SpecAugment with masks short enough that no word vanishes."""
    bands = row.reshape(len(row), -1, 80).clone()
    for _ in range(2):
        first = rng.integers(0, 80)
        bands[:, :, first : first + rng.integers(0, 10)] = 0
    return bands.reshape(len(row), -1)


def padded(rows: list[list[int]]) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=IGNORED)


def heard_in(model: Model, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The frames, their weights, and the sound of each token that they cut out."""
    encoded, _ = model.encode(batch.features, batch.lengths)
    hidden, weights = Predictor(model.predictor).weights(encoded, batch.lengths.tolist())
    scaled = weights * (batch.counts / weights.sum(1).clamp_min(1e-3))[:, None]
    return hidden, weights, integrate(hidden, scaled, tail=0)[0]


def token_loss(model: Model, batch: Batch) -> Tensor:
    """What is said, and how many tokens it is."""
    hidden, weights, sounds = heard_in(model, batch)
    logits, _ = model.decoder(hidden, batch.lengths, sounds, batch.counts)
    said = cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED, label_smoothing=0.05)
    return said + l1_loss(weights.sum(1), batch.counts.float())


def moment_loss(model: Model, batch: Batch) -> Tensor:
    """How many tokens the weights for times make, and how far their sum is from whole numbers where tokens begin."""
    with torch.no_grad():
        hidden = heard_in(model, batch)[0]
    fine = Predictor(model.predictor).fine_weights(hidden, batch.lengths.tolist())
    off = [0.5 * (fine.sum(1) - batch.counts).abs()]
    for row, moments in zip(fine.cumsum(1), batch.moments, strict=True):
        steps = (torch.tensor(moments) / STEP_SECONDS + LEAD_STEPS).round().long().clamp_max(len(row) - 1)
        off.append((row[steps] - torch.arange(1, len(moments) + 1)).abs())
    return torch.cat(off).mean()


# --- hotwords ---------------------------------------------------------------------------------------


def sound(tokens: Sequence[str]) -> tuple[str, ...]:
    """What is heard of tokens: rare ones as the frequent ones."""
    return tuple(FREQUENT.get(token, token) for token in tokens)


def draw_stretch(rng: Rng, tokens: Sequence[str]) -> Hotword:
    """One to four tokens in a row, two most often."""
    size = min(len(tokens), int(rng.choice([1, 2, 2, 2, 3, 3, 4])))
    start = rng.integers(len(tokens) - size + 1)
    return tuple(tokens[start : start + size])


def draw_hotwords(rng: Rng, rows: Sequence[Sequence[str]], count: int) -> list[list[Hotword]]:
    """For each row so many: often one that is said in it, others that are said in other rows; some characters rare."""
    pool = [draw_stretch(rng, tokens) for tokens in rows if tokens for _ in range(2)]
    chosen = []
    for tokens in rows:
        own = [draw_stretch(rng, tokens)] if tokens and rng.random() < 0.75 else []
        others = [pool[n] for n in rng.integers(0, len(pool), count - len(own))]
        rare = {frequent: other for frequent, other in SOUND_ALIKE.items() if rng.random() < 0.5}
        words = [tuple(rare.get(token, token) for token in word) for word in (*own, *others)]
        chosen.append([words[n] for n in rng.permutation(count)])
    return chosen


def hotword_targets(tokens: Sequence[str], hotwords: Sequence[Hotword]) -> list[int]:
    """A hotword's tokens wherever it is heard, longer ones first; none elsewhere and at the end."""
    wanted = [NO_HOTWORD] * (len(tokens) + 1)
    for hotword in sorted(hotwords, key=len, reverse=True):
        for start in range(len(tokens) - len(hotword) + 1):
            place = slice(start, start + len(hotword))
            if sound(tokens[place]) == sound(hotword) and set(wanted[place]) == {NO_HOTWORD}:
                wanted[place] = hotword
    return [NUMBER[token] for token in wanted]


def meanings_of(model: Model, hotwords: list[list[Hotword]]) -> Tensor:
    """float32 (rows, hotwords + 1, size), the last for none."""
    every = list({word for row in hotwords for word in row})
    spelled = [torch.tensor([NUMBER[token] for token in word]) for word in (*every, (START,))]
    lengths = torch.tensor([len(word) for word in spelled])
    encoded: Tensor = model._hotword_representation(pad_sequence(spelled, batch_first=True), lengths)
    place = {word: number for number, word in enumerate(every)}
    return encoded[torch.tensor([[*(place[word] for word in row), len(every)] for row in hotwords])]


def hotword_loss(model: Model, batch: Batch, hotwords: list[list[Hotword]]) -> Tensor:
    """As FunASR's: from what tokens sound like, and from what the decoder made of them; but each row has its own."""
    with torch.no_grad():
        hidden, _, sounds = heard_in(model, batch)
        heard, _ = model.decoder(hidden, batch.lengths, sounds, batch.counts, return_hidden=True)
    context = meanings_of(model, hotwords)
    counts = torch.full((len(heard),), context.shape[1])
    merged = sum(model.seaco_decoder(context, counts, x, batch.counts)[0] for x in (sounds, heard))
    targets = padded([hotword_targets(*row) for row in zip(batch.tokens, hotwords, strict=True)])
    return cross_entropy(model.hotword_output_layer(merged).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


# --- training ---------------------------------------------------------------------------------------


def batches(rng: Rng, examples: Sequence[Spoken]) -> Iterator[list[Spoken]]:
    """Examples of similar length, in random order, with about the same number of frames in each batch."""
    lengths = np.array([len(one.features) for one in examples])
    order = np.argsort(lengths + rng.uniform(0, 8, len(lengths)))
    groups: list[list[int]] = [[]]
    for index in order:
        if (len(groups[-1]) + 1) * lengths[index] > FRAMES_PER_BATCH:
            groups.append([])
        groups[-1].append(index)
    for group in rng.permutation(len(groups)):
        yield [examples[index] for index in groups[group]]


class Trainer:
    """All stages; deterministic for a given corpus, number of epochs and number of threads."""

    def __init__(self, examples: Sequence[Spoken]) -> None:
        torch.manual_seed(1)
        self.rng = np.random.default_rng(1)
        self.examples = examples
        self.model = build()
        self.cmvn = normalisation()

    def learn_tokens(self, epochs: int) -> None:
        self.model.train()
        self._learn(
            "tokens",
            [self.model],
            self.examples,
            epochs,
            lambda group: token_loss(self.model, self._batch(group, mask=True)),
        )

    def learn_moments(self, epochs: int) -> None:
        """All else is held still, here and in the next stage, and without dropout."""
        predictor = self.model.eval().predictor
        timed = [one for one in self.examples if one.moments]
        parts = [predictor.upsample_cnn, predictor.blstm, predictor.cif_output2]
        self._learn("moments", parts, timed, epochs, lambda group: moment_loss(self.model, self._batch(group)))

    def learn_hotwords(self, epochs: int) -> None:
        model = self.model.eval()
        model.seaco_decoder.train()
        parts = [model.bias_encoder, model.seaco_decoder, model.hotword_output_layer, model.decoder.embed]
        spoken = [one for one in self.examples if one.tokens or self.rng.random() < 0.3]
        self._learn("hotwords", parts, spoken, epochs, self._hotword_loss)

    def _hotword_loss(self, group: list[Spoken]) -> Tensor:
        batch = self._batch(group)
        count = int(self.rng.choice([1, 1, 2, 4, 8, 16]))
        return hotword_loss(self.model, batch, draw_hotwords(self.rng, batch.tokens, count))

    def _batch(self, group: list[Spoken], mask: bool = False) -> Batch:
        return Batch(group, self.cmvn, self.rng if mask else None)

    def _learn(
        self,
        stage: str,
        parts: Sequence[torch.nn.Module],
        examples: Sequence[Spoken],
        epochs: int,
        loss_of: Callable[[list[Spoken]], Tensor],
    ) -> None:
        self.model.requires_grad_(False)
        parameters = [p.requires_grad_(True) for part in parts for p in part.parameters()]
        every = [group for _ in range(epochs) for group in batches(self.rng, examples)]
        optimiser = torch.optim.AdamW(parameters, RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=len(every), pct_start=0.1)
        started, losses = time.monotonic(), []
        for number, group in enumerate(every, 1):
            loss = loss_of(group)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if number % 50 == 0:
                spent = time.monotonic() - started
                print(f"{stage}: {number} of {len(every)}, loss {np.mean(losses[-50:]):.3f}, {spent:.0f} s", flush=True)
