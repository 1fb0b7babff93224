"""The tasks themselves on real disks: what is live stays, what is left over goes, and the ledger forgets only what is
gone.
"""

import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.output.test_outbox import transcript
from tests.integration.system.test_log_rotation import lines
from tests.support.fakes import daemon_status, preparation, source
from tests.support.patience import patient
from tests.support.site import kill_tree, stop, wait_for
from tests.unit.pipeline.test_pipeline import World
from transcribed.config.settings import Settings
from transcribed.core.errors import Unavailable
from transcribed.core.events import RowsOutdated, SpoolListed
from transcribed.core.types import State
from transcribed.ingest.scanner import source_of
from transcribed.operations import heartbeat, ledger_pruning
from transcribed.operations.alerts import alert_log
from transcribed.operations.task_scheduler import TaskStatus
from transcribed.operations.tasks import PING_CRON, make_tasks
from transcribed.output.outbox import Outbox, deliver
from transcribed.state import control_files
from transcribed.state.ledger import Ledger
from transcribed.state.queries import read_only
from transcribed.state.spool import jobs as spooled
from transcribed.system.filesystems import identity_of
from transcribed.system.striped_executor import StripedExecutor
from transcribed.system.temp_files import StaleTempFiles, TempFileOwner, sweep

# --- temporary files -----------------------------------------------------------------------------------


@contextmanager
def in_a_loop(act):
    """`act` again and again in a thread of its own; what it raises is raised here."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            act()

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(run)
        try:
            yield
        finally:
            stop.set()
    future.result()


def test_a_cleaner_in_a_tight_loop_deletes_nothing_of_running_deliveries(tmp_path):
    """Ours, and another daemon's."""
    ours, other = TempFileOwner("0000000a"), TempFileOwner("0000000b")
    judges = [StaleTempFiles(ours), StaleTempFiles(other)]
    boxes = [Outbox(tmp_path, owner=owner) for owner in (ours, other)]
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        for judge in judges:
            stack.enter_context(in_a_loop(lambda judge=judge: sweep(tmp_path, judge, time.monotonic())))
        work = [threads.submit(deliver, transcript(f"{n}.wav"), boxes[n % 2]) for n in range(120)]
        for future in work:
            future.result()
    assert len(list(tmp_path.iterdir())) == 4 * 120


def test_a_cleaner_in_a_tight_loop_deletes_no_audio_in_use(tmp_path):
    spool, lost = tmp_path / "spool", []
    spool.mkdir()

    def prepare(job):
        path = spool / f"{job.id}.pcm"
        for _ in range(3):
            with path.open("ab") as file:
                file.write(b"\0" * 64)
            world.pipeline.step(seconds=0)  # a cleaner's event is handled in the midst
        lost.extend([] if path.exists() else [job.id])
        return preparation(job.id, 1.0)

    world = World(tmp_path)
    world.preparer.work = prepare
    for orphan in ("999.pcm", "1000.pcm"):
        (spool / orphan).touch()
    (spool / "77.pcm").mkdir()
    (spool / "readme").touch()
    world.spool.discard = lambda job_id: (spool / f"{job_id}.pcm").unlink(missing_ok=True)
    world.drop(*(f"{n}.wav" for n in range(40)))
    with in_a_loop(lambda: (world.mailbox.put(SpoolListed(spooled(spool))), time.sleep(0.001))):
        wait_for(lambda: world.run(1) or world.ledger.counts() == {State.DONE: 40}, 30)
    world.mailbox.put(SpoolListed(spooled(spool)))
    world.run(3)
    assert lost == []
    assert {path.name for path in spool.iterdir()} == {"77.pcm", "readme"}


def test_an_outbox_that_hangs_holds_up_only_its_own_task(tmp_path):
    hang = threading.Event()
    writers = {tmp_path / name: StripedExecutor(name) for name in ("one", "two")}
    for folder in writers:
        folder.mkdir()
        (folder / TempFileOwner("0000000a").name()).touch()
    writers[tmp_path / "one"].submit(Path(), hang.wait)
    found = _tasks(tmp_path, writers)
    stuck = threading.Thread(target=found[f"clean-up of {tmp_path / 'one'}"].work, daemon=True)
    stuck.start()
    found[f"clean-up of {tmp_path / 'two'}"].work()
    assert list((tmp_path / "two").iterdir()) == []
    assert stuck.is_alive()
    hang.set()
    stuck.join(patient(10))
    assert list((tmp_path / "one").iterdir()) == []
    for writer in writers.values():
        writer.stop()


def _tasks(root, writers=None, tell=lambda event: None, **housekeeping):
    configured = Settings(state_dir=root / "state", log={"folder": root / "logs"}, housekeeping=housekeeping)
    made = make_tasks(
        configured,
        owner=TempFileOwner("0000000a"),
        writers=writers or {},
        on_event=tell,
        inboxes=dict,
        status=lambda: None,
    )
    return {task.name: task for task in made}


