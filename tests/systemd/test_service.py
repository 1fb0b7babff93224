"""The service under a real systemd: what an administrator does to it, and what happens to it unattended."""

from __future__ import annotations

import contextlib
import json
import wave

import pytest

from tests.support.site import wait_for
from tests.systemd.service import CONFIG, EXPECTED, INBOX, OUTBOX, PROGRAM, RECORDINGS, Service, make
from transcribed.system import landlock

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(600)]  # with what makes the machine

NAMES = tuple(EXPECTED)
FIRST = "digits.wav"
LONG, LONG_TIMES = "long.wav", 600
LONG_TEXT = " ".join([EXPECTED[FIRST]] * LONG_TIMES)
SHARE = "/srv/transcribed/share"
CAP_LEASE = 28  # linux/capability.h
QUICK = "[Service]\nRestartSec=100ms\n"


# --- installed, as the README says ---------------------------------------------------------------


def test_make_install_puts_program_user_folders_and_units_in_place(installed):
    assert installed.run("transcribed", "--version").stdout.startswith("transcribed ")
    module = installed.run(f"{PROGRAM}/bin/python", "-c", "import transcribed; print(transcribed.__file__)").stdout
    assert module.startswith(f"{PROGRAM}/lib/")
    for folder in (INBOX, OUTBOX):
        assert installed.run("stat", "-c", "%a %U %G", folder).stdout.split() == ["2775", "transcribed", "transcribed"]
    assert installed.run("systemctl", "is-enabled", "transcribed", check=False).stdout.strip() == "disabled"
    assert "Loaded: loaded" in installed.run("systemctl", "status", "transcribed@any", check=False).stdout


def test_installing_again_leaves_the_configuration_alone(service):
    service.configure("# mine")
    make(service.machine, "install")
    assert "# mine" in service.machine.at(CONFIG).read_text()


def test_a_package_is_made_below_destdir_and_touches_nothing_else(installed):
    alone = ("PIP_NO_DEPS=1", "TORCH=pip")  # a program without what it needs: only its places matter here
    make(installed, "install", "DESTDIR=/root/package", "PREFIX=/opt/other", *alone)
    command = installed.at("/root/package/opt/other/bin/transcribed").read_text()
    assert command.startswith("#!/opt/other/bin/python")
    unit = installed.at("/root/package/usr/local/lib/systemd/system/transcribed@.service").read_text()
    assert "ExecStart=/opt/other/bin/transcribed" in unit
    assert "/opt/transcribed" not in unit
    make(installed, "uninstall", "DESTDIR=/root/package", "PREFIX=/opt/other")
    left = installed.run("find", "/root/package", "!", "-type", "d").stdout.split()
    assert left == ["/root/package/etc/transcribed/transcribed.toml"]
    assert installed.run("transcribed", "--version")


# --- used ----------------------------------------------------------------------------------------


def test_a_group_member_drops_recordings_and_reads_transcripts_with_the_example_configuration(service):
    service.machine.run("cp", f"{PROGRAM}/share/transcribed/transcribed.toml", CONFIG)
    as_ann = _member(service, "ann")
    service.start()
    for name in NAMES:
        service.drop(name, inbox="/tmp")
        service.machine.run(*as_ann, "cp", f"/tmp/{name}", INBOX)
    assert {name: service.wait_text(name) for name in NAMES} == EXPECTED
    remark, words = service.machine.run(*as_ann, "cat", f"{OUTBOX}/{FIRST}.txt").stdout.strip().split("\n\n")
    assert remark.startswith("[Written by the model demo: it is for demonstrations")
    assert words == EXPECTED[FIRST]
    line = wait_for(lambda: "5 done" in service.status() and service.status(), 30, "a status that counts them")
    assert line.startswith("0 running, 0 queued, 5 done today, 0 failed today")
    assert f'Status: "{line}' in service.systemctl("status", "--no-pager").stdout
    assert "5 done today" in service.machine.run(*as_ann, "transcribed", "status").stdout


