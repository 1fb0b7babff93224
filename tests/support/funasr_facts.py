"""What a process imports of FunASR, and what its models then are and answer, told in JSON.

`whole` imports all of FunASR, for the text that follows names a class that no module of it seems to have; `named`
leaves the imports to the product, and then tries the model directories that follow.  What it tells is its last line:
FunASR prints notices of its own, as of an FFmpeg that is not installed.
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import torch

from tests.tools.small_models import CT_TRANSFORMER, SEACO
from transcribed.core.types import Hypothesis, Options
from transcribed.ingest.preparation.vad import Vad
from transcribed.recognition import model_store
from transcribed.recognition.models import funasr_imports
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.paraformer import Paraformer
from transcribed.recognition.models.punctuation import Punctuation
from transcribed.recognition.models.sensevoice import SenseVoice

SENSEVOICE, VAD = model_store.SHIPPED / "sensevoice", model_store.SHIPPED / "vad"


def made_of(directory):
    model, kwargs = load(directory, "cpu", threads=1, needed=("config.yaml",))
    parts = [*model.modules(), kwargs["tokenizer"], kwargs["frontend"]]
    return [f"{type(part).__module__}.{type(part).__qualname__}" for part in parts]


def samples_of(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").copy()


def answers():
    english, chinese = (samples_of(directory / "canary.wav") for directory in (SENSEVOICE, SEACO))
    spoken = np.concatenate([english, np.zeros(32_000, np.int16), chinese])
    return [
        repr(SenseVoice(SENSEVOICE, "cpu", threads=1).recognize([english, spoken], Options("demo"))),
        repr(Paraformer(SEACO, "cpu", threads=1).recognize([chinese, spoken], Options("seaco", hotwords=("金添",)))),
        repr(Punctuation(CT_TRANSFORMER, "cpu", threads=1).punctuate([Hypothesis("你好今天开会是不是")])),
        repr(Vad(VAD).detect(spoken, lambda: None)),
    ]


def attempt(directory):
    try:
        return made_of(directory)[0]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def misplaced():
    """Classes that FunASR has from another module than its sources tell, though they tell of no more than one text."""
    from funasr import get_import_errors
    from funasr.register import tables

    kinds = [getattr(tables, kind) for kind in dir(tables) if kind.endswith("_classes")]
    known = {
        name: modules
        for name, modules in funasr_imports.homes().items()
        if len(set(modules.values())) == 1 and not modules.keys() & get_import_errors().keys()
    }
    return [n for n, modules in known.items() if not any(n in k and k[n].__module__ in modules for k in kinds)]


def told(what, *rest):
    torch.set_num_threads(1)
    lacking = []
    if what == "whole":
        funasr_imports.provide(*rest)
        lacking = funasr_imports.lacking(*rest)
    facts = {
        "made of": {directory.name: made_of(directory) for directory in (VAD, SENSEVOICE, SEACO, CT_TRANSFORMER)},
        "answers": answers(),
        "modules": sorted(sys.modules),
    }
    if what == "whole":
        return facts | {"lacking": lacking, "misplaced": misplaced()}
    return facts | {"attempts": [attempt(Path(directory)) for directory in rest]}


if __name__ == "__main__":
    print(json.dumps(told(*sys.argv[1:])))
