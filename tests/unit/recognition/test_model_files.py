import json
import shutil

import pytest

from transcribed.core.errors import Misconfigured
from transcribed.recognition import model_files, model_store

TOKENIZER = "chn_jpn_yue_eng_ko_spectok.bpe.model"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:833ca2dc\nsize 936291369\n"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(model_store.SHIPPED / "sensevoice", tmp_path / "model")


def linked(folder):
    """As in the hubs' caches: each file is a link to where its bytes are."""
    blobs = folder.parent / "blobs"
    folder.rename(blobs)
    folder.mkdir()
    for path in blobs.iterdir():
        (folder / path.name).symlink_to(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:2_000_000])


FAULTS = {
    "weights gone": (lambda f: (f / "model.pt").unlink(), "model.pt is missing"),
    "weights cut off": (lambda f: cut(f / "model.pt"), "model.pt is cut off"),
    "weights empty": (lambda f: (f / "model.pt").write_bytes(b""), "model.pt is empty"),
    "a page of a web server": (lambda f: (f / "model.pt").write_text("<html>"), "model.pt holds no weights of PyTorch"),
    "cloned without git-lfs": (lambda f: (f / "model.pt").write_text(POINTER), "model.pt is only a pointer"),
    "configuration a pointer": (lambda f: (f / "config.yaml").write_text(POINTER), "config.yaml is only a pointer"),
    "tokenizer gone": (lambda f: (f / TOKENIZER).unlink(), f"{TOKENIZER} is missing"),
    "tokenizer empty": (lambda f: (f / TOKENIZER).write_bytes(b""), f"{TOKENIZER} is empty"),
    "normalization gone": (lambda f: (f / "am.mvn").unlink(), "am.mvn is missing"),
    "names of files damaged": (lambda f: (f / "configuration.json").write_text("{"), "configuration.json is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_named_with_what_is_wrong(folder, fault):
    spoil, sentence = FAULTS[fault]
    spoil(folder)
    with pytest.raises(Misconfigured, match=sentence) as caught:
        model_files.inspect(folder, model_files.RECOGNIZER_FILES)
    assert "transcribed models pull" in caught.value.hint


@pytest.mark.parametrize("name", ["../other/tokens", "/etc/passwd"])
def test_a_model_has_no_files_outside_its_folder(folder, name):
    (folder / "configuration.json").write_text(json.dumps({"file_path_metas": {"tokenizer_conf": {"bpemodel": name}}}))
    with pytest.raises(Misconfigured, match="is not in that folder"):
        model_files.inspect(folder)
    assert model_files.paths(folder, model_files.names(folder)) == {"tokenizer_conf": {"bpemodel": name}}


def test_a_folder_in_the_place_of_a_file_is_named(folder):
    (folder / "am.mvn").unlink()
    (folder / "am.mvn").mkdir()
    with pytest.raises(Misconfigured, match=r"am\.mvn cannot be read \(Is a directory\)"):
        model_files.inspect(folder)


@pytest.mark.parametrize("change", [lambda f: None, linked, lambda f: (f / "configuration.json").unlink()])
def test_a_whole_model_passes_however_it_came(folder, change):
    change(folder)
    model_files.inspect(folder, model_files.RECOGNIZER_FILES)
    found = model_files.paths(folder, model_files.names(folder))
    assert found["tokenizer_conf"]["bpemodel"] == str(folder / TOKENIZER)
    assert found["frontend_conf"]["cmvn_file"] == str(folder / "am.mvn")


def test_without_a_list_of_files_their_usual_names_count(tmp_path):
    for name in ("tokens.json", "seg_dict", "am.mvn", "jieba_usr_dict"):
        (tmp_path / name).write_text("x")
    assert model_files.names(tmp_path) == {
        "tokenizer_conf": {"token_list": "tokens.json", "seg_dict": "seg_dict"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
        "jieba_usr_dict": "jieba_usr_dict",
    }
