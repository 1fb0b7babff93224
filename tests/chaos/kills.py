"""End the daemon and its children at random moments while files arrive; an outside checker knows what was dropped.

A spoken number in each file is its identity, so that a lost, doubled, half-written or swapped transcript shows.  The
seed is printed; `TRANSCRIBED_SEED=... make test-slow` runs the same dice again (the machine's own timing stays).
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter

import psutil
import pytest

from tests.support.patience import patient
from tests.support.site import Site, kill_tree, stop, wait_for
from tests.support.speech import digits, save, say
from transcribed.state.control_files import read_status

FORMATS = ("json", "srt", "txt", "vtt")
KILLS = ("daemon", "tree", "child", "child")
SOON, LATER = (0.0, 1.5), (1.5, 4.0)  # seconds; on two quiet cores a new daemon has its first transcript after four
ENDS = ("term", "term", "hangup", *KILLS)  # what an operator does to it, too


@pytest.mark.parametrize(
    ("files", "count", "kinds", "hurry"),
    [
        pytest.param(20, 4, KILLS, 0.3, id="short"),
        pytest.param(200, 40, KILLS, 0.3, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(300, 500, ENDS, 0.8, id="five hundred", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)
def test_nothing_is_lost_doubled_half_written_or_swapped_however_often_it_ends(tmp_path, files, count, kinds, hurry):
    """`hurry` is the share of ends that come before it has done anything."""
    usual = 1 if files == 20 else time.time()  # the default run does the same each time
    seed = int(os.environ.get("TRANSCRIBED_SEED", usual))
    print(f"seed {seed}, {files} files, {count} ends")
    chaos = Chaos(Site(tmp_path), random.Random(seed), files)
    chaos.run(count, kinds, hurry)
    chaos.check()


class Chaos:
    def __init__(self, site, dice, files):
        self.site, self.dice = site, dice
        self.numbers = dice.sample(range(1000, 10_000), files)
        self.waiting = [self._record(number) for number in self.numbers]
        self.daemon = site.start()
        self.ends = Counter()

    def run(self, count, kinds, hurry):
        try:
            for n in range(count):
                self._drop_until(len(self.numbers) * (n + 1) // count)
                time.sleep(self.dice.uniform(*(SOON if self.dice.random() < hurry else LATER)))
                self._end(self.dice.choice(kinds))
            wait_for(self._all_done, 600, f"{len(self.numbers)} files done")
            wait_for(lambda: (read_status(self.site.state) or {}).get("pid") == self.daemon.pid, 60, "the last start")
            assert stop(self.daemon) == 0
        finally:
            kill_tree(self.daemon)
        print(f"ended: {dict(self.ends)}")

    def check(self):
        said = {path.name: json.loads(path.read_text())["text"] for path in self.site.outbox.glob("*.json")}
        assert said == {f"{number}.wav.json": digits(number) for number in self.numbers}
        assert self.site.outputs() == {f"{number}.wav.{format}" for number in self.numbers for format in FORMATS}
        assert list((self.site.state / "spool").iterdir()) == []
        rows = self._ask("select state, count(*) from job group by state")
        assert rows == [("done", len(self.numbers))]

    def _record(self, number):
        path = self.site.root / "recorded" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        save(path, say(digits(number), speed=self.dice.randint(135, 165)))
        return path

    def _drop_until(self, dropped):
        while self.waiting and len(self.numbers) - len(self.waiting) < dropped:
            path = self.waiting.pop()
            path.rename(self.site.inbox / path.name)

    def _end(self, kind):
        children = self._children()
        if kind == "child" and children:
            with contextlib.suppress(psutil.NoSuchProcess):  # it left by itself
                self.dice.choice(children).kill()
        elif kind == "hangup" and self._hears():
            self.site.configure(quiet_seconds=self.dice.uniform(0.2, 0.4))
            self.daemon.send_signal(signal.SIGHUP)
        elif kind == "term":
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(patient(60))
        elif kind == "daemon":
            self.daemon.send_signal(signal.SIGKILL)
            self.daemon.wait()
        else:
            kill_tree(self.daemon)
        self.ends[kind] += 1
        if self.daemon.poll() is not None:
            self.daemon = self.site.start()

    def _children(self):
        found = []
        for child in psutil.Process(self.daemon.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil says so of zombies, too
                found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
        return found

    def _hears(self):
        """Before its handlers stand, SIGHUP ends a process."""
        return (read_status(self.site.state) or {}).get("pid") == self.daemon.pid

    def _all_done(self):
        return self._ask("select count(*) from job where state in ('done', 'failed')") == [(len(self.numbers),)]

    def _ask(self, sql):
        ledger = f"file:{self.site.state}/ledger.db?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(ledger, uri=True, timeout=patient(10))) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:  # it is not made yet
            return []
