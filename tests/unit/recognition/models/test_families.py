"""Of which family a model directory is."""

import pytest

from tests.tools.small_models import CT_TRANSFORMER, SEACO
from transcribed.core.errors import Misconfigured
from transcribed.recognition import model_store
from transcribed.recognition.models import families


def directory(folder, config, tokens=None):
    (folder / "config.yaml").write_text(config)
    if tokens is not None:
        (folder / "tokens.json").write_text(tokens)
    return folder


def test_real_directories_are_of_their_families():
    assert families.of_recognizer(model_store.SHIPPED / "sensevoice") == "SenseVoiceSmall"
    assert families.of_recognizer(SEACO) == "SeacoParaformer"
    assert families.of_punctuation(CT_TRANSFORMER) == "CTTransformer"


def test_an_unknown_family_is_a_sentence_that_names_the_known_ones(tmp_path):
    other = directory(tmp_path, "# a comment\nmodel_conf:\n  model: Paraformer\nmodel: 'Whisper'\n")
    with pytest.raises(Misconfigured, match="is not a supported speech recognizer: its family is Whisper") as refused:
        families.of_recognizer(other)
    assert "SenseVoiceSmall, SeacoParaformer, BiCifParaformer" in refused.value.hint


def test_a_model_is_refused_where_another_kind_is_meant():
    with pytest.raises(Misconfigured, match="its family is CTTransformer"):
        families.of_recognizer(CT_TRANSFORMER)
    with pytest.raises(Misconfigured, match="is not a supported punctuation model: its family is SeacoParaformer"):
        families.of_punctuation(SEACO)


@pytest.mark.parametrize("config", [None, "", "encoder: SANMEncoder\n", "model:\n"])
def test_a_directory_that_does_not_tell_is_refused(tmp_path, config):
    if config is not None:
        directory(tmp_path, config)
    with pytest.raises(Misconfigured, match=r"no config\.yaml with the model's family"):
        families.of_recognizer(tmp_path)


def test_the_test_phrase_of_a_model_is_in_a_language_it_writes(tmp_path):
    assert families.language_of(SEACO) == "zh"
    assert families.language_of(model_store.SHIPPED / "sensevoice") == "en"
    english = directory(tmp_path, "model: BiCifParaformer\n", '["<blank>", "hel@@", "lo"]')
    assert families.language_of(english) == "en"
