import json

import pytest

from transcribed.core.types import ModelFacts
from transcribed.recognition import model_store
from transcribed.recognition.public_models import FUNASR_LICENCE

SHIPPED = model_store.SHIPPED / "sensevoice"
MALICIOUS = json.dumps({"caution": "x" * 10**5, "credit": ["a"], "licence": 1})


@pytest.mark.parametrize(
    "told", ["", "{}", '{"min_confidence": 2}', '{"min_confidence": "high"}', "[", None, MALICIOUS]
)
def test_a_model_that_says_nothing_of_itself_has_the_usual_floor(tmp_path, told):
    if told is not None:
        (tmp_path / "manifest.json").write_text(told)
    found = model_store.facts("/models/own", tmp_path)
    assert (found.min_confidence, found.caution, found.credit) == (0.5, "", "")


def test_the_demonstration_model_says_what_it_is_and_is_sure_of_what_it_knows():
    found = model_store.facts("demo", SHIPPED)
    assert found.min_confidence == 0.9
    assert found.caution.startswith("it is for demonstrations")


def test_the_makers_of_a_public_model_are_named_however_it_came(tmp_path):
    credit = f"SenseVoiceSmall by FunAudioLLM, Alibaba, {FUNASR_LICENCE}"
    for name in ("iic/SenseVoiceSmall", "FunAudioLLM/SenseVoiceSmall"):
        found = model_store.facts(name, tmp_path)
        assert found == ModelFacts(found.version, 0.5, "", credit)


def test_a_manifest_says_who_made_a_model_that_nobody_knows(tmp_path):
    model_store.record(tmp_path, name="me/mine", credit="me/mine", licence="cc-by-4.0")
    assert model_store.facts("me/mine", tmp_path).credit == "me/mine, cc-by-4.0"
