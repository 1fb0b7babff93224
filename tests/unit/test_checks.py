"""What the doctor makes of what was seen: each judgement apart from the looking."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests import systemctl
from transcribed.config.inbox import Inbox
from transcribed.config.settings import PrepareSettings, RecognizeSettings, Settings
from transcribed.core.errors import Misconfigured
from transcribed.core.telemetry import Card, Reading
from transcribed.doctor import folders, gpu, inotify_limits, machine, recognition, runner, sandbox_access, service
from transcribed.doctor.findings import Finding, Level, fault, ok
from transcribed.doctor.folder_trial import FolderReport, WriteTrial
from transcribed.doctor.gpu import Torch
from transcribed.doctor.sandbox_access import ConfiguredPath, SandboxView
from transcribed.doctor.unit_file import UnitFile
from transcribed.pipeline.scheduling.gpu_policy import Policy
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.state.control_files import STATUS_VERSION

GIB = 2**30
A10 = Card("cuda:0", "GPU-0", "NVIDIA A10", 24 * GIB, 20 * GIB, 3 * GIB)
ONE, CPU = Slots(("cuda:0",)), Slots(("cpu:0",))
INBOX = Inbox(path="/srv/inbox", outbox="/srv/outbox")
FOLDER = Path("/srv/folder")


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def only(findings) -> Finding:
    (one,) = findings
    return one


# --- cards and PyTorch ---------------------------------------------------------------------------------


def of(reading, device="auto", slots=ONE, needed=2 * GIB, **policy):
    return list(gpu.of_reading(reading, slots, device, Policy(**policy), needed))


def test_a_card_is_told_of_with_its_memory_its_driver_and_its_neighbours():
    told = only(of(Reading((replace(A10, others_bytes=GIB),), "580.65")))
    expected = "cuda:0 is an NVIDIA A10 (driver 580.65): 20.0 GiB of 24.0 GiB free, 1.0 GiB held by other programs."
    assert told == ok(expected)


@pytest.mark.parametrize("slots", [ONE, Slots(("cuda:1",))])
def test_a_card_that_is_wanted_and_away_is_a_fault(slots):
    assert levels(of(Reading(trouble="The NVIDIA driver is not loaded."), slots=slots)) == ["fault"]
    assert levels(of(Reading(), slots=slots)) == ["fault"]


def test_a_card_with_too_little_room_is_warned_of_and_not_tried():
    full = Reading((replace(A10, free_bytes=3 * GIB),), "580.65")
    assert levels(of(full)) == ["ok", "warning"]  # 2.4 GiB are left to others
    assert gpu.ready(ONE, full, Policy(), 2 * GIB).names == ()
    assert gpu.ready(ONE, full, Policy(reserve=0), 2 * GIB).names == ("cuda:0",)


def test_a_machine_without_cards_is_no_fault_unless_one_is_wanted():
    assert levels(of(Reading(absent=True, trouble="none"), slots=CPU)) == ["note"]
    assert levels(of(Reading(), device="cpu", slots=CPU)) == ["ok"]


def test_faults_of_the_driver_are_passed_on():
    assert levels(of(Reading((A10,), "580.65", faults=("The driver reports Xid 79.",)))) == ["ok", "warning"]


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((6, 1), ["sm_75", "compute_75"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a", "compute_90a"], False),
        ((10, 3), ["sm_100f"], True),
        ((12, 0), ["sm_120"], True),
        ((7, 0), ["something"], False),
    ],
)
def test_a_build_runs_on_the_cards_that_it_has_code_for(capability, architectures, runs):
    assert gpu.runs_on(capability, architectures) is runs


def test_a_build_without_cuda_or_without_code_for_the_card_or_that_cannot_compute_is_a_fault():
    good = Torch("2.13.0", "13.0", ("sm_80", "sm_90"), (9, 0))
    assert gpu.judge_torch(good, "cuda:0", False).level is Level.OK
    for bad in (
        Torch("2.13.0+cpu", None, refused="Torch not compiled with CUDA enabled"),
        replace(good, capability=(6, 1)),
        replace(good, refused="The NVIDIA driver on your system is too old"),
    ):
        assert gpu.judge_torch(bad, "cuda:0", False).level is Level.FAULT
    assert "without CUDA" in gpu.judge_torch(Torch("2.13.0+cpu", None), "cuda:0", False).sentence


def test_a_unit_that_hides_the_cards_is_a_fault_where_one_is_used():
    assert list(gpu.of_devices(systemctl.unit("shipped"), ONE)) == []
    assert levels(gpu.of_devices(systemctl.unit("shipped", PrivateDevices="yes"), ONE)) == ["fault"]
    assert levels(gpu.of_devices(systemctl.unit("shipped", DeviceAllow="char-rtc r"), ONE)) == ["fault"]
    assert list(gpu.of_devices(systemctl.unit("shipped", PrivateDevices="yes"), CPU)) == []


# --- the sandbox ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/srv/transcribed/inbox", SandboxView.WRITABLE),
        ("/srv/other", SandboxView.READ_ONLY),
        ("/var/lib/transcribed", SandboxView.WRITABLE),
        ("/var/lib/other", SandboxView.READ_ONLY),
        ("/var/log/transcribed", SandboxView.WRITABLE),
        ("/home/anna/inbox", SandboxView.HIDDEN),
        ("/root", SandboxView.HIDDEN),
        ("/tmp/inbox", SandboxView.PRIVATE),
    ],
)
def test_under_the_shipped_unit_a_path_is_seen_so(path, seen):
    assert sandbox_access.view(Path(path), systemctl.unit("shipped")) is seen


def test_the_drop_in_opens_what_it_names_and_nothing_beside():
    active = systemctl.unit("active")
    assert sandbox_access.view(Path('/srv/it\'s a "100%" share/out'), active) is SandboxView.WRITABLE
    assert sandbox_access.view(Path("/home/anna/inbox/sub"), active) is SandboxView.WRITABLE
    assert sandbox_access.view(Path("/home/anna"), active) is SandboxView.READ_ONLY


def test_what_is_hidden_hides_all_below_it_whatever_else_is_said():
    unit = systemctl.unit("shipped", ReadWritePaths="/home/anna/inbox", InaccessiblePaths="/srv/x")
    assert sandbox_access.view(Path("/home/anna/inbox"), unit) is SandboxView.HIDDEN
    assert sandbox_access.view(Path("/srv/x/y"), unit) is SandboxView.HIDDEN


def test_a_milder_unit_hinders_less():
    free = UnitFile(live=True, values={"LoadState": ["loaded"]})
    assert sandbox_access.view(Path("/usr/share/inbox"), free) is SandboxView.WRITABLE
    for system, usr, etc in (
        ("yes", SandboxView.READ_ONLY, SandboxView.WRITABLE),
        ("full", SandboxView.READ_ONLY, SandboxView.READ_ONLY),
    ):
        unit = replace(free, values=free.values | {"ProtectSystem": [system]})
        assert sandbox_access.view(Path("/usr/x"), unit) is usr
        assert sandbox_access.view(Path("/etc/x"), unit) is etc
        assert sandbox_access.view(Path("/srv/x"), unit) is SandboxView.WRITABLE


def test_a_folder_that_is_only_read_may_be_read_only_but_not_hidden():
    unit = systemctl.unit("shipped")
    assert levels(sandbox_access.findings([ConfiguredPath(Path("/mnt/in"), written=False)], unit)) == ["ok"]
    assert levels(sandbox_access.findings([ConfiguredPath(Path("/home/in"), written=False)], unit)) == ["fault"]
    blocked = only(
        sandbox_access.findings(
            [ConfiguredPath(Path(path), written=True) for path in ("/mnt/a", "/srv/transcribed", "/b")], unit
        )
    )
    assert "blocks /mnt/a, /b: to the service, it is read-only." in blocked.sentence
    assert "transcribed doctor --write-drop-in" in blocked.fix
    assert "outside /tmp" in only(sandbox_access.findings([ConfiguredPath(Path("/tmp/out"), written=True)], unit)).fix


def test_the_inbox_is_written_to_only_if_recordings_leave_it():
    keeping, moving = INBOX, Inbox(path="/a", outbox="/b", after_success="move", move_to="/c")
    settings = Settings(state_dir="/state", models_dir="/models", inbox=(keeping, moving))
    assert {str(place.path) for place in sandbox_access.places(settings) if place.written} == {
        *("/state", "/srv/outbox", "/a", "/b", "/c")
    }


def test_an_inbox_and_where_its_recordings_move_must_be_one_mount():
    """Seen on systemd 252: link(2) and rename(2) between two folders of ReadWritePaths= fail with EXDEV."""
    paths = (Path("/mnt/nas/in"), Path("/mnt/nas/done"))
    wanted = [ConfiguredPath(path, written=True) for path in paths]
    apart = systemctl.unit("shipped", ReadWritePaths="-/mnt/nas/in -/mnt/nas/done")
    assert "two mounts: no recording can be moved" in only(sandbox_access.findings(wanted, apart, [paths])).sentence
    assert levels(sandbox_access.findings(wanted, apart)) == ["ok"]
    for together in ("-/mnt/nas", "-/mnt/nas -/mnt/nas/in -/mnt/nas/done", "/mnt"):
        unit = systemctl.unit("shipped", ReadWritePaths=together)
        assert levels(sandbox_access.findings(wanted, unit, [paths])) == ["ok"]


def test_what_the_drop_in_opens_holds_an_inbox_together_with_where_its_recordings_move():
    moving = Inbox(path="/mnt/nas/in", outbox="/mnt/nas/out", after_success="move", move_to="/mnt/nas/done")
    settings = Settings(state_dir="/state", models_dir="/models", inbox=(INBOX, moving))
    opened = [str(path) for path in sandbox_access.to_open(settings, Path("/logs"))]
    assert opened == ["/logs", "/mnt/nas", "/srv/inbox", "/srv/outbox", "/state"]
    elsewhere = moving.model_copy(update={"move_to": Path("/done")})
    with pytest.raises(Misconfigured, match="only / holds both"):
        sandbox_access.to_open(Settings(inbox=(elsewhere,)))


# --- folders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watch", "kind", "told"),
    [
        ("auto", "ext4", "noticed by events (ext4 is local)"),
        ("auto", "nfs4", "walked every 10 s (nfs4: events do not tell what others change there)"),
        ("poll", "ext4", "walked every 10 s (ext4: as configured)"),
        ("events", "cifs", "noticed by events (cifs)"),
    ],
)
def test_how_files_are_noticed_is_told_with_the_reason(watch, kind, told):
    assert told in folders.watched(INBOX.model_copy(update={"watch": watch}), kind)


def test_events_on_a_share_are_warned_of():
    inbox = INBOX.model_copy(update={"watch": "events"})
    assert levels(folders.judge_inbox(inbox, None, FOLDER, FolderReport("cifs"), "transcribed")) == ["ok", "warning"]


def test_recordings_that_the_service_may_not_read_are_counted():
    told = list(folders.judge_inbox(INBOX, None, FOLDER, FolderReport("ext4", closed_files=3), "transcribed"))
    assert told[1].sentence == "transcribed may not read 3 of the files in /srv/folder."


def test_a_recording_that_cannot_be_moved_away_is_a_fault():
    sight = FolderReport("ext4", trial=WriteTrial(moved="Invalid cross-device link"))
    assert levels(folders.judge_inbox(INBOX, Path("/other"), FOLDER, sight, "transcribed")) == ["ok", "fault"]


@pytest.mark.parametrize(
    ("sight", "expected"),
    [
        (FolderReport("ext4", free_bytes=9 * GIB, free_inodes=10**6, trial=WriteTrial()), ["ok"]),
        (FolderReport("ext4", free_bytes=9 * GIB, free_inodes=12, trial=WriteTrial()), ["ok", "warning"]),
        (FolderReport("ext4", free_bytes=GIB // 2, trial=WriteTrial()), ["ok", "warning"]),
        (
            FolderReport("ext4", free_bytes=4096, trial=WriteTrial(refused="No space left on device")),
            ["fault", "fault"],
        ),
        (
            FolderReport("cifs", free_bytes=9 * GIB, trial=WriteTrial(keeps_mode=False, knows_case=False)),
            ["ok", "note", "note"],
        ),
        (FolderReport("ext4", free_bytes=9 * GIB, trial=WriteTrial(keeps_group=False)), ["ok", "note"]),
    ],
)
def test_an_outbox_is_judged_by_what_it_took_and_what_is_left(sight, expected):
    assert levels(folders.judge_outbox(FOLDER, sight, "transcribed")) == expected


@pytest.mark.parametrize(
    ("folders", "inboxes", "expected"), [(100, 2, "ok"), (8000, 2, "warning"), (100, 120, "warning")]
)
def test_the_limits_of_inotify_are_held_against_what_is_needed(folders, inboxes, expected):
    assert levels(inotify_limits.judge(folders, inboxes, 8192, 128)) == [expected]


def test_too_few_watches_are_mended_by_a_line_that_is_told():
    assert "`fs.inotify.max_user_watches = 32000`" in only(inotify_limits.judge(8000, 1, 8192, 128)).fix


# --- the machine ---------------------------------------------------------------------------------------


def state(sight, is_made=False, **prepare):
    settings = Settings(state_dir="/state", prepare=PrepareSettings(**prepare))
    return list(machine.judge_state(settings, sight, "transcribed", is_made))


def test_the_state_directory_needs_a_local_disk_and_room_for_the_longest_recording():
    assert levels(state(FolderReport("ext4", free_bytes=9 * GIB, trial=WriteTrial()))) == ["ok"]
    assert levels(state(FolderReport("ext4", free_bytes=GIB, trial=WriteTrial()))) == [
        "warning"
    ]  # 12 hours take 1.3 GiB
    assert levels(state(FolderReport("ext4", free_bytes=GIB, trial=WriteTrial()), max_hours=2)) == ["ok"]
    assert levels(state(FolderReport("ext4", free_bytes=2**20, trial=WriteTrial()))) == ["fault"]
    assert levels(state(FolderReport("nfs4", free_bytes=9 * GIB, trial=WriteTrial()))) == ["fault", "ok"]


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
    assert only(machine.of_clock()).level in (Level.OK, Level.WARNING)
    assert "PyTorch" in next(iter(machine.of_versions())).sentence


def test_too_few_open_files_are_warned_of():
    assert machine.judge_open_files(256, "transcribed.service").level is Level.WARNING
    assert machine.judge_open_files(-1, "transcribed.service").level is Level.OK


# --- the service ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expected"),
    [("active", ["ok"]), ("shipped", ["warning", "warning"]), ("failed", ["fault", "note"]), ("absent", ["warning"])],
)
def test_the_state_of_the_unit_is_told(case, expected):
    assert levels(service.of_unit(systemctl.unit(case))) == expected


def test_a_unit_that_changed_since_it_was_read_is_told_of():
    assert levels(service.of_unit(systemctl.unit("active", NeedDaemonReload="yes"))) == ["warning", "ok"]


def test_without_systemd_nothing_is_said_of_how_it_runs():
    assert levels(service.of_unit(replace(systemctl.unit("failed"), live=False))) == ["note"]


def daemon(**changed):
    said = {"schema_version": STATUS_VERSION, "alive": True, "at": "2026-11-20T09:00:00+00:00", "summary": "1 running"}
    return said | {"troubles": []} | changed


NINE = 1795165200.0  # 2026-11-20T09:00:00Z


def test_what_the_daemon_says_of_itself_is_passed_on():
    assert levels(service.of_daemon(daemon(), NINE + 1)) == ["ok"]
    assert levels(service.of_daemon(daemon(troubles=["/srv/inbox cannot be read"]), NINE + 1)) == ["ok", "warning"]
    assert levels(service.of_daemon(daemon(alive=False), NINE)) == ["note"]
    assert levels(service.of_daemon(daemon(schema_version=1), NINE)) == ["warning"]
    assert levels(service.of_daemon(None, NINE)) == ["note"]


def test_a_daemon_that_runs_and_says_nothing_is_a_fault():
    assert levels(service.of_daemon(daemon(), NINE + 61)) == ["fault"]


class Alerted:
    """Settings with channels for alerts."""

    def __init__(self, *urls, credentials=()):
        self.alerts = self
        self.urls, self.credentials = urls, credentials


def test_that_nobody_is_told_of_trouble_is_noted():
    assert levels(service.of_alerts(Settings(), UnitFile())) == ["note"]
    assert levels(service.of_alerts(Alerted(), UnitFile())) == ["note"]


@pytest.mark.parametrize(
    ("network", "families", "level"),
    [
        ("no", "AF_UNIX AF_INET AF_INET6", "ok"),
        ("no", "~AF_PACKET", "ok"),
        ("no", "~", "ok"),
        ("no", "", "ok"),
        ("no", "AF_UNIX", "fault"),
        ("no", "~AF_INET AF_INET6", "fault"),
        ("yes", "AF_INET", "fault"),
    ],
)
def test_alerts_that_the_unit_keeps_in_are_a_fault(network, families, level):
    unit = systemctl.unit("active", PrivateNetwork=network, RestrictAddressFamilies=families)
    assert levels(service.of_alerts(Alerted("mailto://"), unit)) == [level]
    assert levels(service.of_alerts(Alerted(credentials=("mail",)), unit)) == [level]


# --- words, and the whole ------------------------------------------------------------------------------


def test_ten_seconds_of_audio_are_to_become_words_within_five():
    good = recognition.Times(9.0, 0.2, 0.1, 1.5, "one two three four", 3)
    assert recognition.judge(good, "demo", "cpu:0").level is Level.OK
    assert recognition.judge(replace(good, loop=5.1), "demo", "cpu:0").level is Level.WARNING
    assert recognition.judge(replace(good, heard=""), "demo", "cpu:0").level is Level.FAULT


def test_where_no_device_can_be_used_nothing_is_tried():
    assert levels(recognition.of_words(Settings(inbox=(INBOX,)), Slots(()))) == ["note"]


def test_a_check_that_fails_is_a_finding_and_the_others_go_on():
    def broken():
        yield ok("begun")
        raise ZeroDivisionError("division by zero")

    found = list(runner.examine([runner.Check("a", broken), runner.Check("b", lambda: [ok("fine")])]))
    assert [section.title for section in found] == ["a", "b"]
    assert levels(found[0].findings) == ["ok", "fault"]
    assert "ZeroDivisionError: division by zero" in found[0].findings[1].sentence
    assert runner.faults(found) == runner.document(found)["faults"] == 1


def test_what_is_timed_runs_after_all_else():
    ran = []
    checks = [
        runner.Check("timed", lambda: ran.append("timed") or [], alone=True),
        runner.Check("other", lambda: ran.append("other") or [fault("x", "y")]),
    ]
    assert [section.title for section in runner.examine(checks)] == ["other", "timed"]
    assert ran == ["other", "timed"]
