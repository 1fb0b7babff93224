"""What the doctor makes of memory, cores, clock and disks: each judgement apart from the looking."""

import pytest

from tests.support import systemctl
from transcribed.config.settings import PrepareSettings, RecognizeSettings, Settings
from transcribed.doctor import machine
from transcribed.doctor.findings import Finding, Level
from transcribed.doctor.folder_trial import FolderReport, WriteTrial
from transcribed.doctor.service_user import ServiceUser

GIB = 2**30


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def only(findings) -> Finding:
    (one,) = findings
    return one


def state(sight, is_made=False, **prepare):
    settings = Settings(state_dir="/state", prepare=PrepareSettings(**prepare))
    return list(machine.judge_state(settings, sight, "transcribed", is_made))


def test_the_state_directory_needs_a_local_disk_with_enough_room():
    """The longest recording must fit."""
    assert levels(state(FolderReport("ext4", free_bytes=9 * GIB, trial=WriteTrial()))) == ["ok"]
    assert levels(state(FolderReport("ext4", free_bytes=GIB, trial=WriteTrial()))) == [
        "warning"
    ]  # 12 hours take 1.3 GiB
    assert levels(state(FolderReport("ext4", free_bytes=GIB, trial=WriteTrial()), max_hours=2)) == ["ok"]
    assert levels(state(FolderReport("ext4", free_bytes=2**20, trial=WriteTrial()))) == ["fault"]
    assert levels(state(FolderReport("nfs4", free_bytes=9 * GIB, trial=WriteTrial()))) == ["fault", "ok"]


def test_a_decoder_whose_program_is_missing_is_a_fault():
    settings = Settings(
        decoder=[{"match": "*.ds2", "command": ["sh", "{file}"]}, {"match": "*.a", "command": ["/no/such/program"]}]
    )
    found = list(machine.of_decoders(settings, ServiceUser("nobody", None, None)))
    assert levels(found) == ["ok", "fault"]
    assert "/no/such/program" in found[1].sentence


def test_a_state_directory_that_systemd_will_make_may_be_missing():
    missing = FolderReport("ext4", missing="No such file or directory")
    assert levels(state(missing, is_made=True)) == ["note"]
    assert levels(state(missing)) == ["fault"]


def test_memory_is_held_against_what_is_configured():
    assert machine.judge_memory(2 * GIB, GIB, GIB).level is Level.WARNING
    assert machine.judge_memory(2 * GIB, 4 * GIB, GIB).level is Level.NOTE
    assert machine.judge_memory(2 * GIB, 4 * GIB, 3 * GIB).level is Level.OK
    one = machine.needed_bytes(Settings(prepare=PrepareSettings(processes=1)), GIB, 1)
    four = machine.needed_bytes(Settings(prepare=PrepareSettings(processes=4)), GIB, 1)
    assert four - one == 3 * GIB // 2


def test_more_processes_or_threads_than_cores_are_warned_of():
    assert machine.judge_cores(Settings(prepare=PrepareSettings(processes=2)), True, 2).level is Level.OK
    assert machine.judge_cores(Settings(prepare=PrepareSettings(processes=3)), True, 2).level is Level.WARNING
    threads = Settings(recognize=RecognizeSettings(threads=8))
    assert machine.judge_cores(threads, True, 2).level is Level.WARNING
    assert machine.judge_cores(threads, False, 2).level is Level.OK


@pytest.mark.parametrize(("error", "level"), [(None, "note"), (16_000_000, "warning"), (31_000, "ok"), (0, "ok")])
def test_the_clock_is_judged_as_systemd_does(error, level):
    assert machine.judge_clock(error).level == level


def test_this_machine_tells_its_clock_its_files_its_cores_and_its_versions():
    unit = systemctl.unit("shipped")
    assert "65536" in only(machine.of_open_files(unit)).sentence
    assert levels(machine.of_cores(Settings(), True)) == ["ok"]
    assert levels(machine.of_memory(Settings(), GIB, 1, unit)) in (["ok"], ["note"], ["warning"])
    assert "clock" in only(machine.of_clock()).sentence
    assert "PyTorch" in next(iter(machine.of_versions())).sentence


def test_too_few_open_files_are_warned_of():
    assert machine.judge_open_files(256, "transcribed.service").level is Level.WARNING
    assert machine.judge_open_files(-1, "transcribed.service").level is Level.OK
