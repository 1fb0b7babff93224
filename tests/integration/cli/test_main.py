"""The commands as a person types them: words, exit codes, and what is not imported."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support import hub
from tests.support.speech import digits
from tests.tools.small_models import CT_TRANSFORMER
from transcribed import __version__
from transcribed.recognition import model_store


def test_without_a_command_help_is_shown():
    done = subprocess.run([sys.executable, "-m", "transcribed"], capture_output=True, text=True)
    assert "explain" in done.stdout + done.stderr


def test_the_version_is_told():
    done = subprocess.run([sys.executable, "-m", "transcribed", "--version"], capture_output=True, text=True)
    assert done.stdout == f"transcribed {__version__}\n"


def test_a_good_configuration_is_said_to_be_good(site):
    done = site.process("check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{site.inbox} -> {site.outbox}" in done.stdout
    assert site.call("check-config", "--quiet").stdout == ""


def test_hotwords_that_are_passed_over_are_named_beforehand(site):
    (site.inbox / "hotwords.txt").write_text("fine\nhttp://example.org\n")
    done = site.call("check-config")
    assert done.returncode == 0
    assert "Passed over in the hotwords: hotwords.txt: line 2" in done.stderr


@pytest.mark.parametrize("command", [["run"], ["check-config"], ["explain", "a"], ["retry", "a"]])
def test_a_bad_configuration_is_a_sentence_and_exit_code_78(site, command):
    site.configure(quiet_second=1)
    done = (site.process if command == ["run"] else site.call)(*command)
    assert done.returncode == os.EX_CONFIG
    assert "inbox[0].quiet_second: unknown key; did you mean quiet_seconds?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_was_never_fetched_is_a_sentence_that_says_how(site):
    site.configure(model="iic/SenseVoiceSmall")
    for done in (site.call("check-config"), site.process("run")):
        assert done.returncode == os.EX_CONFIG
        assert "transcribed models pull iic/SenseVoiceSmall" in done.stderr


def test_the_shipped_model_can_be_verified(site):
    assert "files are intact" in site.call("models", "verify", "demo").stdout


NO_HUB = {
    "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",  # its client would wait 7 s for the network to come back
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HF_HUB_OFFLINE": "0",  # a model that another test loaded says otherwise
}


def with_models_dir(site, **inbox):
    site.extra = f'models_dir = "{site.root}/models"\nvad_model = "demo"'
    site.configure(**inbox)


def test_a_model_that_cannot_be_fetched_is_a_sentence_with_both_errors(site):
    with_models_dir(site)
    done = site.process("models", "pull", "nobody/nothing-at-all", env=os.environ | NO_HUB)
    assert done.returncode == os.EX_CONFIG
    assert "modelscope:" in done.stderr
    assert "hugging_face:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (site.root / "models" / "nobody").exists()


def test_a_fetched_model_is_verified_and_used_and_a_changed_one_refused(site, spoken):
    """A hub on this machine serves the demonstration model under the public one's name."""
    with_models_dir(site, model="iic/SenseVoiceSmall")
    with hub.serve({"FunAudioLLM/SenseVoiceSmall": model_store.SHIPPED / "sensevoice"}) as (endpoint, asked):
        done = site.process(
            "models", "pull", "iic/SenseVoiceSmall", env=os.environ | NO_HUB | {"HF_ENDPOINT": endpoint}
        )
    assert done.returncode == 0, done.stderr
    assert any("model.pt" in path for path in asked)
    assert "6 files are intact" in site.call("models", "verify", "iic/SenseVoiceSmall").stdout
    shutil.copy(spoken(123), site.inbox / "a.wav")
    site.once()
    assert site.text("a.wav") == digits(123)
    (site.root / "models" / "iic" / "SenseVoiceSmall" / "am.mvn").write_text("changed")
    verified = site.call("models", "verify", "iic/SenseVoiceSmall")
    assert verified.returncode == os.EX_CONFIG
    assert "Changed or missing: am.mvn." in verified.stderr


def test_all_models_that_the_configuration_names_are_fetched_at_once(site):
    """Also the detector, which nobody has named: that of the demonstration is not for people."""
    site.extra = f'models_dir = "{site.root}/models"'
    site.configure(model="iic/SenseVoiceSmall")
    assert "models pull iic/speech_fsmn_vad_zh-cn-16k-common-pytorch" in missing_detector(site)
    folders = {
        "FunAudioLLM/SenseVoiceSmall": model_store.SHIPPED / "sensevoice",
        "funasr/fsmn-vad": model_store.SHIPPED / "vad",
    }
    with hub.serve(folders) as (endpoint, _):
        done = site.process("models", "pull", env=os.environ | NO_HUB | {"HF_ENDPOINT": endpoint})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("downloaded to") == 2
    assert site.call("check-config").returncode == 0


def missing_detector(site):
    """What check-config says of a configuration whose recognizer is there, and its detector is not."""
    model = site.root / "models" / "iic" / "SenseVoiceSmall"
    shutil.copytree(model_store.SHIPPED / "sensevoice", model)
    done = site.call("check-config")
    shutil.rmtree(model)
    assert done.returncode == os.EX_CONFIG
    return done.stderr


def test_nothing_is_fetched_for_the_demonstration(site):
    with_models_dir(site)
    assert "names no model" in site.call("models", "pull").stdout


def test_a_model_is_fetched_under_its_name_on_the_other_hub(site):
    with_models_dir(site)
    name = "iic/punc_ct-transformer_cn-en-common-vocab471067-large"
    with hub.serve({"funasr/ct-punc": CT_TRANSFORMER}) as (endpoint, _):
        done = site.process("models", "pull", name, env=os.environ | NO_HUB | {"HF_ENDPOINT": endpoint})
    assert done.returncode == 0, done.stderr
    assert "files are intact" in site.call("models", "verify", name).stdout


def test_a_model_that_recognizes_no_speech_is_refused_before_the_first_recording(site):
    site.configure(model=str(CT_TRANSFORMER))
    done = site.call("check-config")
    assert done.returncode == os.EX_CONFIG
    assert "is not a supported speech recognizer: its family is CTTransformer" in done.stderr
    assert "SenseVoiceSmall, SeacoParaformer" in done.stderr


def test_before_the_first_run_there_is_nothing_to_tell(site):
    for command in ("status", "retry --failed"):
        assert site.call(*command.split()).returncode in (os.EX_UNAVAILABLE, os.EX_TEMPFAIL)


HEAVY = {"torch", "funasr", "av", "numpy", "pydantic", "structlog", "sqlite3", "watchdog", "psutil", "apprise"}


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("command", ["status", "alerts"])
def test_what_is_asked_often_imports_next_to_nothing(site, command):
    code = f"""
from transcribed.cli.main import app
try:
    app(["{command}", "--config", {str(site.config)!r}])
except SystemExit:
    pass
"""
    assert modules_after(code) & HEAVY == set()


def test_the_daemon_imports_neither_torch_nor_funasr_nor_ffmpeg():
    formats = "from transcribed.output.formats import srt, vtt, json"
    loaded = modules_after(f"import transcribed.daemon.daemon, transcribed.operations.alerts.monitor; {formats}")
    assert loaded & {"torch", "funasr", "av", "numpy", "pynvml", "apprise"} == set()


def test_the_distribution_that_only_looks_like_nvidias_is_not_installed():
    from importlib.metadata import distributions

    names = {d.metadata["Name"].lower() for d in distributions()}
    assert "nvidia-ml-py" in names
    assert not names & {"pynvml", "torchaudio", "sdnotify"}
