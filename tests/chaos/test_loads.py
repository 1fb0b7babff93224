"""Many files at once, and one that is very long; `make test-slow` prints the figures of docs/performance.md here."""

import contextlib
import json
import random
import time

import numpy as np
import psutil
import pytest

from tests.support.site import Site, kill_tree, stop, wait_for
from tests.support.speech import digits, save, say, silence

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_a_burst_of_a_thousand_files_is_transcribed_correctly_and_none_twice(tmp_path):
    site, dice = Site(tmp_path), random.Random(7)
    numbers = dice.sample(range(1000, 10_000), 1000)
    for number in numbers:
        save(tmp_path / f"{number}.wav", say(digits(number), speed=dice.randint(135, 165)))
    daemon = site.start()
    try:
        wait_for(lambda: (site.state / "status.json").exists(), 60)
        started = time.monotonic()
        for number in numbers:
            (tmp_path / f"{number}.wav").rename(site.inbox / f"{number}.wav")
        wait_for(lambda: _done(site) == 1000, 900, "1000 files done")
        print(f"1000 files in {time.monotonic() - started:.0f} s")
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)
    said = {path.name: json.loads(path.read_text())["text"] for path in site.outbox.glob("*.json")}
    wrong = {name: text for name, text in said.items() if text != digits(name.split(".")[0])}
    assert wrong == {}
    assert len(said) == 1000
    assert len(site.outputs()) == 4000


def _done(site):
    return json.loads((site.state / "status.json").read_text())["counts"]["done"]


def test_three_hours_take_flat_memory_and_times_stay_right_to_the_end(tmp_path):
    """Made by repetition, so the times of the last round must be those of the first, moved by whole rounds."""
    site = Site(tmp_path)
    round_ = np.concatenate([silence(2), say("one two three"), silence(3), say("seven eight nine"), silence(2)])
    rounds = int(3 * 3600 * 16_000 / len(round_))
    save(tmp_path / "short.flac", np.tile(round_, rounds // 18))
    save(tmp_path / "long.flac", np.tile(round_, rounds))
    daemon, peaks = site.start(), {}
    try:
        wait_for(lambda: (site.state / "status.json").exists(), 60)
        for name in ("short.flac", "long.flac"):
            (tmp_path / name).rename(site.inbox / name)
            started, peaks[name] = time.monotonic(), {}
            done, peak = site.outbox / f"{name}.txt", peaks[name]
            wait_for(lambda peak=peak, done=done: _watch_memory(daemon, peak) or done.exists(), 1500, "the transcript")
            print(f"{name}: {time.monotonic() - started:.0f} s, most private memory of each process, MiB: {peak}")
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)
    document = json.loads((site.outbox / "long.flac.json").read_text())
    assert document["duration"] == pytest.approx(rounds * len(round_) / 16_000, abs=0.1)
    _times_repeat(document, len(round_) / 16_000, rounds)
    for pid, mib in peaks["long.flac"].items():  # ten minutes need as much as three hours
        assert mib <= 1.1 * peaks["short.flac"][pid] + 50


def _watch_memory(daemon, peaks):
    """Private memory in MiB, process by process: the spool is mapped, and its pages are the kernel's to take back."""
    parent = psutil.Process(daemon.pid)
    for process in [parent, *parent.children()]:
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_info()
            peaks[process.pid] = max(peaks.get(process.pid, 0), (info.rss - info.shared) // 2**20)


def _times_repeat(document, period, rounds):
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert len(words) == 6 * rounds
    first, last = words[6:12], words[-6:]
    assert [w["word"] for w in last] == [w["word"] for w in first] == ["one", "two", "three", "seven", "eight", "nine"]
    for early, late in zip(first, last, strict=True):
        assert late["start"] - early["start"] == pytest.approx((rounds - 2) * period, abs=0.1)
