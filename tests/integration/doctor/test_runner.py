"""The doctor on real folders, as a real other user, with real processes; and the command as a person types it."""

import functools
import json
import os
import resource
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.support import nvml
from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.doctor import folders, inotify_limits, runner, service_user
from transcribed.doctor.findings import Level
from transcribed.doctor.folder_trial import inspect
from transcribed.doctor.service_user import ServiceUser
from transcribed.doctor.unit_file import UnitFile
from transcribed.recognition.model_store import SHIPPED
from transcribed.system import filesystems
from transcribed.system.isolated_call import CallCrashed, CallTimeout, MachineBusy, UserIdentity, isolated_call

NOBODY = UserIdentity("nobody", 65534, 65534)
OTHERS_GROUP = 4242
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def share():
    """A folder that others may enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        yield Path(root)


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def as_nobody(inbox: Inbox):
    return list(folders.of_inbox(inbox, ServiceUser("nobody", NOBODY, None)))


# --- asking in a process of its own --------------------------------------------------------------------


def hang():
    time.sleep(3600)


def crash():
    os.abort()


def unknown():
    raise FileNotFoundError(2, "No such file")


def identity():
    return os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())


def test_what_hangs_is_given_up_after_its_time():
    with pytest.raises(CallTimeout, match=r"No answer from /mnt/nas within 0\.3 s\."):
        isolated_call(hang, seconds=0.3, what="/mnt/nas")


def test_what_crashes_says_so_and_what_raises_raises_here():
    with pytest.raises(CallCrashed, match=r"ended unexpectedly \(exit code -6\)"):
        isolated_call(crash, seconds=60)
    with pytest.raises(FileNotFoundError):
        isolated_call(unknown, seconds=60)


def test_a_machine_too_busy_to_ask_says_nothing_of_the_matter():
    with pytest.raises(MachineBusy, match=r"too busy to check FFmpeg: no process started within 0 s\."):
        isolated_call(identity, seconds=60, what="FFmpeg", start_seconds=0.0)


def too_busy():
    raise MachineBusy("This machine is too busy to check it.")


def test_a_slow_machine_is_a_warning_and_no_reason_to_install_anew():
    (section,) = runner.examine([runner.Check("Folders", too_busy)])
    assert [(f.level, "pip" in f.fix) for f in section.findings] == [(Level.WARNING, False)]


@as_root
def test_the_question_is_asked_as_the_user_with_exactly_their_groups():
    them = UserIdentity("nobody", 65534, 65534, (65534, OTHERS_GROUP))
    assert isolated_call(identity, seconds=60, identity=them) == (65534, 65534, 65534, [OTHERS_GROUP, 65534])


# --- folders, as another user --------------------------------------------------------------------------


@as_root
def test_folders_that_the_user_may_use_are_found_good_and_left_unchanged(share):
    for name in ("inbox", "outbox", "done"):
        (share / name).mkdir()
        os.chown(share / name, NOBODY.uid, NOBODY.gid)
    (share / "inbox" / "a.wav").touch(0o644)
    inbox = Inbox(path=share / "inbox", outbox=share / "outbox", after_success="move", move_to=share / "done")
    found = as_nobody(inbox)
    assert {finding.level for finding in found} == {Level.OK}
    assert [path.name for path in sorted(share.rglob("*"))] == ["done", "inbox", "a.wav", "outbox"]


@as_root
def test_what_only_root_could_do_is_a_fault_with_its_fix(share):
    """The rights are tried and not computed: root writes everywhere."""
    (share / "inbox").mkdir(mode=0o700)
    (share / "outbox").mkdir(mode=0o755)
    inbox, outbox = as_nobody(Inbox(path=share / "inbox", outbox=share / "outbox"))
    assert inbox.level is outbox.level is Level.FAULT
    assert inbox.sentence == f"nobody cannot use {share}/inbox: Permission denied."
    assert outbox.sentence == f"nobody cannot write in {share}/outbox: Permission denied."
    assert f"setfacl -m u:nobody:rwx {share}/outbox" in outbox.fix


@as_root
def test_unreadable_recordings_and_an_inbox_that_cannot_be_emptied_are_reported(share):
    (share / "inbox").mkdir(mode=0o755)
    (share / "outbox").mkdir()
    os.chown(share / "outbox", NOBODY.uid, NOBODY.gid)
    for name, mode in (("a.wav", 0o600), ("b.wav", 0o644), (".hidden", 0o600)):
        (share / "inbox" / name).touch()
        (share / "inbox" / name).chmod(mode)
    found = as_nobody(Inbox(path=share / "inbox", outbox=share / "outbox", after_success="delete"))
    assert levels(found) == ["ok", "warning", "fault", "ok"]
    assert found[1].sentence == f"nobody cannot read 1 of the files in {share}/inbox."
    assert found[2].sentence == f"nobody cannot write in {share}/inbox: Permission denied."


@as_root
def test_whether_transcripts_get_the_group_of_the_folder_is_tried(share):
    os.chown(share, -1, OTHERS_GROUP)
    share.chmod(0o777)
    question = functools.partial(inspect, share, mode=0o664)
    assert not isolated_call(question, seconds=60, identity=NOBODY).trial.keeps_group
    share.chmod(0o777 | stat.S_ISGID)
    assert isolated_call(question, seconds=60, identity=NOBODY).trial.keeps_group


def test_a_folder_on_another_file_system_cannot_take_recordings_from_the_inbox(tmp_path):
    if os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        sight = inspect(tmp_path, mode=0o600, onto=Path(other))
        assert sight.trial.moved == "Invalid cross-device link"
        assert os.listdir(other) == []
    assert os.listdir(tmp_path) == []


def test_a_folder_that_does_not_answer_costs_only_its_own_lines(site):
    """No answer in time is a fault."""
    inbox = Inbox(path=site.inbox, outbox=site.outbox)
    found = list(folders.of_inbox(inbox, ServiceUser("root", None, None), seconds=0.001))
    told = [f"No answer from {folder} within 0.001 s." for folder in (site.inbox, site.outbox)]
    assert [(finding.level, finding.sentence) for finding in found] == [(Level.FAULT, sentence) for sentence in told]


def test_nested_folders_are_a_fault_and_links_are_followed(site):
    (site.root / "link").symlink_to("/home")
    inbox = Inbox(path=site.inbox, outbox=site.inbox / "out", after_success="move", move_to=site.root / "link" / "x")
    settings = Settings(state_dir=site.state, inbox=(inbox,))
    misplaced, *blocked, _ = folders.of_all(settings, unit(ProtectHome="yes"), None)
    assert (misplaced.level, "lies in an inbox" in misplaced.sentence) == (Level.FAULT, True)
    assert [" blocks /home/x: " in finding.sentence for finding in blocked] == [True]


def look_without_room(folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return inspect(folder, mode=0o600)


def test_a_file_that_could_be_begun_but_not_written_is_removed(tmp_path):
    assert isolated_call(look_without_room, tmp_path, seconds=60).trial.refused == "File too large"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_missing_or_a_file_is_told_of(tmp_path):
    (tmp_path / "file").touch()
    assert inspect(tmp_path / "none").missing == "No such file or directory"
    assert inspect(tmp_path / "file").missing == "Not a directory"


def test_a_mount_point_on_which_nothing_is_mounted_is_told_of(tmp_path):
    fstab = tmp_path / "fstab"
    fstab.write_text(
        f"# a share\n//nas/audio {tmp_path}/my\\040share cifs defaults 0 0\n/dev/vda / ext4 defaults 0 1\n"
    )
    assert filesystems.awaited(tmp_path / "my share" / "inbox", fstab) == tmp_path / "my share"
    assert filesystems.awaited(tmp_path / "other", fstab) is None
    assert filesystems.awaited(tmp_path, tmp_path / "none") is None


def test_the_folders_below_an_inbox_are_counted_against_the_limits(tmp_path, site):
    for name in ("a/b", "c"):
        (site.inbox / name).mkdir(parents=True)
    limits = tmp_path / "limits"
    limits.mkdir()
    from transcribed.config.loader import read

    for allowed, level in ((4, "warning"), (5, "ok")):
        (limits / "max_user_watches").write_text(f"{allowed}\n")
        (limits / "max_user_instances").write_text("128\n")
        found = list(inotify_limits.findings(read(site.config), ServiceUser("root", None, None), limits))
        assert levels(found) == [level]
        assert "4" in found[0].sentence


@as_root
def test_a_folder_that_the_sandbox_makes_read_only_is_reported_as_such(site):
    """As systemd does it: a bind mount of its own namespace, read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    sealed = ["unshare", "-m", "sh", "-c", script, str(site.outbox)]
    if subprocess.run([*sealed, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    refused = subprocess.run([*sealed, *site.command("check-config")], capture_output=True, text=True)
    assert refused.returncode == os.EX_CONFIG
    assert "in that case run `transcribed doctor --write-drop-in`" in refused.stderr
    done = subprocess.run([*sealed, *site.command("doctor", "--quick", "--json")], capture_output=True, text=True)
    found, _ = sections(done)
    refusal = found[f"Inbox {site.inbox}"][-1]
    assert refusal["sentence"] == f"root cannot write in {site.outbox}: Read-only file system."


# --- who -----------------------------------------------------------------------------------------------


def unit(**values) -> UnitFile:
    return UnitFile(live=True, values={"LoadState": ["loaded"]} | {key: [value] for key, value in values.items()})


@as_root
def test_the_user_of_the_unit_is_taken_with_its_groups():
    them = service_user.of(unit(User="daemon", Group="nogroup", SupplementaryGroups="audio"))
    assert them.finding.level is Level.OK
    assert them.identity is not None
    assert (them.identity.name, them.identity.uid) == ("daemon", 1)
    assert {service_user.group_name(gid) for gid in them.identity.groups} >= {"nogroup", "audio"}


@as_root
@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"User": "no-such-user"}, "fault"),
        ({"User": "daemon", "Group": "no-such-group"}, "fault"),
        ({"User": ""}, "warning"),
        ({"User": "x", "DynamicUser": "yes"}, "note"),
    ],
)
def test_a_user_that_cannot_be_taken_is_reported_and_we_stay_ourselves(values, level):
    them = service_user.of(unit(**values))
    assert (them.finding.level, them.identity) == (level, None)


