"""FunASR imported no more than a model is made of, against FunASR imported whole, each in a process of its own."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.support.patience import patient
from transcribed.recognition import model_store
from transcribed.recognition.models import funasr_imports

SENSEVOICE, VAD = model_store.SHIPPED / "sensevoice", model_store.SHIPPED / "vad"
BY_A_VARIABLE = "model: OpenMOSS-Team/MOSS-Transcribe-Diarize\n"  # its name stands nowhere beside `register`
SEACO = """
model: SeacoParaformer
encoder: SANMEncoder
decoder: ParaformerSANMDecoder
seaco_decoder: ParaformerSANMDecoder
predictor: CifPredictorV3
frontend: WavFrontend
specaug: SpecAugLFR
dataset: AudioDatasetHotword
dataset_conf: {index_ds: IndexDSJsonl}
tokenizer: CharTokenizer
normalize: null
"""
PUNCTUATION = "model: CTTransformer\nencoder: SANMEncoder\ntokenizer: CharTokenizer\n"


def vad_with(directory, old, new):
    """A copy of the shipped VAD whose config.yaml was changed."""
    config = shutil.copytree(VAD, directory) / "config.yaml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    return directory


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What two processes tell, by their names; they run at once."""
    root = tmp_path_factory.mktemp("models")
    elsewhere = shutil.copytree(SENSEVOICE, root / "elsewhere")
    settings = json.loads((elsewhere / "configuration.json").read_text())
    settings["file_path_metas"]["config"] = "other.conf"
    (elsewhere / "configuration.json").write_text(json.dumps(settings))
    config = (elsewhere / "config.yaml").read_text()
    (elsewhere / "other.conf").write_text(f"{config}\nspecaug: SpecAug\nspecaug_conf: {{apply_time_mask: false}}\n")
    unknown = vad_with(root / "unknown", "encoder: FSMN", "encoder: NoSuchEncoder")
    failing = vad_with(root / "failing", "model: FsmnVADStreaming", "model: Whisper-tiny")
    asked = {"whole": [BY_A_VARIABLE], "named": [elsewhere, unknown, failing]}
    command = [sys.executable, "-m", "tests.support.funasr_facts"]
    running = {
        what: subprocess.Popen([*command, what, *map(str, rest)], stdout=subprocess.PIPE, text=True)
        for what, rest in asked.items()
    }
    return {
        what: json.loads(process.communicate(timeout=patient(300))[0].splitlines()[-1])
        for what, process in running.items()
    }


def test_the_models_are_made_of_the_same_classes(told):
    assert told["named"]["made of"] == told["whole"]["made of"]
    assert "funasr.models.fsmn_vad_streaming.encoder.FSMN" in told["named"]["made of"]["vad"]


def test_the_models_answer_the_same_to_the_last_digit(told):
    assert told["named"]["answers"] == told["whole"]["answers"]


def test_what_the_models_do_not_use_is_not_imported(told):
    named, whole = (set(told[what]["modules"]) for what in ("named", "whole"))
    unused = {
        "funasr.models.whisper_lid",
        "funasr.models.llm_asr.model",
        "funasr.bin",
        "transformers",
        "sklearn",
        "scipy",
    }
    assert unused <= whole
    assert not unused & named


def test_classes_stand_where_the_sources_tell(told):
    assert told["whole"]["misplaced"] == []


def test_a_class_that_the_sources_do_not_mention_is_found_among_all(told):
    assert funasr_imports.needed(BY_A_VARIABLE, funasr_imports.homes()) == []
    assert told["whole"]["lacking"] == []


def test_a_class_that_no_config_yaml_names_is_found_among_all(told):
    assert told["named"]["attempts"][0] == "funasr.models.sense_voice.model.SenseVoiceSmall"


def test_a_class_that_funasr_does_not_have_is_told_of_by_name(told):
    sentence = told["named"]["attempts"][1]
    assert sentence.startswith("Misconfigured: The model in ")
    assert sentence.endswith(" lacks: NoSuchEncoder.")


def test_a_class_whose_module_fails_is_told_of_with_the_reason(told):
    reason = "ModuleNotFoundError: No module named 'whisper'"
    assert f"lacks: Whisper-tiny ({reason})." in told["named"]["attempts"][2]


@pytest.mark.parametrize(("config", "module"), [(SEACO, "seaco_paraformer"), (PUNCTUATION, "ct_transformer")])
def test_it_is_plain_what_the_other_families_are_made_of(config, module):
    needed = funasr_imports.needed(config, funasr_imports.homes())
    assert f"funasr.models.{module}.model" in needed


def test_every_name_counts_wherever_it_stands():
    homes = {name: {f"m.{name}": ""} for name in ("A", "B/b-1", "C", "D", "E")}
    config = "model: 'A'\nmore:\n  - {decoder: B/b-1, encoder: \"C\"}\ntokenizer: [D,X]\n"
    assert funasr_imports.needed(config, homes) == ["m.A", "m.B/b-1", "m.C", "m.D"]


@pytest.mark.parametrize(
    "config", ["model: 'A'\ndecoder: null\nencoder: B\ndataset: C\n", '{"model": "A", "decoder": null, "encoder": "B"}']
)
def test_components_are_known_in_either_style_of_yaml(config):
    assert funasr_imports.components(config) == [("model", "A"), ("encoder", "B")]


def test_one_text_in_two_places_is_one_class():
    assert funasr_imports.needed("model: A", {"A": {"m.one": "text", "m.two": "text"}}) == ["m.one"]


def test_two_texts_under_one_name_are_left_to_funasr():
    assert funasr_imports.needed("model: A", {"A": {"m.one": "text", "m.two": "other"}}) is None
    assert funasr_imports.needed("model: Conformer", funasr_imports.homes()) is None
