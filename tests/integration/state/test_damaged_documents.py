"""Files that we wrote and that somebody, or a disk, has changed: whoever reads them goes on."""

import contextlib
import dataclasses
import json
import os
import random
from pathlib import Path

import pytest

from tests.support.damage import damaged
from tests.support.fakes import OPTIONS, card, daemon_status, job, preparation, slot_status
from transcribed.cli import terminal
from transcribed.core.errors import Permanent, Unavailable
from transcribed.core.telemetry import BatchMemorySample, WorkerProfile
from transcribed.core.types import Hypothesis, Replacement, State, Transcript, Utterance, Word
from transcribed.doctor import service
from transcribed.operations import ledger_rebuild, tasks
from transcribed.operations.alerts import alert_log
from transcribed.operations.alerts.rules import Alerts, Condition, Notification
from transcribed.operations.status import (
    ActiveFile,
    FileReason,
    OldestFile,
    PendingFile,
    RecentFiles,
)
from transcribed.operations.task_scheduler import Task, TaskScheduler, TaskStatus
from transcribed.output.formats import Format, json_reader, render
from transcribed.output.formats.json import read_source
from transcribed.output.layout import PLAIN
from transcribed.pipeline.scheduling import slots
from transcribed.pipeline.scheduling.admission import Admission, BatchLimits
from transcribed.pipeline.scheduling.slots import RememberedDevices
from transcribed.state import checkpoint, control_files, directory
from transcribed.state.ledger import Ledger
from transcribed.state.mounts import Mounts
from transcribed.system import documents

PROFILE = WorkerProfile("GPU-0", (("demo", "fp16"),), "1")
ANSWER = Hypothesis(
    "one two", (Word("one", 0.0, 1.0, 0.5), Word("two", 1.0, 2.0, 0.25)), "en", "happy", ("laughter",), 0.75, "<|en|>",
    (Replacement("won", "one", 0.9),),
)  # fmt: skip
LONG = preparation(1, *[30.0] * 21)


def write_status(folder: Path) -> Path:
    waiting = (FileReason(1, "a.wav", "It waits."),)
    models = [{"model": "demo", "dtype": "fp16", "waits": None, "fits": {"5": 10.0, "10": 20, "30": 0}}]
    status = daemon_status(
        active=(ActiveFile(1, "a.wav", "preparing", 2.0, 1.5),), growing=(PendingFile("b.wav", 3),), waiting=waiting,
        failed=waiting, housekeeping=(TaskStatus("heartbeat", 1e9, None, 0, None),), troubles=("No card.",),
        lately=RecentFiles({"/in": 2}, OldestFile("/in", "2026-11-20T16:25:00+00:00")),
        slots=(dataclasses.replace(slot_status("cuda:0", card(10)), x=300.0, models=models),),
    )  # fmt: skip
    control_files.write_status(folder, status.document())
    return folder / control_files.STATUS


def read_status(folder: Path) -> object:
    status = control_files.read_status(folder)
    TaskScheduler([Task("heartbeat", "0 * * * *", print, 60.0)], last=tasks.last_runs(folder)).check()
    list(service.of_daemon(status, 1e9))
    return status and [*terminal.status_lines(status), terminal.capacity(status)]


def write_alerts(folder: Path) -> Path:
    alerts = Alerts({})
    alerts.update([Condition("disk", "/srv", True, "It is full.", "Free some.")], 1e9)
    document = {"at": "2026-11-20T16:25:00+00:00", "log": None, "channels": [], **alerts.state()}
    document["channels"] = [{"channel": "1 (mailto)", "reason": "refused", "failures": 2}]
    documents_of(folder, control_files.ALERTS, document)
    return folder / control_files.ALERTS


def read_alerts(folder: Path) -> object:
    alerts = Alerts({}, control_files.read_alert_state(folder))
    for now in (1e9, 1e9 + 60):
        alerts.update([Condition("disk", "/srv", True, "It is full.")], now)
    json.dumps(alerts.state(), allow_nan=False)
    state = control_files.read_alerts(folder)
    return state and [*terminal.alert_lines(state, [])]


def write_mounts(folder: Path) -> Path:
    Mounts(folder).check(folder)
    return folder / "mounts.json"


def read_mounts(folder: Path) -> object:
    try:
        Mounts(folder).check(folder)
    except Unavailable:  # as if another share had been there: told in a sentence, with what to do
        return None
    return True


def write_devices(folder: Path) -> Path:
    admission = Admission(BatchLimits(600))
    profile = dataclasses.replace(PROFILE, samples=(("demo", BatchMemorySample(60.0, 30.0, 2**28)),))
    admission.on_worker_ready("cuda:0", profile)
    slots.write(folder, RememberedDevices(("cuda:0",), admission.learned()))
    return folder / slots.FILE


