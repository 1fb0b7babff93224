"""The commands as a person types them: words, exit codes, and what is not imported."""

import os
import subprocess
import sys

import pytest

from tests.tools.small_models import CT_TRANSFORMER
from transcribed import __version__


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
