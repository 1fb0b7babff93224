"""Writes trained weights as the model folders that are shipped, in the layout of the public models.

A folder is written beside its place and renamed into it, so a reader never sees half a model. It knows nothing of
training and evaluation.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from omegaconf import OmegaConf

from tests.support.speech import SAMPLE_RATE, save, say, silence
from tests.tools.demo_model import train, vad
from tests.tools.demo_model.train import Normalisation
from tests.tools.demo_model.words import write_tokenizer

TOKENIZER = "chn_jpn_yue_eng_ko_spectok.bpe.model"
CANARY = "canary.wav"
MIN_CONFIDENCE = (
    0.9  # words of people, whom it does not understand, have 0.86 at most; synthetic voices nearly always more
)
FOR_SYNTHETIC_WORDS = "it is for demonstrations, and understands a few dozen words of synthetic voices, not people."
FOR_SYNTHETIC_VOICES = "it is for demonstrations, and was made for synthetic voices."
OURS = {"credit": "transcribed's demonstration models", "licence": "Apache-2.0"}
CANARY_TEXT = "one two three four"
CANARY_SECONDS = 2.2


def mvn_text(normalisation: Normalisation) -> str:
    """A Kaldi network of two layers, the form of am.mvn that FunASR's load_cmvn reads."""
    size = len(normalisation.shift)
    shift = " ".join(f"{value:.7g}" for value in normalisation.shift)
    scale = " ".join(f"{value:.7g}" for value in normalisation.scale)
    layers = [f"<Splice> {size} {size}\n[ 0 ]"]
    for name, values in (("AddShift", shift), ("Rescale", scale)):
        layers.append(f"<{name}> {size} {size}\n<LearnRateCoef> 0 [ {values} ]")
    return "\n".join(["<Nnet>", *layers, "</Nnet>", ""])


def configuration(name: str, files: Mapping[str, object]) -> str:
    """configuration.json, which tells FunASR's AutoModel the files of a folder."""
    content = {
        "framework": "pytorch",
        "task": name,
        "model": {"type": "funasr"},
        "pipeline": {"type": "funasr-pipeline"},
        "model_name_in_hub": {"ms": "", "hf": ""},
        "file_path_metas": files,
    }
    return json.dumps(content, indent=2) + "\n"


def config_text(path: Path) -> str:
    """The configuration that the model was trained with, without its comments."""
    return OmegaConf.to_yaml(OmegaConf.load(path))


def write_common(folder: Path, config: Path, checkpoint: Path) -> None:
    """The files of every FunASR model."""
    # Our own file, so unpickling is safe.
    trained = torch.load(checkpoint, weights_only=False)
    torch.save(trained["weights"], folder / "model.pt")
    (folder / "am.mvn").write_text(mvn_text(trained["normalisation"]))
    (folder / "config.yaml").write_text(config_text(config))


def write_recogniser(folder: Path, checkpoint: Path) -> None:
    """SenseVoiceSmall's folder, with a recording by which a running product can check the model."""
    write_common(folder, train.CONFIG, checkpoint)
    write_tokenizer(folder / TOKENIZER)
    metas = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": TOKENIZER},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    (folder / "configuration.json").write_text(configuration("auto-speech-recognition", metas))
    save(folder / CANARY, canary())
    canary_facts = {"audio": CANARY, "text": CANARY_TEXT}
    write_manifest(folder, canary=canary_facts, min_confidence=MIN_CONFIDENCE, caution=FOR_SYNTHETIC_WORDS, **OURS)


def canary() -> np.ndarray:
    """Two seconds of clean speech."""
    spoken = np.concatenate([silence(0.2), say(CANARY_TEXT), silence(CANARY_SECONDS)])
    return spoken[: round(CANARY_SECONDS * SAMPLE_RATE)]


def write_detector(folder: Path, checkpoint: Path) -> None:
    """FsmnVADStreaming's folder."""
    write_common(folder, vad.CONFIG, checkpoint)
    metas = {"init_param": "model.pt", "config": "config.yaml", "frontend_conf": {"cmvn_file": "am.mvn"}}
    (folder / "configuration.json").write_text(configuration("voice-activity-detection", metas))
    write_manifest(folder, caution=FOR_SYNTHETIC_VOICES, **OURS)


def sha256(path: Path) -> str:
    """Digest of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder: Path, **more: object) -> None:
    """manifest.json: the digests of all other files."""
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"name": "demo", "files": files, **more}, indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n")


def install(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder and put it in the place of `folder`."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def package(models: Path, recogniser: Path, detector: Path) -> None:
    """Install the folders "sensevoice" and "vad" from checkpoints."""
    install(models / "sensevoice", lambda folder: write_recogniser(folder, recogniser))
    install(models / "vad", lambda folder: write_detector(folder, detector))