def read_devices(folder: Path) -> object:
    known = slots.read(folder)
    admission = Admission(BatchLimits(600), remembered=known.needs)
    admission.on_worker_ready("cuda:0", PROFILE)
    admission.budget("cuda:0", OPTIONS, 1.0), admission.capacity("cuda:0", 1.0)
    with contextlib.suppress(OSError):
        slots.write(folder, RememberedDevices(known.cards, admission.learned()))
    return known.cards


def write_owner(folder: Path) -> Path:
    directory.instance_id(folder)
    return folder / "owner"


def write_checkpoint(folder: Path) -> Path:
    checkpoint.append(folder, LONG, [(LONG.segments[0], ANSWER)])
    return next(folder.glob("*.heard"))


def read_checkpoint(folder: Path) -> object:
    known = checkpoint.known(folder, LONG)
    for answer in known.values():
        utterances = (Utterance(0.0, 30.0, answer),)
        made = Transcript(job(), LONG, utterances)
        [render(made, format) for format in Format.__args__]
    return known


def write_log(folder: Path) -> Path:
    alert_log.append(folder, [Notification("alert", "error", "disk", "/srv", "It is full.")] * 2, 1e9)
    return folder / alert_log.FILE


def read_log(folder: Path) -> object:
    alerts = {"at": "2026-11-20T16:25:00+00:00", "log": None, "channels": [], "entries": []}
    records = alert_log.last(folder / alert_log.FILE, 10) + alert_log.everything(folder / alert_log.FILE)
    return records and [*terminal.alert_lines(alerts, records)]


def write_test_result(folder: Path) -> Path:
    control_files.write_test_result(folder, [["1 (mailto)", None]])
    return folder / control_files.TEST_RESULT


def write_request(folder: Path) -> Path:
    return control_files.leave_request(folder, "retry", folder / "a.wav")


def read_request(folder: Path) -> object:
    (request,) = control_files.take_requests(folder)
    return request


def write_transcript(folder: Path) -> Path:
    made = Transcript(job(), preparation(1, 60.0), (Utterance(0.0, 2.0, ANSWER, "Anna"),), "Words may be missing.")
    (folder / "a.wav.json").write_text(render(made, "json"))
    return folder / "a.wav.json"


def read_transcript(folder: Path) -> object:
    """As a lost ledger is rebuilt, and as `export` does."""
    ledger = Ledger(folder / "ledger.db")
    ledger.import_done(ledger_rebuild.find_transcribed([(Path("/inbox"), folder)]), 1e9)
    assert len(ledger.with_state(State.DONE)) <= 1
    ledger.close()
    (folder / "ledger.db").unlink()
    text = (folder / "a.wav.json").read_bytes()
    try:
        made = json_reader.read(text.decode(errors="surrogateescape"))
    except Permanent:
        return None
    assert read_source(text)
    return [render(made, format, PLAIN) for format in Format.__args__]


def documents_of(folder: Path, name: str, document: object) -> None:
    (folder / name).write_text(json.dumps(document))


KINDS = {
    "status.json": (write_status, read_status),
    "alerts.json": (write_alerts, read_alerts),
    "mounts.json": (write_mounts, read_mounts),
    "devices.json": (write_devices, read_devices),
    "owner": (write_owner, directory.instance_id),
    "checkpoint": (write_checkpoint, read_checkpoint),
    "alert.log": (write_log, read_log),
    "test-alert.json": (write_test_result, control_files.read_test_result),
    "request": (write_request, read_request),
    "transcript": (write_transcript, read_transcript),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_changed_is_read_whole(tmp_path, kind):
    write, read = KINDS[kind]
    write(tmp_path)
    assert read(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "count", [40, pytest.param(1000, marks=pytest.mark.slow)], ids=["some", "ten thousand over all kinds"]
)
def test_whoever_reads_a_damaged_file_goes_on(tmp_path, kind, count):
    write, read = KINDS[kind]
    text = write(tmp_path).read_bytes()
    dice = random.Random(f"{kind} {count}")
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = write(folder)
        first, *more = text.splitlines(keepends=True) if kind == "alert.log" else [text]
        changed = damaged(first, dice) if text[:1] in b"[{" else dice.randbytes(dice.randrange(99))
        path.write_bytes(b"".join([changed, *more]))
        read(folder)


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir], ids=["pipe", "link", "folder"]
)
@pytest.mark.parametrize("kind", ["status.json", "alerts.json", "devices.json", "mounts.json"])
def test_what_is_no_regular_file_is_read_as_nothing(tmp_path, kind, put):
    put(tmp_path / kind)
    assert documents.read(tmp_path / kind, dict) is None
    assert not KINDS[kind][1](tmp_path) or kind == "mounts.json"


def test_the_whole_status_is_read_and_nothing_dropped(tmp_path):
    write_status(tmp_path)
    written = json.loads((tmp_path / control_files.STATUS).read_text())
    found = control_files.read_status(tmp_path)
    assert {key: value for key, value in found.items() if key != "alive"} == written
