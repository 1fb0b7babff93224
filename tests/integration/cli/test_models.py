"""Fetching, verifying and listing models, with real clients of the hubs, and a hub on this machine."""

import json
import os
import shutil

import pytest

from tests.support import hub
from tests.support.speech import digits
from tests.tools.small_models import CT_TRANSFORMER, SEACO
from transcribed.recognition import model_store, public_models

SENSEVOICE, VAD = model_store.SHIPPED / "sensevoice", model_store.SHIPPED / "vad"
PUNCTUATION = "iic/punc_ct-transformer_cn-en-common-vocab471067-large"


@pytest.fixture
def models(site):
    """Where models are fetched to."""
    site.extra = f'models_dir = "{site.root}/models"\nvad_model = "demo"'
    site.configure()
    return site.root / "models"


@pytest.fixture
def mine(tmp_path):
    """A model of somebody's own, as a hub has it."""
    folder = shutil.copytree(SENSEVOICE, tmp_path / "mine")
    (folder / "manifest.json").unlink()
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Mine\n")
    return folder


def pull(site, *args, at):
    return site.process("models", "pull", *args, env=os.environ | at)


def test_the_shipped_model_can_be_verified(site):
    assert "files are intact" in site.call("models", "verify", "demo").stdout


def test_a_model_that_cannot_be_fetched_is_a_sentence_with_both_errors(site, models):
    done = pull(site, "nobody/nothing-at-all", at=hub.unreachable())
    assert done.returncode == os.EX_CONFIG
    for told in ("modelscope:", "hugging_face:", f"copy {models}/nobody/nothing-at-all here"):
        assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (models / "nobody").exists()


@pytest.mark.parametrize("modelscope", [False, True], ids=["Hugging Face", "ModelScope"])
def test_a_fetched_model_is_verified_and_used_and_a_changed_one_refused(site, models, mine, spoken, modelscope):
    site.configure(model="me/mine")
    with hub.serve({"me/mine": mine}, modelscope) as (at, _):
        done = pull(site, "me/mine", at=at)
    assert done.returncode == 0, done.stderr
    assert "licence: cc-by-4.0" in done.stdout
    told = json.loads((models / "me" / "mine" / "manifest.json").read_text())
    assert (told["hub"], told["revision"]) == ("modelscope" if modelscope else "hugging_face", hub.COMMIT)
    assert "files are intact" in site.call("models", "verify", "me/mine").stdout
    shutil.copy(spoken(123), site.inbox / "a.wav")
    site.once()
    assert site.text("a.wav") == digits(123)
    assert json.loads((site.outbox / "a.wav.json").read_text())["model"]["credit"].startswith("me/mine, cc-by-4.0")
    (models / "me" / "mine" / "am.mvn").write_text("changed")
    verified = site.call("models", "verify", "me/mine")
    assert verified.returncode == os.EX_CONFIG
    assert "Changed or missing: am.mvn." in verified.stderr


def test_other_files_under_a_public_name_are_refused_unless_wanted(site, models):
    with hub.serve({"FunAudioLLM/SenseVoiceSmall": SENSEVOICE}) as (at, _):
        done = pull(site, "iic/SenseVoiceSmall", at=at)
        assert done.returncode == os.EX_CONFIG
        assert "its model.pt is not the published one" in done.stderr
        assert not (models / "iic").exists()
        assert pull(site, "iic/SenseVoiceSmall", "--any-version", at=at).returncode == 0
    assert "files are intact" in site.call("models", "verify", "FunAudioLLM/SenseVoiceSmall").stdout


@pytest.mark.parametrize("modelscope", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["hf", "ms"])
def test_a_fetch_that_broke_off_goes_on_where_it_was(site, models, mine, modelscope):
    """ModelScope's client goes on within a file; Hugging Face's does so for five tries, then with whole files only."""
    (mine / "large.bin").write_bytes(bytes(25_000_000))  # written 10 MB at a time
    with hub.serve({"me/mine": mine}, modelscope) as (at, served):
        served.breaks_at = 22_000_000
        assert pull(site, "me/mine", at=at).returncode == os.EX_CONFIG
        assert not (models / "me").exists()
        assert served.ranges[0] == ("bytes=22000000-" if modelscope else "bytes=20971520-")
        served.breaks_at = None
        served.asked.clear()
        done = pull(site, "me/mine", at=at)
    assert done.returncode == 0, done.stderr
    assert any("large.bin" in path for path in served.asked)
    assert (models / "me" / "mine" / "large.bin").read_bytes() == bytes(25_000_000)
    assert not [path.name for path in models.iterdir() if path.name.startswith(".")]