def test_daemon_and_children_have_neither_rights_nor_network_nor_a_writable_system(service):
    pid = service.start()
    children = wait_for(lambda: _children(service, pid), 20, "a process that decodes")
    for process in (str(pid), *children):
        facts = dict(line.split(":", 1) for line in _proc(service, process, "status").splitlines())
        rights = [facts[key].strip() for key in ("NoNewPrivs", "CapEff", "Seccomp")]
        assert rights == ["1", f"{1 << CAP_LEASE:016x}", "2"]
        networks = service.machine.run("readlink", f"/proc/{process}/ns/net", "/proc/1/ns/net").stdout.split()
        assert len(set(networks)) == 2
    folders = {"/usr": False, "/etc/transcribed": False, INBOX: True, "/var/lib/transcribed": True}
    inside = ("nsenter", "--mount", f"--target={pid}")
    tried = {folder: service.machine.run(*inside, "test", "-w", folder, check=False) for folder in folders}
    assert {folder: done.returncode == 0 for folder, done in tried.items()} == folders
    assert (
        landlock.version() == 0 or "Landlock" not in service.journal()
    )  # the unit lets its children confine themselves


def test_a_recording_is_left_alone_while_another_user_still_writes_it(service):
    """A pause of ten quiet windows, then the rest: only CAP_LEASE shows the service that somebody has it open."""
    service.configure(inbox='after_success = "delete"')
    as_bea = _member(service, "bea")
    service.start()
    service.drop(FIRST, inbox="/tmp")
    write = f"exec 9>{INBOX}/{FIRST}; head -c 20000 /tmp/{FIRST} >&9; sleep 4; tail -c +20001 /tmp/{FIRST} >&9"
    service.machine.run(*as_bea, "sh", "-c", write)
    assert service.wait_text(FIRST) == EXPECTED[FIRST]
    wait_for(lambda: not service.machine.at(f"{INBOX}/{FIRST}").exists(), 30, "the end of the recording")
    (hidden,) = service.machine.at(INBOX).iterdir()
    assert hidden.name.startswith(".deleted-by-transcribed-")
    assert service.journal().count("event=prepared") == 1


def test_it_serves_with_every_drop_in_at_once_and_finds_its_secrets(service):
    examples = service.machine.at(f"{PROGRAM}/share/transcribed/drop-ins")
    for example in examples.glob("*.conf"):
        if example.stem != "notify-reload":  # for later versions of systemd
            service.drop_in(example.stem, example.read_text())
    service.machine.run("install", "-d", "-m", "700", "/etc/transcribed/credentials")
    secret = service.machine.at("/etc/transcribed/credentials/alerts")
    secret.write_text("ntfy://swordfish")
    secret.chmod(0o600)
    pid = str(service.start())
    environment = dict(entry.split("=", 1) for entry in _proc(service, pid, "environ").split("\0") if entry)
    inside = ("nsenter", "--mount", f"--target={pid}", "setpriv", "--reuid=transcribed", "--clear-groups")
    found = service.machine.run(*inside, "cat", environment["CREDENTIALS_DIRECTORY"] + "/alerts")
    assert found.stdout == "ntfy://swordfish"
    service.drop(FIRST)
    assert service.wait_text(FIRST) == EXPECTED[FIRST]


def test_two_instances_work_side_by_side(service):
    machine = service.machine
    try:
        for name in ("one", "two"):
            for folder in ("in", "out"):
                machine.run("install", "-d", "-o", "transcribed", f"/srv/transcribed/{name}/{folder}")
            service.configure(path=f"/srv/transcribed/{name}/in", outbox=f"/srv/transcribed/{name}/out")
            machine.run("mv", CONFIG, f"/etc/transcribed/{name}.toml")
            machine.run("systemctl", "start", f"transcribed@{name}")
            service.drop(FIRST, inbox=f"/srv/transcribed/{name}/in")
        for name in ("one", "two"):
            assert service.wait_text(FIRST, f"/srv/transcribed/{name}/out") == EXPECTED[FIRST]
            assert machine.at(f"/var/lib/transcribed/{name}/ledger.db").exists()
            assert machine.at(f"/var/log/transcribed/{name}/transcribed.log").exists()
    finally:
        machine.run("systemctl", "stop", "transcribed@*")
        machine.run("rm", "-rf", "/srv/transcribed/one", "/srv/transcribed/two")


