"""Log files that are rotated while they are written: no line lost, on a full disk neither, and only by the daemon."""

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from itertools import count, takewhile
from pathlib import Path

import pytest
import structlog

from tests.support import works
from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import Unavailable
from transcribed.operations.alerts import alert_log
from transcribed.operations.tasks import rotate_logs
from transcribed.pipeline.executors.process_pool import ProcessPool
from transcribed.system import log, log_rotation
from transcribed.system.log_rotation import Rotation, compress, rotate


@pytest.fixture
def logging_to():
    """Logging set up for real, and put back as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield log.set_up
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def texts(path):
    """The content of a log file and all that was rotated of it, oldest first."""
    for file in sorted(path.parent.glob(f"{path.name}.*")):
        yield gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    if path.exists():
        yield path.read_bytes()


def lines(path):
    return b"".join(texts(path)).decode().splitlines()


def test_no_line_is_lost_while_files_are_repeatedly_rotated_and_compressed(tmp_path, logging_to):
    logging_to("info", tmp_path, Rotation(max_bytes=20_000, keep=100_000))
    rotated = Rotation(keep=100_000)
    done = threading.Event()
    written = Counter()

    def write(thread):
        for n in takewhile(lambda n: n < 1000 or not done.is_set(), count()):  # as long as files are rotated
            written[thread] += 1
            structlog.get_logger("transcribed").info("noticed", thread=thread, n=n)
            with (tmp_path / alert_log.FILE).open("a") as alerts:
                alerts.write(f"{thread} {n}\n")

    def rotate():
        for n in range(200):
            rotate_logs(tmp_path, rotated, 1 if n % 2 else 5000)
        done.set()

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    threads.append(threading.Thread(target=rotate))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.is_set()
    assert len(list(tmp_path.glob("*.gz"))) > 20
    everything = [(thread, n) for thread in range(4) for n in range(written[thread])]
    logged = [json.loads(line) for line in lines(tmp_path / log.FILE)]
    assert sorted((line["thread"], line["n"]) for line in logged) == everything
    assert sorted(tuple(map(int, line.split())) for line in lines(tmp_path / alert_log.FILE)) == everything
    assert log.dropped() == 0


def test_an_oversized_file_is_rotated_at_once_and_the_newest_are_kept(tmp_path, logging_to):
    logging_to("info", tmp_path, Rotation(max_bytes=10_000, keep=3))
    for n in range(1000):
        structlog.get_logger("transcribed").info("noticed", n=n)
    compress(tmp_path / log.FILE)
    numbers = [json.loads(line)["n"] for line in lines(tmp_path / log.FILE)]
    assert numbers == list(range(numbers[0], 1000))
    assert len(list(tmp_path.iterdir())) == 4
    assert all(len(text) < 10_500 for text in texts(tmp_path / log.FILE))


def test_one_file_is_kept_for_each_of_seven_days_with_lines(tmp_path):
    path = tmp_path / alert_log.FILE
    for day in range(12):
        if day != 10:
            path.write_text(f"{day}\n")
        rotate(path, keep=7)
        compress(path)
    assert lines(path) == ["3", "4", "5", "6", "7", "8", "9", "11"][1:]


def test_what_somebody_still_writes_to_is_compressed_the_next_time(tmp_path):
    path = tmp_path / alert_log.FILE
    with path.open("a") as slow:
        slow.write("begun, ")
        slow.flush()
        rotate(path, keep=7)
        compress(path)
        assert [file.suffix for file in tmp_path.iterdir()] == [".000001"]
        slow.write("ended\n")
    compress(path)
    assert [file.suffix for file in tmp_path.iterdir()] == [".gz"]
    assert lines(path) == ["begun, ended"]


COMPRESS = """
import sys
from pathlib import Path
from transcribed.system.log_rotation import compress
compress(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "unlink,unlinkat"])
@pytest.mark.parametrize("when", [1, 2])
def test_a_kill_while_compressing_loses_nothing_and_leaves_no_false_log(tmp_path, call, when):
    path = tmp_path / alert_log.FILE
    path.write_text("one\n")
    rotate(path, keep=7)
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={when}"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([*command, sys.executable, "-c", COMPRESS, str(path)], env=environment, capture_output=True)
    compress(path)
    assert [file.name for file in tmp_path.iterdir()] == [f"{alert_log.FILE}.000001.gz"]
    assert lines(path) == ["one"]


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_neither_logging_nor_rotating(tmp_path, logging_to):
    """What was dropped is counted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=True)
    try:
        logging_to("info", disk, Rotation(max_bytes=100_000, keep=7))
        logger = structlog.get_logger("transcribed")
        for n in range(10_000):
            logger.info("noticed", n=n)
        assert log.dropped() > 1000
        with pytest.raises(Unavailable, match="No space left"):
            rotate_logs(disk, Rotation(), 1)
        assert not list(disk.glob(".*"))
        for file in disk.glob(f"{log.FILE}.*"):
            file.unlink()
        before = log.dropped()
        logger.info("there is room")
        assert json.loads(lines(disk / log.FILE)[-1])["event"] == "there is room"
        assert log.dropped() == before
    finally:
        for handler in logging.getLogger().handlers:
            handler.close()
        subprocess.run(["umount", "-l", disk], check=True)


def test_where_others_rotate_we_follow_and_do_not_rotate(tmp_path, logging_to):
    logging_to("info", tmp_path, Rotation(max_bytes=1000, external=True))
    logger, path = structlog.get_logger("transcribed"), tmp_path / log.FILE
    for n in range(20):
        logger.info("noticed", n=n)
    log.rotate()
    assert list(tmp_path.iterdir()) == [path]
    path.rename(tmp_path / "by-logrotate")
    logger.info("after")
    log.reopen()
    logger.info("again")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["after", "again"]
    assert len((tmp_path / "by-logrotate").read_text().splitlines()) == 20


def test_a_workers_lines_arrive_though_it_never_opens_the_log_file(tmp_path, logging_to):
    logging_to("info", tmp_path)
    structlog.get_logger("transcribed").info("before")
    executor = ProcessPool(["test:0"], works.make, on_event=lambda event: None, heartbeat_timeout=lambda request: 30.0)
    executor.start()
    try:
        (slot,) = wait_for(executor.idle)
        assert executor.submit(slot, ("log", "from the worker")).result(patient(30)) == "done"
        for pid in executor.processes():
            opened = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(fd)}
            assert not [name for name in opened if name.startswith(str(tmp_path))]
        told = wait_for(lambda: [line for line in lines(tmp_path / log.FILE) if "from the worker" in line], 10)
        assert json.loads(told[0])["slot"] == "test:0"
    finally:
        executor.stop(grace=2)


def test_rotated_files_of_other_logs_are_left_alone(tmp_path):
    for name in ("transcribed.log.old", "other.log.1", "transcribed.log"):
        (tmp_path / name).write_text("x")
    log_rotation.rotate(tmp_path / log.FILE, keep=1)
    log_rotation.compress(tmp_path / log.FILE)
    assert {path.name for path in tmp_path.iterdir()} == {
        "transcribed.log.old",
        "other.log.1",
        "transcribed.log.000001.gz",
    }