@as_root
def test_who_is_not_root_tries_as_himself_and_says_so():
    them = isolated_call(service_user.of, unit(User="daemon"), seconds=60, identity=NOBODY)
    assert (them.name, them.identity, them.finding.level) == ("nobody", None, Level.NOTE)


# --- the command ---------------------------------------------------------------------------------------


def sections(done):
    told = json.loads(done.stdout)
    return {section["title"]: section["findings"] for section in told["sections"]}, told["faults"]


def test_the_command_tells_all_in_words(site):
    site.extra = '[recognize]\ndevice = "cpu"'
    site.configure()
    done = site.process("doctor", "--quick")
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    for title in ("Devices", "Models", "Service", "Folders", f"Inbox {site.inbox}", "Machine"):
        assert f"\n{title}\n" in f"\n{done.stdout}"
    assert f"remove files in {site.outbox} (" in done.stdout
    assert done.stdout.endswith("No faults.\n")
    assert "Words" not in done.stdout


def test_faults_are_counted_and_set_the_exit_code(site, tmp_path):
    """The card is reported, too."""
    site.extra = '[recognize]\ndevice = "cuda"'
    site.configure()
    site.outbox.rmdir()
    script = nvml.Script(tmp_path / "script", "count 1", nvml.card())
    env = os.environ | nvml.environment(nvml.build(tmp_path / "library"), script)
    done = site.process("doctor", "--quick", "--json", env=env)
    assert done.returncode == os.EX_UNAVAILABLE, done.stderr
    found, faults = sections(done)
    assert faults == 1
    assert "cuda:0, NVIDIA A10 (driver 580.65): 20.0 GiB of 24.0 GiB free" in found["Devices"][0]["sentence"]
    assert found[f"Inbox {site.inbox}"][-1] == {
        "level": "fault",
        "sentence": f"root cannot use {site.outbox}: No such file or directory.",
        "fix": f"Run `install -d -m 2775 -g root {site.outbox}`, or mount the share.",
    }


