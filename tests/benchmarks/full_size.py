"""Models as large as the public ones, made here: how fast a network is does not depend on what it has learned.

`python -m tests.benchmarks.full_size FOLDER` writes `FOLDER/sensevoice`, SenseVoiceSmall with random weights and an
output layer that says four or five made-up words a second while somebody speaks, and `FOLDER/vad`, an FSMN-VAD that
follows the level.  AutoModel loads both.  It takes a minute; what is there already, and whole, is kept.
"""

from __future__ import annotations

import io
import itertools
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from omegaconf import OmegaConf
from torch import Tensor

from tests.benchmarks.preparation import build_vad, speech
from tests.tools.demo_model import package, train
from tests.tools.demo_model.words import CONTROL, RICH_TOKENS, WORD_START
from transcribed.core.errors import Misconfigured
from transcribed.core.frames import frames_in
from transcribed.core.types import SAMPLE_RATE
from transcribed.recognition import model_store
from transcribed.recognition.features import log_mel, stack
from transcribed.recognition.models.precision import fast_products

RECIPES = {"sensevoice": 1, "vad": 2}  # raised when what is written here changes
CLASSES = 25_055
SIZE = {"output_size": 512, "linear_units": 2048, "num_blocks": 50, "tp_blocks": 20}
QUERIES = (0, 1, 2, 15)  # language, emotion, event, style: FunASR's lid_dict and textnorm_dict
FRAMES_PER_SECOND = 1 / 0.06
SPEECH_SECONDS, PIECE_SECONDS = 60, 10
WORDS_PER_SECOND = 4.5  # of fluent speech, as the public model's tokens are
KNOWN_WORDS = 64  # that the output layer can say
SURE, NEVER = 60.0, -60.0  # logits


def build(folder: Path) -> Path:
    """The folder of both models; each is made unless it is there, whole, and as it would be made now."""
    for name, write in {"sensevoice": _write_recognizer, "vad": _write_detector}.items():
        if not _is_as_now(folder / name):
            package.install(folder / name, write)
    return folder


def _is_as_now(model: Path) -> bool:
    manifest = model / model_store.MANIFEST
    if not manifest.is_file() or json.loads(manifest.read_text()).get("recipe", 1) != RECIPES[model.name]:
        return False
    try:
        return model_store.verify(model) > 0
    except Misconfigured:
        return False


def _write_detector(folder: Path) -> None:
    build_vad(folder)
    package.write_manifest(folder, recipe=RECIPES["vad"])


def _write_recognizer(folder: Path) -> None:
    config = OmegaConf.load(train.CONFIG)
    config.encoder_conf.update(SIZE)
    OmegaConf.save(config, folder / "config.yaml")
    shipped = model_store.SHIPPED / "sensevoice"
    for name in ("am.mvn", "configuration.json"):
        shutil.copy(shipped / name, folder)
    _write_tokenizer(folder / package.TOKENIZER)
    model = _random_model(OmegaConf.to_container(config))
    _teach(model, _encoded(model, shipped))
    torch.save(model.state_dict(), folder / "model.pt")
    package.write_manifest(folder, recipe=RECIPES["sensevoice"])


def _random_model(config: Any) -> Any:
    from funasr.models.sense_voice.model import SenseVoiceSmall

    torch.manual_seed(0)
    sizes = {"input_size": train.FEATURES, "vocab_size": CLASSES}
    return SenseVoiceSmall(
        encoder=config["encoder"], encoder_conf=config["encoder_conf"], **sizes, **config["model_conf"]
    ).eval()


def _write_tokenizer(path: Path) -> None:
    """25,055 pieces, given and not learned: FunASR's tags, then made-up words of two or three syllables."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = (WORD_START + "".join(parts) for parts in itertools.product(syllables, syllables, ["", *syllables]))
    letters = "".join(sorted(set("".join(syllables))))
    count = CLASSES - len(CONTROL) - len(RICH_TOKENS) - len(letters) - 1
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(letters)] * 10),
        model_writer=model,
        model_type="char",
        vocab_size=CLASSES,
        user_defined_symbols=[*RICH_TOKENS, *itertools.islice(words, count)],
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())


@torch.inference_mode()
def _encoded(model: Any, shipped: Path) -> Tensor:
    """What the encoder makes of speech, float32 (pieces, frames, 512), the queries in front left out."""
    from funasr.frontends.wav_frontend import load_cmvn

    pieces = torch.from_numpy(speech(SPEECH_SECONDS)).view(-1, PIECE_SECONDS * SAMPLE_RATE)
    lengths = torch.full((len(pieces),), frames_in(pieces.shape[1]))
    features, counts = stack(log_mel(pieces), lengths, 7, 6)
    shift, scale = load_cmvn(str(shipped / "am.mvn"))
    queries = model.embed(torch.tensor(QUERIES)).expand(len(pieces), -1, -1)
    frames = torch.cat((queries, (features + shift) * scale), 1)
    with fast_products(frames.device, frames.dtype):
        encoded, _ = model.encoder(frames, counts + len(QUERIES))
    return encoded[:, len(QUERIES) :]


@torch.no_grad()
def _teach(model: Any, encoded: Tensor) -> None:
    """Let the output layer say a word where a frame is near one of some that it remembers, and else nothing."""
    frames = encoded.flatten(0, 1)
    centre = frames.mean(0)
    chosen = torch.randperm(len(frames), generator=torch.Generator().manual_seed(1))[:KNOWN_WORDS]
    rows = frames[chosen] - centre
    rows *= SURE / rows.square().sum(1).mean()
    offsets = -rows @ centre - (rows * (frames[chosen] - centre)).sum(1) / 2
    head = model.ctc.ctc_lo
    torch.nn.init.normal_(head.weight, std=1e-3)
    threshold = _threshold(encoded @ rows.T + offsets)
    head.bias.fill_(threshold + NEVER)
    words = torch.arange(KNOWN_WORDS) * (CLASSES // KNOWN_WORDS - 1) + 100
    head.weight[words], head.bias[words] = rows, offsets
    head.weight[model.blank_id], head.bias[model.blank_id] = 0.0, threshold


def _threshold(logits: Tensor) -> float:
    """Of nothing said: the logit that leaves as many words as are wanted.  float32 (pieces, frames, words)."""
    wanted = WORDS_PER_SECOND * logits.shape[0] * logits.shape[1] / FRAMES_PER_SECOND
    levels = torch.quantile(logits.amax(-1).flatten(), torch.linspace(0.01, 0.99, 99)).tolist()
    return min(levels, key=lambda level: abs(_said(logits, level) - wanted))


def _said(logits: Tensor, threshold: float) -> int:
    """How many words are left of the frames' likeliest after CTC's collapsing."""
    best, word = logits.max(-1)
    word = word.where(best > threshold, -1)
    begins = torch.cat((torch.ones_like(word[:, :1], dtype=torch.bool), word[:, 1:] != word[:, :-1]), 1)
    return int((begins & (word >= 0)).sum())


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
