import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from transcribed.config.example import example
from transcribed.config.inbox import Inbox
from transcribed.config.loader import load
from transcribed.config.settings import Settings
from transcribed.core.errors import Misconfigured
from transcribed.recognition.public_models import DETECTOR

SHIPPED = Path(__file__).parents[3] / "config" / "transcribed.toml"


@pytest.fixture
def write(tmp_path):
    for name in ("in", "out", "in2", "out2"):
        (tmp_path / name).mkdir()

    def write(text):
        path = tmp_path / "transcribed.toml"
        path.write_text(f'state_dir = "{tmp_path}/state"\n' + text.replace("@", str(tmp_path)))
        return path

    return write


def faults(path):
    with pytest.raises(Misconfigured) as caught:
        load(path)
    return str(caught.value).splitlines()


ONE = '[[inbox]]\npath = "@/in"\noutbox = "@/out"\n'


def test_what_an_inbox_does_not_say_comes_from_the_defaults(write):
    settings = load(write('[defaults]\nlanguage = "zh"\nformats = ["txt"]\n' + ONE + 'language = "en"\n'))
    assert (settings.inbox[0].language, settings.inbox[0].formats) == ("en", ("txt",))


def test_every_fault_is_told_at_once_with_its_place_and_a_suggestion(write):
    text = '[prepare]\nmax_houres = 3\nprocesses = 0\n[defaults]\nlanguage = "klingon"\n' + ONE + "quiet_second = 1\n"
    told = "\n".join(faults(write(text)))
    assert "prepare.max_houres: unknown key; did you mean max_hours?" in told
    assert "prepare.processes:" in told
    assert "defaults.language:" in told
    assert "inbox[0].quiet_second: unknown key; did you mean quiet_seconds?" in told


def test_what_is_not_toml_is_told_with_its_line(write):
    (told,) = faults(write("inbox = 1\nfoo bar\n"))
    assert "is not valid TOML" in told
    assert "line 3" in told


def test_a_missing_file_is_a_sentence(tmp_path):
    assert faults(tmp_path / "none.toml") == [f"{tmp_path}/none.toml cannot be read: No such file or directory."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[inbox]]\npath = "@/in"\noutbox = "@/in/out"\n', "lies in an inbox"),
        ('[[inbox]]\npath = "@"\noutbox = "/tmp"\n', "the state_dir"),
        (ONE + '[[inbox]]\npath = "@/in/sub"\noutbox = "@/out2"\n', "overlap"),
        (ONE + '[[inbox]]\npath = "@/in2"\noutbox = "@/out"\n', "share the outbox"),
        (ONE + '[[inbox]]\npath = "@/in2"\noutbox = "@/in"\n', "lies in an inbox"),
        (ONE + 'after_success = "move"\n', "no move_to"),
        (ONE + 'after_success = "move"\nmove_to = "@/in/done"\n', "lies in an inbox"),
        (ONE + 'after_success = "move"\nmove_to = "/proc"\n', "is not on the file system"),
        ("", "no [[inbox]] is configured"),
        ('[[inbox]]\npath = "in"\noutbox = "@/out"\n', "must be an absolute path"),
        (ONE + 'output_mode = "999"\n', "invalid literal"),
        (ONE + "formats = []\n", "at least 1 item"),
    ],
)
def test_folders_that_cannot_work_are_refused_with_a_sentence(write, text, sentence):
    assert any(sentence in fault for fault in faults(write(text)))


def test_an_inbox_reached_by_a_link_is_seen_to_be_the_same(write, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "in")
    text = ONE + '[[inbox]]\npath = "@/link"\noutbox = "@/out2"\n'
    assert any("overlap" in fault for fault in faults(write(text)))


def test_a_share_that_is_away_does_not_stop_the_others(write):
    assert load(write('[[inbox]]\npath = "@/away"\noutbox = "@/away-out"\n')).inbox[0].path.name == "away"


def test_a_file_where_a_folder_should_be_is_refused(write, tmp_path):
    (tmp_path / "file").write_text("")
    assert any("is not a folder" in fault for fault in faults(write('[[inbox]]\npath = "@/file"\noutbox = "@/out"\n')))


def test_a_folder_without_rights_is_refused_with_what_to_do():
    """Asked as nobody, since root may do everything; in a process that has read its modules before."""
    with tempfile.TemporaryDirectory() as root:
        for name in ("in", "out", "locked/in"):
            Path(root, name).mkdir(parents=True)
        Path(root, "locked").chmod(0o700)
        Path(root).chmod(0o755)
        config = Path(root, "transcribed.toml")
        config.write_text(
            f'[[inbox]]\npath = "{root}/in"\noutbox = "{root}/out"\n'
            f'[[inbox]]\npath = "{root}/locked/in"\noutbox = "/tmp"\n'
        )
        become_nobody = "os.getuid() or os.setuid(65534)"
        imports = "import os; from pathlib import Path; from transcribed.config.loader import load"
        script = f"{imports}; {become_nobody}; load(Path({str(config)!r}))"
        Path(root, "out").chmod(0o555)
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
    assert f"{root}/out cannot be written by this user" in told
    assert "grant access" in told
    assert os.getuid() != 0 or f"{root}/locked/in cannot be accessed by this user" in told


