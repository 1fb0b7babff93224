"""Writes trained weights as model folders, in the layout of the public models; weights in half precision.

It knows nothing of training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.support.speech import SAMPLE_RATE, save, say, silence
from tests.tools.demo_model.package import CANARY, config_text, configuration, write_manifest
from tests.tools.small_models import punctuation, seaco
from tests.tools.small_models.words import TOKENS, seg_dict

CANARY_TEXT = "今天开会"


def write_recogniser(folder: Path, weights: dict[str, Tensor]) -> None:
    """SeacoParaformer's folder, with a recording by which a running product can check the model."""
    write_common(folder, seaco.CONFIG, weights, TOKENS)
    shutil.copy(seaco.TEACHER / "am.mvn", folder)
    (folder / "seg_dict").write_text(seg_dict())
    metas = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"token_list": "tokens.json", "seg_dict_file": "seg_dict"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    (folder / "configuration.json").write_text(configuration("auto-speech-recognition", metas))
    save(folder / CANARY, phrase())
    write_manifest(folder, canary={"audio": CANARY, "text": CANARY_TEXT})


def write_punctuation(folder: Path, weights: dict[str, Tensor]) -> None:
    """CTTransformer's folder."""
    write_common(folder, punctuation.CONFIG, weights, punctuation.TOKENS)
    metas = {"init_param": "model.pt", "config": "config.yaml", "tokenizer_conf": {"token_list": "tokens.json"}}
    (folder / "configuration.json").write_text(configuration("punctuation", metas))
    write_manifest(folder)


def phrase() -> np.ndarray:
    """Clean Mandarin, of little more than two seconds."""
    return np.concatenate([silence(0.2), say(CANARY_TEXT, "cmn")])[: 23 * SAMPLE_RATE // 10]


def write_common(folder: Path, config: Path, weights: dict[str, Tensor], tokens: Sequence[str]) -> None:
    """The files of every FunASR model with a list of tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({name: weight.half() for name, weight in weights.items()}, folder / "model.pt")
    (folder / "config.yaml").write_text(config_text(config))
    (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=0) + "\n")
