import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.funasr_facts import samples_of
from transcribed.core.errors import Misconfigured
from transcribed.core.types import Options
from transcribed.recognition import model_store
from transcribed.recognition.models.loading import load
from transcribed.recognition.models.sensevoice import SenseVoice

SENSEVOICE = model_store.SHIPPED / "sensevoice"
TOKENIZER = "chn_jpn_yue_eng_ko_spectok.bpe.model"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(SENSEVOICE, tmp_path / "model")


def heard(directory):
    (hypothesis,) = SenseVoice(directory, "cpu", threads=1).recognize(
        [samples_of(SENSEVOICE / "canary.wav")], Options("demo")
    )
    return hypothesis.text


def rewritten(change):
    def rewrite(directory):
        weights = torch.load(directory / "model.pt")
        torch.save(change(weights), directory / "model.pt")

    return rewrite


CHANGES = {
    "a byte order mark": lambda d: (d / "config.yaml").write_text("\ufeff" + (d / "config.yaml").read_text()),
    "no list of its files": lambda d: (d / "configuration.json").unlink(),
    "trained on several cards": rewritten(lambda weights: {f"module.{name}": w for name, w in weights.items()}),
    "a checkpoint of a training": rewritten(lambda weights: {"state_dict": weights, "epoch": 3}),
    "half precision": rewritten(
        lambda weights: {n: w.half() if w.is_floating_point() else w for n, w in weights.items()}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_is_read_in_each_form_that_it_is_given(copy, change):
    CHANGES[change](copy)
    assert heard(copy) == "one two three four"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", b"model: SenseVoiceSmall\nencoder_conf: [unclosed"),
        ("config.yaml", b"model: SenseVoiceSmall\n"),
        ("am.mvn", b"<Nnet> of something else"),
        (TOKENIZER, b"no model of SentencePiece"),
        ("model.pt", b"\x80\x02no pickle"),
    ],
)
def test_what_no_library_can_read_is_one_sentence_of_ours(copy, name, content):
    (copy / name).write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        load(copy, "cpu", threads=1)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "transcribed models pull" in caught.value.hint


def test_weights_are_mapped_from_their_file_and_never_written_to_it(copy):
    before = (copy / "model.pt").read_bytes()
    model, _ = load(copy, "cpu", threads=1)
    assert f"{copy}/model.pt" in Path("/proc/self/maps").read_text()
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert (copy / "model.pt").read_bytes() == before


def test_answers_are_those_of_weights_that_funasr_loads_itself():
    from funasr import AutoModel

    with warnings.catch_warnings(action="ignore"):
        theirs = AutoModel(
            model=str(SENSEVOICE), device="cpu", disable_update=True, disable_pbar=True, disable_log=True
        )
    ours, kwargs = load(SENSEVOICE, "cpu", threads=1)
    for name, weight in theirs.model.state_dict().items():
        assert torch.equal(weight, ours.state_dict()[name]), name
    assert np.array_equal(theirs.kwargs["frontend"].cmvn, kwargs["frontend"].cmvn)