def test_a_disk_without_room_is_told_of_before_anything_is_fetched(site, models, mine):
    with hub.serve({"me/mine": mine}) as (at, served):
        served.sizes["model.pt"] = 2**60
        done = pull(site, "me/mine", at=at)
    assert "hugging_face: 1073741824.3 GiB are needed at" in done.stderr
    assert not any("resolve" in path for path in served.asked)


def test_a_cut_off_file_is_not_taken_for_a_model(site, models, mine):
    (mine / "model.pt").write_bytes((mine / "model.pt").read_bytes()[:1_000_000])
    with hub.serve({"me/mine": mine}) as (at, _):
        done = pull(site, "me/mine", at=at)
    assert "model.pt is cut off" in done.stderr
    assert not (models / "me").exists()


@pytest.mark.parametrize("name", ["ct-punc", "funasr/ct-punc", PUNCTUATION, PUNCTUATION.replace("iic/", "damo/")])
def test_a_model_goes_by_each_of_its_names(site, models, name):
    shutil.copytree(CT_TRANSFORMER, models / PUNCTUATION)
    assert "files are intact" in site.call("models", "verify", name).stdout
    assert site.call("check-config").returncode == 0
    site.configure(model=str(SEACO), punctuation=name)
    assert site.call("check-config").returncode == 0


def test_all_models_that_the_configuration_names_are_fetched_at_once(site):
    """Also the detector, which nobody has named: that of the demonstration is not for people."""
    site.extra = f'models_dir = "{site.root}/models"'
    site.configure(model="iic/SenseVoiceSmall")
    assert "models pull iic/speech_fsmn_vad_zh-cn-16k-common-pytorch" in missing_detector(site)
    with hub.serve({"FunAudioLLM/SenseVoiceSmall": SENSEVOICE, "funasr/fsmn-vad": VAD}) as (at, _):
        done = pull(site, "--any-version", at=at)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("downloaded to") == 2
    assert site.call("check-config").returncode == 0


def missing_detector(site):
    """What check-config says of a configuration whose recognizer is there, and its detector is not."""
    model = site.root / "models" / "iic" / "SenseVoiceSmall"
    shutil.copytree(SENSEVOICE, model)
    done = site.call("check-config")
    shutil.rmtree(model)
    assert done.returncode == os.EX_CONFIG
    return done.stderr


def test_nothing_is_fetched_for_the_demonstration(site, models):
    assert "names no model" in site.call("models", "pull").stdout


def test_what_is_here_and_what_can_be_fetched_is_listed(site, models, mine):
    shutil.copytree(mine, models / "me" / "mine")
    broken = shutil.copytree(SENSEVOICE, models / "iic" / "SenseVoiceSmall")
    (broken / "model.pt").unlink()
    site.configure(model="me/mine")
    listed = {model["name"]: model for model in json.loads(site.call("models", "list", "--json").stdout)}
    assert {name for name, model in listed.items() if model["configured"]} == {"demo", "me/mine"}
    assert {name for name, model in listed.items() if model["state"] == "here"} == {"demo", "silero", "me/mine"}
    assert "model.pt is missing" in listed["iic/SenseVoiceSmall"]["state"]
    assert listed["iic/SenseVoiceSmall"]["languages"] == ["zh", "yue", "en", "ja", "ko"]
    shown = site.process("models", "list", env=os.environ | {"COLUMNS": "200"}).stdout
    assert all(short in shown for model in public_models.MODELS for short in model.short_names)


# --- models for demonstrations -------------------------------------------------------------------------


def test_who_uses_the_demonstration_model_is_told_so_everywhere(site, spoken):
    site.configure(formats=["txt", "json", "srt", "vtt", "md", "html", "tsv", "lrc"])
    shutil.copy(spoken(123), site.inbox / "a.wav")
    run = site.process("run", "--once")
    assert "understands a few dozen words of synthetic voices, not people" in run.stderr
    for path in site.outbox.iterdir():
        assert "it is for demonstrations" in path.read_text(), path.name
    for told in (site.call("check-config").stdout, site.status()["summary"], site.status()["note"]):
        assert "The model demo is in use: it is for demonstrations" in told


def test_a_detector_for_demonstrations_beside_a_model_for_people_is_told_of(site, models, mine):
    shutil.copytree(mine, models / "me" / "mine")
    site.configure(model="me/mine")
    assert "The speech detector demo is in use: it is for demonstrations" in site.call("check-config").stdout
