"""Power cuts at any moment of a delivery: what it wrote is whole or absent, and its source stays until it is there."""

import itertools
import os
import random
import subprocess
import sys

import pytest

from tests.support.patience import patient
from tests.support.power_cuts.calls import read, traced
from tests.support.power_cuts.disk import WAYS, Disk, build

# What the daemon does with a finished file; that it exits without an error stands for the ledger's record.
DELIVER = """
import sys, time
from pathlib import Path
from tests.support.fakes import job, preparation
from transcribed.core.types import Hypothesis
from transcribed.ingest.scanner import source_of
from transcribed.output.outbox import Outbox, deliver
from transcribed.output.source_actions import SECOND_LOOK_SECONDS, SourceAction, apply_action
from transcribed.output.transcript import assemble
root, after = Path(sys.argv[1]), sys.argv[2]
path = root / "in" / "sub" / "a.wav"
action = SourceAction(after, root / "done" if after == "move" else None)
source = source_of(root / "in", path, path.stat())
transcript = assemble(job(output="sub/a.wav", source=source), preparation(1, 2.0), {0: Hypothesis("one two")})
deliver(transcript, Outbox(root / "out", source_action=action))
(root / "delivered").touch()
apply_action(source, action)
apply_action(source, action, lambda: time.time() + SECOND_LOOK_SECONDS + 1)
(root / "put away").touch()
"""
FORMATS = {f"out/sub/a.wav.{suffix}" for suffix in ("json", "srt", "txt", "vtt")}
SIDECAR = b'title = "x"'


@pytest.fixture(params=["keep", "move", "delete"])
def deliveries(request, tmp_path):
    """A recording, its delivery recorded, and the disk before it."""
    root = tmp_path / "site"
    for folder in ("in/sub", "out", "done"):
        (root / folder).mkdir(parents=True)
    (root / "in" / "sub" / "a.wav").write_bytes(b"sound")
    (root / "in" / "sub" / "a.wav.transcribe.toml").write_bytes(SIDECAR)
    disk = Disk(root, tmp_path / "vault")
    command = [*traced(tmp_path / "record"), sys.executable, "-c", DELIVER, root, request.param]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, env=environment, check=True, timeout=patient(60))
    return disk, read(tmp_path / "record", root), request.param


def cuts(disk, calls):
    """Yield the name of the call before each cut, whether the delivery had ended, and what the cut left."""
    delivered = False
    for number, call in enumerate(calls):
        disk.apply(call)
        delivered = delivered or call.path.name == "delivered"
        for seed, lost in itertools.product(range(5), WAYS):
            left = disk.cut(random.Random(f"{number} {seed}"), *lost)
            yield call.name, delivered, {name: file for name, file in left.items() if file is not None}


HALF, MISSING, LOST = "half a transcript", "a delivered transcript is gone", "the recording or its sidecar is lost"


def wrong_in(left, delivered, after):
    """Return what a cut has broken."""
    outputs = {name: data for name, data in left.items() if name in FORMATS}
    sources = {file.data for file in left.values() if getattr(file, "original", None)}
    whole = outputs.keys() == FORMATS
    if any(b"one two" not in data for data in outputs.values()):
        yield HALF
    if delivered and not whole:
        yield MISSING
    if sources != {b"sound", SIDECAR} and not (after == "delete" and whole):
        yield LOST


def test_a_power_cut_at_any_moment_of_a_delivery_loses_nothing(deliveries):
    disk, calls, after = deliveries
    seen = list(cuts(disk, calls))
    assert [(call, wrong) for call, done, left in seen for wrong in wrong_in(left, done, after)] == []
    assert len(seen) > 500


def test_a_disk_that_ignores_syncs_is_seen_to_lose(deliveries):
    disk, calls, after = deliveries
    unsynced = [call for call in calls if call.name != "sync"]
    wrong = {wrong for _, done, left in cuts(disk, unsynced) for wrong in wrong_in(left, done, after)}
    assert wrong == {HALF, MISSING} | ({LOST} if after != "keep" else set())


@pytest.mark.parametrize("deliveries", ["move"], indirect=True)
def test_what_a_cut_left_is_built_again_with_the_same_files(deliveries):
    disk, calls, _ = deliveries
    for call in calls:
        disk.apply(call)
    inodes = {path.stat().st_ino for path in disk.root.rglob("*.wav")}
    seen = {str(path.relative_to(disk.root)): path.read_bytes() for path in disk.root.rglob("*") if path.is_file()}
    build(disk.cut(random.Random(0), 0.0, 0.0), disk.root)
    built = {str(path.relative_to(disk.root)): path.read_bytes() for path in disk.root.rglob("*") if path.is_file()}
    assert built == seen
    assert {path.stat().st_ino for path in disk.root.rglob("*.wav")} == inodes
