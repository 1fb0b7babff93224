import pytest

from transcribed.recognition import model_store


@pytest.mark.parametrize("told", ["", "{}", '{"min_confidence": 2}', '{"min_confidence": "high"}', "[", None])
def test_a_model_that_does_not_say_how_sure_it_is_has_the_usual_floor(tmp_path, told):
    if told is not None:
        (tmp_path / "manifest.json").write_text(told)
    assert model_store.min_confidence(tmp_path) == 0.5


def test_the_demonstration_model_is_sure_of_what_it_knows():
    assert model_store.min_confidence(model_store.SHIPPED / "sensevoice") == 0.9