def test_the_environment_goes_over_the_file(write, monkeypatch):
    monkeypatch.setenv("TRANSCRIBED_PREPARE__PROCESSES", "3")
    assert load(write("[prepare]\nprocesses = 2\n" + ONE)).prepare.processes == 3


def test_the_shipped_example_is_what_the_model_says():
    assert SHIPPED.read_text() == example()


def test_what_is_rarely_needed_stands_last_and_is_valid_in_its_table():
    text = example()
    usual, rare = text.split("## --- Rarely needed")
    tables = re.split(r"^## (?:\[(\w+)\]|At the top.*)$", rare, flags=re.MULTILINE)[1:]
    lines = [re.findall(r"^##     (\w+ = .*)$", part, flags=re.MULTILINE) for part in tables[1::2]]
    assert sum(map(len, lines)) == 14
    for table, keys in zip(tables[0::2], lines, strict=True):
        for key in keys:
            name = key.split(" = ")[0]
            assert f"# {name} =" not in usual or table == "housekeeping"
            found = tomllib.loads(f"[{table}]\n{key}\n" if table else key)
            assert Settings(inbox=(Inbox(path="/in", outbox="/out"),), **found)


def test_every_line_of_the_example_is_valid_when_it_is_uncommented():
    text = re.sub(r"^# (?=\w+ = )", "", example(), flags=re.MULTILINE)
    document = tomllib.loads(text)
    settings = Settings(**document)
    assert set(document["defaults"]) | {"path", "outbox"} == set(type(settings.inbox[0]).model_fields)


@pytest.mark.parametrize(
    ("value", "reserve"),
    [("0.25", 0.25), ('"10%"', 0.1), ('"0.1"', 0.1), ("0", 0.0), ('"2 GiB"', 2.0 * 2**30), ("2147483648", 2.0 * 2**30)],
)
def test_what_is_left_to_others_is_a_share_or_a_size(write, value, reserve):
    assert load(write(f"[gpu]\nvram_reserve = {value}\n" + ONE)).gpu.vram_reserve == pytest.approx(reserve)


@pytest.mark.parametrize("value", ["1", "2", "1.0", "true", '"120%"', '"much"', "-1", '"2 parsecs"'])
def test_a_reserve_that_would_reserve_nothing_is_refused(write, value):
    assert any("gpu.vram_reserve" in line for line in faults(write(f"[gpu]\nvram_reserve = {value}\n" + ONE)))


def test_the_environment_says_a_share_as_the_file_does(write, monkeypatch):
    monkeypatch.setenv("TRANSCRIBED_GPU__VRAM_RESERVE", "0.2")
    assert load(write(ONE)).gpu.vram_reserve == 0.2


def test_a_policy_takes_from_gpu_what_it_does_not_say(write):
    text = '[gpu]\nvram_reserve = "3 GiB"\n[[gpu.policy]]\ncron = "0 8 * * *"\npause = true\n'
    (rule,) = load(write(text + ONE)).gpu.policy
    assert (rule.vram_reserve, rule.pause) == (3.0 * 2**30, True)
    assert any("gpu.policy[0].cron" in line for line in faults(write(text.replace("0 8", "at night") + ONE)))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "GPU", "tpu"])
def test_a_device_that_cannot_be_is_refused(write, device):
    assert any("recognize.device" in line for line in faults(write(f'[recognize]\ndevice = "{device}"\n' + ONE)))


@pytest.mark.parametrize(
    "alerts",
    ['urls = "mailto://a:s3cr3t@b.org"', 'urls = [3, "s3cr3t"]', 'urls = [["s3cr3t"]]', 'urls = {a = "s3cr3t"}'],
)
def test_a_fault_beside_a_secret_does_not_tell_it(write, alerts):
    told = "\n".join(faults(write(f"[alerts]\n{alerts}\n" + ONE)))
    assert "alerts.urls" in told
    assert "s3cr3t" not in told
    assert "s3cr3t" not in "".join(faults(write('alerts = "s3cr3t"\n' + ONE)))


@pytest.mark.parametrize(
    ("models", "named", "detector", "fetched"),
    [
        (("demo",), "", "demo", []),
        (("demo",), "silero", "silero", []),
        (("iic/SenseVoiceSmall",), "silero", "silero", ["iic/SenseVoiceSmall"]),
        (("demo", "iic/SenseVoiceSmall"), "", DETECTOR, ["iic/SenseVoiceSmall", DETECTOR]),
        (("/models/own",), "", DETECTOR, [DETECTOR]),
        (("iic/SenseVoiceSmall",), "demo", "demo", ["iic/SenseVoiceSmall"]),
        (("iic/SenseVoiceSmall",), "/models/vad", "/models/vad", ["iic/SenseVoiceSmall"]),
    ],
)
def test_the_detector_follows_the_models_unless_it_is_named(models, named, detector, fetched):
    inboxes = tuple(Inbox(path=Path(f"/in{n}"), outbox=Path(f"/out{n}"), model=name) for n, name in enumerate(models))
    settings = Settings(inbox=inboxes, vad_model=named or None)
    assert settings.detector == detector
    assert settings.public_models == fetched
