"""Logging in a process of its own: a log that cannot be written costs nothing but the log."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys, structlog, logging
from pathlib import Path
from transcribed.system import log
log.set_up("info", Path(sys.argv[1]) if sys.argv[1] else None)
logger = structlog.get_logger("transcribed")
for n in range(int(sys.argv[2])):
    logger.info("noticed", job=n, file="\\udcc4\\x1b[31m\\n<3>forged.wav")
logger.debug("hidden")
logging.getLogger("other").warning("from another library")
try:
    raise ValueError("boom")
except ValueError:
    logger.exception("trouble")
print("alive")
"""


def run(folder="", lines=1, **streams):
    options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE} | streams
    return subprocess.run([sys.executable, "-c", PROGRAM, str(folder), str(lines)], text=True, **options)


def test_the_file_holds_one_json_object_a_line_with_its_job(tmp_path):
    run(tmp_path, 3)
    lines = [json.loads(line) for line in (tmp_path / "transcribed.log").read_text().splitlines()]
    assert [line.get("job") for line in lines[:3]] == [0, 1, 2]
    assert {"timestamp", "level", "event", "logger"} <= lines[0].keys()
    assert lines[0]["file"] == "\udcc4\x1b[31m\n<3>forged.wav"
    assert [line["event"] for line in lines[3:]] == ["from another library", "trouble"]


def test_a_journal_record_is_one_line_with_its_priority_and_nothing_forged():
    lines = run().stderr.splitlines()
    assert lines[0].startswith("<6>event=noticed job=0")
    assert "\x1b" not in lines[0]
    assert lines[1].startswith('<4>event="from another library"')
    assert lines[2].startswith("<3>event=trouble")
    assert len(lines) == 3


@pytest.mark.parametrize("stream", ["stderr"])
def test_a_full_disk_or_a_closed_stream_kills_nobody(tmp_path, stream):
    with open("/dev/full", "w") as full:
        done = run(tmp_path, 1000, **{stream: full})
    assert done.stdout == "alive\n"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "transcribed.log").symlink_to("/dev/full")
    done = run(tmp_path / "sub", 1000)
    assert done.stdout == "alive\n"
    assert "Traceback" not in done.stderr.replace("Traceback (most", "", 1)