def test_every_task_has_its_own_name_and_works_in_an_empty_place(tmp_path):
    for folder in ("state/spool", "logs"):
        (tmp_path / folder).mkdir(parents=True)
    Ledger(tmp_path / "state" / "ledger.db").close()
    found = _tasks(tmp_path)
    for task in found.values():
        task.work()
    assert {*found} == {
        "spool clean-up",
        "requests clean-up",
        "ledger check",
        "ledger pruning",
        "heartbeat",
        "log rotation",
        "log compression",
    }


# --- the ledger ----------------------------------------------------------------------------------------


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def drop(ledger, inbox, name, ended=10.0, state=State.DONE, tidied=True):
    """A file in the inbox, and its job in the ledger; what became of it."""
    path = inbox / name
    path.write_text(name)
    recording = source_of(inbox, path, path.lstat())
    ledger.add(recording, name, 0.0)
    job = ledger.find(path)[0]
    if state is State.DONE:
        ledger.done(job.id, ended, {})
    elif state is State.FAILED:
        ledger.fail(job.id, ended, "It is damaged.")
    if tidied and state is State.DONE:
        ledger.cleaned_up(job.id)
    return path


def prune(ledger, inbox, before=100.0, root=None):
    """What the task and the loop do; which files are still known."""
    told = []
    ledger_pruning.prune(ledger.path, {inbox: root or identity_of(inbox)}, before, told.append, lambda seconds: None)
    for event in told:
        assert isinstance(event, RowsOutdated)
        ledger.prune(event.job_ids, event.before)
    return {known.path.name for known in ledger.sources(inbox)}


def test_the_ledger_forgets_long_ended_jobs_whose_files_left_the_inbox(ledger, inbox):
    for name in ("gone", "there", "changed", "new, gone", "untidied, gone", "waits, gone", "failed, gone", "failed"):
        state = State.QUEUED if name.startswith("waits") else State.FAILED if "failed" in name else State.DONE
        ended = 200.0 if name.startswith("new") else 10.0
        path = drop(ledger, inbox, name, ended, state, tidied=not name.startswith("untidied"))
        if name.endswith("gone"):
            path.unlink()
    (inbox / "changed").write_text("another version")
    drop(ledger, inbox, "newest").unlink()
    assert prune(ledger, inbox) == {"there", "new, gone", "untidied, gone", "waits, gone", "failed", "newest"}


def test_a_job_number_is_never_given_twice(ledger, inbox):
    drop(ledger, inbox, "a").unlink()
    drop(ledger, inbox, "b").unlink()
    assert prune(ledger, inbox) == {"b"}
    drop(ledger, inbox, "c")
    assert [job.id for job in ledger.with_state(State.DONE)] == [3, 2]
    assert not ledger.is_empty()


def test_an_inbox_that_is_away_or_another_one_now_proves_nothing(ledger, inbox):
    for name in ("a", "b", "c"):
        drop(ledger, inbox, name)
    root = identity_of(inbox)
    inbox.rename(inbox.with_name("away"))
    assert prune(ledger, inbox, root=root) == {"a", "b", "c"}
    inbox.mkdir()  # as a mount point without its share
    assert prune(ledger, inbox, root=root) == {"a", "b", "c"}


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_an_inbox_that_is_not_mounted_proves_nothing(ledger, inbox):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inbox], check=True)
    try:
        for name in ("a", "b"):
            drop(ledger, inbox, name)
        root = identity_of(inbox)
    finally:
        subprocess.run(["umount", "-l", inbox], check=True)
    assert list(inbox.iterdir()) == []
    assert prune(ledger, inbox, root=root) == {"a", "b"}


def test_a_file_of_which_the_disk_will_not_tell_is_remembered(inbox):
    assert ledger_pruning.is_gone(source("a.wav", inbox))
    assert ledger_pruning.is_gone(source("file/a.wav", inbox)) is True
    assert not ledger_pruning.is_gone(source("x" * 300, inbox))  # ENAMETOOLONG, for any error that is no answer


def test_many_rows_go_in_slices_and_what_was_tried_again_meanwhile_stays(ledger, inbox):
    for n in range(450):
        drop(ledger, inbox, str(n), state=State.FAILED).unlink()
    told = []
    ledger_pruning.prune(ledger.path, {inbox: identity_of(inbox)}, 100.0, told.append, lambda seconds: None)
    assert [len(event.job_ids) for event in told] == [200, 200, 50]
    assert ledger.retry(inbox / "7")
    for event in told:
        ledger.prune(event.job_ids, event.before)
    assert {known.path.name for known in ledger.sources(inbox)} == {"7", "449"}


