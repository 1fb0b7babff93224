"""The watchman on real folders and files: what it writes, what survives, and that nothing that hangs stops it."""

import errno
import gzip
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fakes import Clock, source
from tests.support.patience import patient
from tests.support.site import wait_for
from tests.unit.pipeline.test_pipeline import World
from transcribed.config.inbox import Inbox
from transcribed.config.operations import AlertSettings
from transcribed.config.settings import Settings
from transcribed.core import events
from transcribed.core.telemetry import Reading
from transcribed.ingest.stability import StabilityTracker
from transcribed.ingest.watcher import InboxWatcher
from transcribed.operations.alerts import alert_log
from transcribed.operations.alerts.folder_probe import NO_ANSWER, FolderProber, probe_folder
from transcribed.operations.alerts.monitor import AlertMonitor
from transcribed.operations.alerts.rules import Condition, Notification
from transcribed.operations.status import take_status
from transcribed.pipeline.scheduling.slots import Slots
from transcribed.state import control_files

FULL = Condition("reload", "configuration", True, "The new configuration is bad; the old one counts.", "Correct it.")


class Post:
    """A watchman over a real state directory, inbox and outbox, and what the pipeline tells of itself."""

    def __init__(self, root, **alerts):
        self.root, self.clock = root, Clock(1.8e9)
        for name in ("state/spool", "inbox", "outbox", "log"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.state, self.log = root / "state", root / "log"
        box = Inbox(path=root / "inbox", outbox=root / "outbox")
        quiet = {"disk_free": 0.0, "inodes_free": 1e-9, "ram_available": 0.0, "ram_ours": 0.999}
        self.settings = Settings(state_dir=self.state, inbox=(box,), alerts=AlertSettings(**quiet | alerts))
        self.world = World(root)
        self.watcher = InboxWatcher(box.path, tracker=StabilityTracker(1.0), post=print)
        self.prober = FolderProber()
        self.monitor = self.another()

    def another(self):
        self.monitor = AlertMonitor(
            self.settings, self.state, self.log, self.status, prober=self.prober, clock=self.clock
        )
        return self.monitor

    def status(self):
        return take_status(self.world.pipeline, [self.watcher], Slots(("cpu:0",)), 0.0, self.clock())

    def look(self, times=1):
        for _ in range(times):
            self.clock.now += 60.0
            self.monitor.check()
        return [(record["kind"], record["rule"]) for record in alert_log.last(self.log / "alert.log", 100)]


@pytest.fixture
def post(tmp_path):
    return Post(tmp_path)


def test_when_all_is_well_nothing_is_told_and_the_state_is_written(post):
    assert post.look(5) == []
    state = control_files.read_alerts(post.state)
    assert {entry["rule"] for entry in state["entries"]} >= {"disk", "inbox", "outbox", "ram", "ledger", "waiting"}
    assert not any(entry["active"] for entry in state["entries"])


def test_an_outbox_that_goes_and_comes_back_is_reported_in_ascii_lines(post):
    (post.root / "outbox").rmdir()
    assert post.look(3) == [("alert", "outbox")]
    (post.root / "outbox").mkdir()
    assert post.look(6) == [("alert", "outbox"), ("recovery", "outbox")]
    first, _ = (post.log / "alert.log").read_bytes().decode("ascii").splitlines()
    assert list(json.loads(first)) == ["time", "kind", "severity", "rule", "subject", "sentence", "hint"]
    assert json.loads(first)["time"] == "2027-01-15T08:02:00+00:00"


def test_a_restart_tells_of_nothing_twice(post):
    post.monitor.report(FULL)
    post.look(2)
    post.another()
    post.monitor.report(FULL)
    assert post.look(3) == [("alert", "reload")]
    post.monitor.report(replace(FULL, bad=False, sentence="The configuration is good."))
    assert post.look(1) == [("alert", "reload"), ("recovery", "reload")]


def test_files_that_fail_are_told_of_as_one_alert(post):
    for number in range(12):
        post.world.ledger.add(source(f"{number}.wav", inbox=post.watcher.inbox), f"{number}", post.clock())
        post.world.ledger.fail(number + 1, post.clock(), "no audio")
    assert post.look(30) == [("alert", "failed-files")]
    assert "12 files failed" in (post.log / "alert.log").read_text()
    for _ in range(22):  # of a quarter of an hour: recovery after four hours without any
        post.clock.now += 840.0
        post.look()
    assert post.look() == [("alert", "failed-files"), ("recovery", "failed-files")]


def test_a_file_that_waits_for_a_day_is_reported(post):
    """One that waits for no configured inbox is not."""
    ledger = post.world.ledger
    ledger.add(source("a.wav", inbox=post.watcher.inbox), "a", post.clock())
    assert post.look(10) == []
    post.clock.now += 86_400
    assert post.look(2) == [("alert", "waiting")]
    assert str(post.watcher.inbox) in (post.log / "alert.log").read_text()
    ledger.apply_configuration([])
    assert post.look(5)[-1] == ("recovery", "waiting")


def test_what_happens_in_the_loop_is_told_of(post):
    for _ in range(5):
        post.monitor.on_event(events.WorkerExited("cpu:0", lost=True))
        post.monitor.on_event(events.WorkerExited("cpu:0"))  # it left by itself
    assert post.look(2) == []
    post.monitor.on_event(events.WorkerExited("cpu:0", lost=True))
    post.monitor.on_event(events.Measured(Reading(faults=("The driver reports Xid 79.",))))
    assert sorted(post.look(2)) == [("alert", "card-fault"), ("alert", "restarts")]


def test_a_share_that_hangs_keeps_one_thread_and_stops_nothing_else(post):
    release, looks = threading.Event(), []

    def look(folder):
        if folder == post.root / "inbox":
            looks.append(folder)
            release.wait(patient(60.0))
        return probe_folder(folder)

    prober = FolderProber(look)
    folders = [post.root / "inbox", post.root / "outbox"]
    for _ in range(5):
        seen = prober.probe(folders, 0.05)
        assert seen[folders[0]] == NO_ANSWER
        assert seen[folders[1]].writable
    assert len(looks) == 1
    release.set()
    wait_for(lambda: prober.probe(folders, 0.05)[folders[0]] != NO_ANSWER, 10)


def test_a_share_that_gave_up_once_is_probed_anew(tmp_path):
    """A soft mount answers ETIMEDOUT, which Python calls a TimeoutError, too."""
    answers = [OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), None]

    def look(folder):
        if error := answers.pop(0):
            raise error
        return probe_folder(folder)

    prober = FolderProber(look)
    assert prober.probe([tmp_path], 10.0) == {tmp_path: "Connection timed out."}
    assert prober.probe([tmp_path], 10.0)[tmp_path].writable


