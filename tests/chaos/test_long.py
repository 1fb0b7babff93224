"""Long recordings: an interruption does not cost what was recognized, and twelve hours fit into 2 GB."""

import contextlib
import json
import re
import wave
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.site import Site, kill_tree, stop, wait_for
from tests.support.speech import pcm, say, silence

LIMIT_BYTES = 2 * 2**30
CGROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))


@pytest.mark.parametrize(
    "hours", [0.3, pytest.param(6, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])], ids=["18min", "6h"]
)
def test_after_kill_9_a_long_recording_goes_on_where_it_was(tmp_path, hours):
    site = Site(tmp_path, formats=["json"])
    rounds = repeated(site.inbox / "long.wav", hours)
    first = site.start()
    try:
        wait_for(lambda: heard(site) >= rounds // 8, 600, "an eighth of it")
    finally:
        kill_tree(first)
    kept = heard(site)
    assert kept < rounds, "it was done before it could be interrupted"
    second = site.start()
    try:
        text = site.wait_text("long.wav", 1500)
        wait_for(lambda: list((site.state / "spool").iterdir()) == [], 30, "an empty spool")
        assert stop(second) == 0
    finally:
        kill_tree(second)
    (known,) = re.findall(r"event=prepared .*known=([1-9]\d*)", (tmp_path / "daemon.log").read_text())
    assert int(known) >= kept - 1  # the last line may have been cut
    assert text.split() == ["one", "two", "three", "seven", "eight", "nine"] * rounds
    print(f"{hours} h: {known} of {rounds} segments were known after the kill")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twelve_hours_are_transcribed_within_2_gb_over_all_processes(tmp_path):
    """Where this machine can bound a group of processes, the kernel holds them to it, page cache and all."""
    site, most = Site(tmp_path, formats=["json", "txt", "srt", "vtt"]), [0]
    rounds = repeated(site.inbox / "long.wav", 11.99)
    with bounded(LIMIT_BYTES) as admit:
        daemon = site.start()
        admit(daemon.pid)
        try:
            done = site.outbox / "long.wav.txt"
            wait_for(lambda: most.append(private(daemon.pid)) or done.exists(), 3000, "the transcript")
            assert stop(daemon) == 0
        finally:
            kill_tree(daemon)
    document = json.loads((site.outbox / "long.wav.json").read_text())
    assert document["text"].split() == ["one", "two", "three", "seven", "eight", "nine"] * rounds
    assert max(most) < LIMIT_BYTES
    print(f"12 h: {max(most) / 2**20:.0f} MiB of private memory over all processes, at most")


def repeated(path, hours):
    """A WAV of one round again and again: two phrases in 15 s, one segment each time.  How many rounds."""
    phrases = np.concatenate([say("one two three"), silence(0.5), say("seven eight nine")])
    round_ = np.concatenate([silence(2), phrases, silence(13 - len(phrases) / 16_000)])
    rounds = int(hours * 3600 * 16_000 / len(round_))
    beside = path.with_name(".writing")
    with wave.open(str(beside), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        for _ in range(rounds):
            file.writeframes(pcm(round_).tobytes())
    beside.rename(path)
    return rounds


def heard(site):
    """How many answers are kept."""
    kept = (site.state / "spool").glob("*.heard")
    return sum(path.read_bytes().count(b"\n") for path in kept)


def private(pid):
    """Bytes that the daemon and its children hold for themselves."""
    parent, total = psutil.Process(pid), 0
    for process in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_info()
            total += info.rss - info.shared
    return total


@contextlib.contextmanager
def bounded(limit_bytes):
    """A function that puts a process, and all it will start, under a limit of memory."""
    for root, key in CGROUPS:
        group = Path(root) / "transcribed-test"
        with contextlib.suppress(OSError):
            group.mkdir(exist_ok=True)
            (group / key).write_text(str(limit_bytes))
            yield lambda pid, group=group: (group / "cgroup.procs").write_text(str(pid))
            group.rmdir()
            return
    print("no group of processes can be bounded here; their private memory is added up only")
    yield lambda pid: None