def test_a_checkpoint_cuts_the_log_and_waits_for_nobody_who_reads(ledger, inbox, tmp_path):
    for n in range(3):
        drop(ledger, inbox, str(n))
    reader = read_only(ledger.path)
    reading = reader._db.execute("select * from job")
    reading.fetchone()
    drop(ledger, inbox, "b")
    begun = time.monotonic()
    assert not ledger.checkpoint()
    assert time.monotonic() - begun < 4  # a write would wait for 5 s
    reading.close()
    reader.close()
    assert ledger.checkpoint()
    assert (tmp_path / "ledger.db-wal").stat().st_size == 0


def test_a_ledger_that_is_damaged_while_we_run_is_told_of(ledger, inbox):
    for n in range(300):
        drop(ledger, inbox, str(n))
    ledger.checkpoint()
    ledger_pruning.check_integrity(ledger.path)
    with ledger.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 2)
    with pytest.raises(Unavailable, match="damaged"):
        ledger_pruning.check_integrity(ledger.path)


@pytest.mark.slow
def test_a_running_daemon_keeps_house(site, spoken):
    cron = '"* * * * *"'
    site.extra = f"""[log]
folder = "{site.root}/logs"
rotate = {cron}
[housekeeping]
clean = {cron}
ledger = {cron}
heartbeat = {cron}
"""
    site.configure()
    others = site.outbox / TempFileOwner("deadbeef").name()
    others.touch()
    daemon = site.start()
    try:
        shutil.copy(spoken(407), site.inbox / "a.wav")
        (site.inbox / "empty.wav").touch()
        site.wait_text("a.wav")
        (site.state / "spool" / "99.pcm").touch()
        (site.outbox / TempFileOwner((site.state / "owner").read_text()).name()).touch()
        status = wait_for(lambda: _all_have_run(site.state), 100, "every task")
        assert status["troubles"] == []
        wait_for(lambda: not any((site.state / "spool").iterdir()), 70, "an empty spool")
        wait_for(lambda: [name for name in site.outputs() if name.startswith(".")] == [others.name], 70)
        wait_for(lambda: list((site.root / "logs").glob("*.gz")), 10)
        (told,) = wait_for(lambda: alert_log.everything(site.root / "logs" / alert_log.FILE), 150)
        assert (told["rule"], told["subject"]) == ("failed-files", str(site.inbox))
        assert f"1 file failed in {site.inbox}" in site.call("alerts").stdout
        assert any('"event": "heartbeat"' in line for line in lines(site.root / "logs" / "transcribed.log"))
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)


def _all_have_run(state):
    status = control_files.read_status(state)
    keeping = status and status["housekeeping"]
    return keeping and all(task["last_run"] and not task["running_since"] for task in keeping) and status


# --- a sign of life ------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A dead man's switch; `server.paths` are the pings it got."""
    paths = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(404 if "wrong" in self.path else 200)
            self.end_headers()

        def log_message(self, *args): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
        server.paths, server.url = paths, f"http://127.0.0.1:{server.server_port}/secret"
        yield server
        server.shutdown()


WELL = daemon_status()


def test_a_ping_says_whether_all_is_well(server):
    bad = replace(WELL, troubles=("The ledger cannot be written.",))
    heartbeat.ping(server.url, WELL)
    heartbeat.ping(server.url, bad)
    heartbeat.ping(f"{server.url}?token=1", bad)
    heartbeat.ping(server.url, None)
    unpinged = "x could not be pinged."
    no_network = replace(WELL, troubles=(unpinged,), housekeeping=(TaskStatus("ping", None, None, 0, unpinged),))
    heartbeat.ping(server.url, no_network)
    assert server.paths == ["/secret", "/secret/fail", "/secret/fail?token=1", "/secret/fail", "/secret"]


def test_a_failed_ping_names_the_host_and_the_drop_in_without_secrets(server):
    for url in (f"{server.url}/wrong", "http://127.0.0.1:9/secret", "http://nowhere.invalid/secret"):
        with pytest.raises(Unavailable, match=r"could not be pinged") as failed:
            heartbeat.ping(url, WELL)
        assert "secret" not in str(failed.value)
        assert "alerts-network.conf" in failed.value.hint


def test_the_heartbeat_tells_what_was_done_and_what_waits(capsys):
    heartbeat.log_heartbeat(replace(WELL, counts={"queued": 3, "active": 1}, today={"done": 12, "failed": 2}))
    heartbeat.log_heartbeat(None)
    told = capsys.readouterr().out
    for fact in ("done_today=12", "failed_today=2", "waiting=3", "running=1", "rss_mib=", "log_records_dropped="):
        assert fact in told


def test_the_ping_is_a_task_only_where_a_url_is_configured(tmp_path):
    assert "ping" not in _tasks(tmp_path)
    assert "ping" in _tasks(tmp_path, ping_url="https://example.org/x")
    assert PING_CRON == "*/5 * * * *"


@pytest.mark.parametrize(
    "wrong", [{"ping_url": "file:///etc/passwd"}, {"clean": "now and then"}, {"ledger": "0 0 31 2 *"}, {"keep_days": 0}]
)
def test_housekeeping_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError):
        Settings(housekeeping=wrong)