def test_a_folder_that_is_away_or_no_folder_says_why(tmp_path):
    (tmp_path / "file").touch()
    assert FolderProber().probe([tmp_path / "none", tmp_path / "file"], 10.0) == {
        tmp_path / "none": "No such file or directory.",
        tmp_path / "file": "Not a directory.",
    }


@pytest.mark.parametrize("status", [lambda: None, dict, lambda: {"slots": 3}, lambda: 1 / 0])
def test_a_status_that_is_not_there_raises_nothing_into_the_caller(post, status):
    post.monitor = AlertMonitor(post.settings, post.state, post.log, status, clock=post.clock)
    (post.root / "outbox").rmdir()
    post.look(3)


def test_without_a_status_folders_are_still_looked_at(post):
    post.monitor = AlertMonitor(post.settings, post.state, post.log, lambda: None, clock=post.clock)
    (post.root / "outbox").rmdir()
    post.monitor.report(FULL)
    assert sorted(post.look(3)) == [("alert", "outbox"), ("alert", "reload")]


def test_a_log_or_a_state_that_cannot_be_written_stops_nothing(post):
    (post.log / "alert.log").mkdir()
    (post.state / ".alerts.json").mkdir()
    post.monitor.report(FULL)
    assert post.look(2) == []
    (post.log / "alert.log").rmdir()
    (post.root / "outbox").rmdir()
    assert post.look(3) == [("alert", "outbox")]


def test_without_a_folder_for_logs_alerts_are_known_still(post):
    post.monitor = AlertMonitor(post.settings, post.state, None, post.status, clock=post.clock)
    post.monitor.report(FULL)
    post.look()
    state = control_files.read_alerts(post.state)
    assert (state["log"], [e["rule"] for e in state["entries"] if e["active"]]) == (None, ["reload"])


# --- alert.log ---------------------------------------------------------------------------------------

NOTICE = Notification("alert", "error", "disk", "/out\udcc4\n", "full", "free it")


def test_a_renamed_log_is_begun_anew_and_still_read_whole(tmp_path):
    log = tmp_path / "alert.log"
    for hour in range(3):
        assert alert_log.append(tmp_path, [NOTICE, NOTICE], hour * 3600.0)
        if hour < 2:
            os.replace(log, tmp_path / f"alert.log.{hour}")
    packed = gzip.compress((tmp_path / "alert.log.0").read_bytes())
    (tmp_path / "alert.log.0").unlink()
    (tmp_path / "alert.log.0.gz").write_bytes(packed)
    (tmp_path / "alert.log.9.gz").write_bytes(packed[:20])
    times = [record["time"][11:13] for record in alert_log.everything(log)]
    assert times == ["00", "00", "01", "01", "02", "02"]
    assert [record["subject"] for record in alert_log.last(log, 1)] == ["/out\udcc4\n"]


def test_a_line_that_a_full_disk_cut_short_costs_only_itself(tmp_path):
    log = tmp_path / "alert.log"
    log.write_bytes(b'{"time": "2026-')
    assert alert_log.append(tmp_path, [NOTICE], 0.0)
    assert len(alert_log.last(log, 10)) == 1
    log.unlink()
    log.symlink_to("/dev/full")
    assert not alert_log.append(tmp_path, [NOTICE], 0.0)
    assert alert_log.last(tmp_path / "none" / "alert.log", 10) == []


# --- the command -------------------------------------------------------------------------------------


def test_the_command_shows_what_is_active_and_what_was_told_of(post, site):
    post.monitor.report(FULL)
    post.look()
    site.state = post.state
    site.configure()
    shown = site.call("alerts")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("1 alert is active; as of 2027-01-15")
    assert "The new configuration is bad; the old one counts.\n      Correct it.\nrecent alerts:\n" in shown.stdout
    told = json.loads(site.call("alerts", "--json", "--all").stdout)
    assert [record["rule"] for record in told["told"]] == ["reload"]
    assert [entry["sentence"] for entry in told["active"]] == [FULL.sentence]


def test_before_any_look_there_is_nothing_to_show(site):
    done = site.call("alerts")
    assert (done.returncode, "Traceback" in done.stderr) == (os.EX_UNAVAILABLE, False)
    Path(site.state, "alerts.json").write_text('{"entries": 3}')
    assert site.call("alerts").returncode == os.EX_UNAVAILABLE