# --- reload --------------------------------------------------------------------------------------


def test_a_reload_serves_a_new_inbox_and_keeps_the_process(service):
    machine = service.machine
    pid = service.start()
    more = [f"/srv/transcribed/{name}" for name in ("more", "more-out")]
    for folder in more:
        machine.run("install", "-d", "-o", "transcribed", folder)
    try:
        with machine.at(CONFIG).open("a") as config:
            config.write('[[inbox]]\npath = "{}"\noutbox = "{}"\nquiet_seconds = 0.3\n'.format(*more))
        service.systemctl("reload")
        service.drop(FIRST)
        service.drop(FIRST, inbox=more[0])
        assert service.wait_text(FIRST) == EXPECTED[FIRST]
        assert service.wait_text(FIRST, more[1]) == EXPECTED[FIRST]
        assert service.pid() == pid
    finally:
        machine.run("rm", "-rf", *more)


def test_a_reload_with_a_faulty_file_fails_and_changes_nothing(service):
    """The fault is named."""
    pid = service.start()
    service.configure(inbox='colour = "red"')
    assert service.systemctl("reload", check=False).returncode
    assert "unknown key" in service.journal()
    service.drop(FIRST)
    wait_for(lambda: f"noticed file={FIRST}" in service.journal(), 20, "the daemon at work")
    assert service.pid() == pid


def test_a_signal_with_a_faulty_file_keeps_the_old_settings(service):
    """The status says so."""
    pid = service.start()
    service.configure(inbox='colour = "red"')
    service.signal("HUP")
    wait_for(lambda: "colour" in service.status(), 20, "the fault in the status")
    service.drop(FIRST)
    assert service.wait_text(FIRST) == EXPECTED[FIRST]
    assert service.pid() == pid
    service.configure()
    service.systemctl("reload")
    wait_for(lambda: "colour" not in service.status(), 20, "a status without the fault")


def test_logrotate_by_the_shipped_snippet_loses_no_line(service):
    machine = service.machine
    service.configure('[log]\nrotation = "external"')
    machine.run("cp", f"{PROGRAM}/share/transcribed/logrotate.conf", "/etc/logrotate.d/transcribed")
    pid = service.start()
    machine.run("logrotate", "--force", "/etc/logrotate.d/transcribed")
    service.drop(FIRST)
    log = machine.at("/var/log/transcribed/transcribed.log")
    wait_for(lambda: log.exists() and FIRST in log.read_text(), 20, "a new log")
    assert '"ready"' in machine.at("/var/log/transcribed/transcribed.log.1").read_text()
    assert service.pid() == pid


# --- it ends, or hangs, or is stopped ------------------------------------------------------------


def test_a_killed_daemon_comes_back_and_finishes_what_it_had_in_hand(service):
    service.drop_in("quick", QUICK)
    pid = service.start()
    _drop_long(service)
    wait_for(lambda: "recognizing" in _stages(service), 60, "a batch in hand")
    service.signal("KILL")
    service.drop(*NAMES)
    service.restarted(pid)
    assert {name: service.wait_text(name) for name in NAMES} == EXPECTED
    assert service.wait_text(LONG) == LONG_TEXT
    names = {LONG, *NAMES}
    assert service.outputs() == {f"{name}.{kind}" for name in names for kind in ("txt", "json", "srt", "vtt")}


def test_a_daemon_that_stands_still_is_restarted_by_the_watchdog(service):
    service.drop_in("quick", f"{QUICK}WatchdogSec=12\n")
    pid = service.start()
    service.signal("STOP")
    service.drop(FIRST)
    service.restarted(pid)
    assert "Watchdog timeout" in service.journal()
    assert service.wait_text(FIRST) == EXPECTED[FIRST]