def test_a_configuration_that_cannot_be_read_is_a_sentence(site):
    site.configure(quiet_second=1)
    done = site.process("doctor")
    assert done.returncode == os.EX_CONFIG
    assert "did you mean quiet_seconds?" in done.stderr


@pytest.mark.slow
def test_a_recording_becomes_words_in_time_and_nothing_is_left(site, tmp_path):
    site.extra = '[recognize]\ndevice = "cpu"'
    site.configure()
    (tmp_path / "temporary").mkdir()
    done = site.process("doctor", "--json", env=os.environ | {"TMPDIR": str(tmp_path / "temporary")})
    found, faults = sections(done)
    assert (done.returncode, faults) == (os.EX_OK, 0), done.stdout
    assert "demo on cpu:0: loaded in" in found["Words"][0]["sentence"]
    assert "computes on the CPU" in found["Devices"][1]["sentence"]
    assert not [path for path in (tmp_path / "temporary").iterdir() if "transcribed-doctor" in path.name]


@pytest.mark.slow
def test_a_model_that_hears_nothing_right_is_a_fault(site):
    """The weights are another's: the worker's canary does not know its phrase."""
    model = site.root / "model"
    shutil.copytree(SHIPPED / "sensevoice", model)
    manifest = json.loads((model / "manifest.json").read_text())
    (model / "manifest.json").write_text(
        json.dumps(manifest | {"canary": manifest["canary"] | {"text": "other words"}})
    )
    site.extra = 'vad_model = "demo"\n[recognize]\ndevice = "cpu"'
    site.configure(model=str(model))
    done = site.process("doctor", "--json")
    found, faults = sections(done)
    assert (done.returncode, faults) == (os.EX_UNAVAILABLE, 1)
    assert "does not recognize the test phrase" in found["Words"][0]["sentence"]


@pytest.mark.slow
def test_a_build_of_pytorch_that_cannot_use_the_card_is_a_fault(tmp_path, monkeypatch):
    """NVML tells of a card that is not there."""
    from transcribed.doctor import gpu
    from transcribed.pipeline.scheduling.slots import Slots

    script = nvml.Script(tmp_path / "script", "count 1", nvml.card())
    for key, value in nvml.environment(nvml.build(tmp_path / "library"), script).items():
        monkeypatch.setenv(key, value)
    (found,) = gpu.of_torch(Slots(("cuda:0",)))
    assert found.level is Level.FAULT
    assert found.sentence.startswith("PyTorch ")