def test_a_start_that_fails_many_times_is_tried_until_it_succeeds(service):
    service.drop_in("failing", f"{QUICK}ExecStartPre=/bin/false\n")
    service.systemctl("start", check=False)
    wait_for(lambda: int(service.show("NRestarts")) >= 8, 30, "eight tries")
    service.drop_in("failing", QUICK)
    wait_for(service.is_active, 30, "a start")


def test_a_stop_during_a_batch_is_orderly_and_loses_no_work(service):
    """The next start does it."""
    service.drop_in("stop", "[Service]\nTimeoutStopSec=20\n")
    service.start()
    _drop_long(service)
    wait_for(lambda: "recognizing" in _stages(service), 60, "a batch in hand")
    service.systemctl("stop")
    assert service.show("Result") == "success"  # within the time, without SIGKILL
    assert service.outputs() == set()
    service.start()
    assert service.wait_text(LONG) == LONG_TEXT


def test_it_starts_at_boot_and_does_what_came_while_it_was_away(service):
    service.systemctl("enable")
    service.drop(FIRST)
    service.machine.reboot()
    wait_for(service.is_active, 60, "the service after the boot")
    assert service.wait_text(FIRST) == EXPECTED[FIRST]
    service.systemctl("disable")


# --- what it cannot start or go on without -------------------------------------------------------


def test_without_a_gpu_it_starts_degraded_and_says_so(service):
    service.configure('[recognize]\ndevice = "cuda"')
    service.start()
    service.drop(FIRST)
    wait_for(lambda: service.status().startswith("degraded: "), 30, "a degraded status")
    assert service.is_active()


def test_without_a_model_the_start_fails_and_says_how_to_fetch_it(service):
    service.configure(inbox='model = "iic/SenseVoiceSmall"')
    told = _refusal(service)
    assert "The model iic/SenseVoiceSmall was not found at /var/cache/transcribed/models/iic/SenseVoiceSmall" in told
    assert "transcribed models pull iic/SenseVoiceSmall" in told


def test_without_the_right_to_write_it_says_what_to_grant(service):
    """It delivers once that is granted."""
    service.machine.run("chown", "root:root", OUTBOX)
    try:
        service.start()
        service.drop(FIRST)
        assert f"{OUTBOX} cannot be written by this user (uid " in (told := service.journal())
        assert "grant access" in told
        wait_for(lambda: f"{OUTBOX} cannot be written" in service.status(), 120, "a status that says so")
    finally:
        service.machine.run("chown", "transcribed:transcribed", OUTBOX)
    assert service.wait_text(FIRST) == EXPECTED[FIRST]


def test_a_folder_outside_the_sandbox_is_named_with_the_command_for_it(service):
    service.machine.run("install", "-d", "-o", "transcribed", "/data/the out")
    service.configure(outbox="/data/the out")
    service.start()
    assert "/data/the out" in (told := service.journal())
    assert "transcribed doctor --write-drop-in" in told
    service.drop(FIRST)
    service.machine.run("transcribed", "doctor", "--write-drop-in")
    service.machine.run("systemctl", "daemon-reload")
    service.systemctl("restart")
    assert service.wait_text(FIRST, "/data/the out") == EXPECTED[FIRST]
    told = service.machine.run("transcribed", "doctor", "--quick", "--json", check=False).stdout
    assert "lets the service write to all configured folders" in told  # though systemctl 252 cannot print such a path


def test_a_full_outbox_is_reported_and_delivered_into_once_there_is_room(service):
    with _small_disk(service, OUTBOX):
        service.machine.run("dd", "if=/dev/zero", f"of={OUTBOX}/ballast", "bs=4k", check=False)
        service.start()
        service.drop(FIRST)
        wait_for(lambda: "waiting for the outbox" in _stages(service), 60, "a job that waits for the outbox")
        assert service.text(FIRST) is None
        assert "No space left" in service.journal()
        service.machine.at(f"{OUTBOX}/ballast").unlink()
        assert service.wait_text(FIRST) == EXPECTED[FIRST]


def test_a_share_that_is_mounted_after_the_start_is_served(service):
    service.machine.run("install", "-d", SHARE)
    service.configure(path=f"{SHARE}/in", outbox=f"{SHARE}/out", inbox="rescan_seconds = 2")
    service.start()
    wait_for(lambda: service.status().startswith("degraded: "), 30, "a status that says the share is away")
    with _small_disk(service, SHARE):
        for folder in ("in", "out"):
            service.machine.run("install", "-d", "-o", "transcribed", f"{SHARE}/{folder}")
        service.drop(FIRST, inbox=f"{SHARE}/in")
        assert service.wait_text(FIRST, f"{SHARE}/out") == EXPECTED[FIRST]
        service.systemctl("stop")
    service.machine.run("rmdir", SHARE)


# --- gone ----------------------------------------------------------------------------------------


def test_make_uninstall_takes_the_program_away_and_leaves_what_people_made(service):
    machine = service.machine
    service.systemctl("enable", "--now")
    service.drop(FIRST)
    machine.at(f"{OUTBOX}/{FIRST}.txt").write_text("seven zero four two\n")
    make(machine, "uninstall")
    assert machine.run("systemctl", "status", "transcribed", check=False).returncode == 4  # no such unit
    named = machine.run("find", PROGRAM, "/usr/local", "/etc/systemd", "-name", "*transcribed*", check=False).stdout
    assert named == ""
    made = (f"{INBOX}/{FIRST}", f"{OUTBOX}/{FIRST}.txt", "/var/lib/transcribed/ledger.db")
    kept = (CONFIG, *made, "/var/log/transcribed/transcribed.log")
    assert [path for path in kept if not machine.at(path).exists()] == []
    assert machine.run("stat", "-c", "%U", "/var/lib/transcribed").stdout.strip() == "transcribed"


# --- what the tests do with a machine ------------------------------------------------------------


def _member(service: Service, name: str) -> tuple[str, ...]:
    """The start of a command of a person who is in the group."""
    service.machine.run("useradd", "--groups", "transcribed", name)
    return ("runuser", "-u", name, "--")


def _refusal(service: Service) -> str:
    """Start it, see that it is given up as only a person can help, and return what it said."""
    assert service.systemctl("start", check=False).returncode
    assert (service.show("ActiveState"), service.show("ExecMainStatus")) == ("failed", "78")
    assert service.show("NRestarts") == "0"
    journal = service.journal("--output=cat")
    assert "Traceback" not in journal
    return journal


def _children(service: Service, pid: int) -> list[str]:
    code = f"import psutil; print(*(child.pid for child in psutil.Process({pid}).children()))"
    return service.machine.run(f"{PROGRAM}/bin/python", "-c", code).stdout.split()


def _proc(service: Service, pid: str, name: str) -> str:
    return service.machine.run("cat", f"/proc/{pid}/{name}").stdout


def _stages(service: Service) -> str:
    """Where the jobs in hand are."""
    try:
        status = json.loads(service.machine.at("/var/lib/transcribed/status.json").read_text())
    except (OSError, ValueError):
        return ""
    return ", ".join(job["stage"] for job in status["active"])


def _drop_long(service: Service) -> None:
    """40 minutes of the first recording, every 4 seconds: enough to be met in hand."""
    with wave.open(str(RECORDINGS / FIRST)) as source:
        parameters, samples = source.getparams(), source.readframes(source.getnframes())
    once = samples.ljust(4 * parameters.framerate * parameters.sampwidth, b"\0")
    with wave.open(str(service.machine.at(f"{INBOX}/{LONG}")), "wb") as target:
        target.setparams(parameters)
        target.writeframes(once * LONG_TIMES)


@contextlib.contextmanager
def _small_disk(service: Service, folder: str):
    """A file system of 256 KiB of the service's user there; gone at the end."""
    service.machine.run("mount", "-t", "tmpfs", "-o", "size=256k,mode=2775,uid=transcribed", "tmpfs", folder)
    try:
        yield
    finally:
        service.systemctl("stop")
        service.machine.run("umount", folder)
