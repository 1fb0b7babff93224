"""End a daemon and its children at random moments while files arrive, and check from outside what became of each file.

A spoken number in each file is its identity, so that a lost, doubled, half-written or swapped transcript shows.  Knows
what was dropped and what the daemon leaves behind; nothing of how it works.
"""

import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter

import numpy as np
import psutil

from tests.support.patience import patient
from tests.support.site import kill_tree, stop, wait_for
from tests.support.speech import SAMPLE_RATE, digits, save, say, silence, stereo
from transcribed.state.control_files import read_status

FORMATS = ("json", "srt", "txt", "vtt")
KILLS = ("daemon", "tree", "child", "child")
SOON, LATER = (0.0, 1.5), (1.5, 4.0)  # seconds; on two quiet cores a new daemon has its first transcript after four
ENDS = ("term", "term", "hangup", *KILLS)  # what an operator does to it, too


class Chaos:
    """One inbox whose recordings are kept."""

    def __init__(self, site, dice, files):
        self.site, self.dice = site, dice
        self.numbers = dice.sample(range(1000, 10_000), files)
        self._prepare()
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

    def _prepare(self):
        """Make what the recordings need, before there are any."""

    def _record(self, number):
        path = self.site.root / "recorded" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        save(path, say(digits(number), speed=self.dice.randint(135, 165)))
        return path

    def _drop_until(self, dropped):
        while self.waiting and len(self.numbers) - len(self.waiting) < dropped:
            self._drop(self.waiting.pop())

    def _drop(self, path):
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


class Mixed(Chaos):
    """Three inboxes whose recordings are kept, moved and deleted; some have two channels, some must be tried again."""

    AFTER = ("keep", "move", "delete")
    CHANNELS, BROKEN = 'channels = ["left", "right"]\n', "title = \n"

    def _prepare(self):
        self.share = self.site.root / "share"
        self.texts, self.sidecars = {}, {}  # by number; a sidecar that is broken at first, and None without one
        tables = []
        for after in self.AFTER:
            for name in ("inbox", "outbox", "done"):
                (self.share / after / name).mkdir(parents=True)
            keys = {"path": "inbox", "outbox": "outbox"} | ({"move_to": "done"} if after == "move" else {})
            paths = "".join(f'{key} = "{self.share / after / name}"\n' for key, name in keys.items())
            tables.append(f'[[inbox]]\n{paths}after_success = "{after}"\nquiet_seconds = 0.3\n')
        self.site.extra = "".join(tables)
        self.site.configure()

    def _after(self, number):
        return self.AFTER[number % len(self.AFTER)]

    def _record(self, number):
        path = super()._record(number)
        kind = self.dice.choice(("plain", "plain", "channels", "broken"))
        self.texts[number] = digits(number)
        self.sidecars[number] = {"plain": None, "channels": self.CHANNELS, "broken": self.BROKEN}[kind]
        if kind == "channels":
            other = number + 10_000
            left = say(digits(number))
            stereo(path, left, np.concatenate([silence(len(left) / SAMPLE_RATE + 1), say(digits(other))]))
            self.texts[number] += f" {digits(other)}"
        return path

    def _drop(self, path):
        target = self.share / self._after(int(path.stem)) / "inbox" / path.name
        if sidecar := self.sidecars[int(path.stem)]:
            target.with_name(f"{path.name}.transcribe.toml").write_text(sidecar)
        path.rename(target)

    def _all_done(self):
        """What failed for its sidecar is mended and asked for again, as a user would."""
        for note in self.share.glob("*/outbox/*.error.txt"):
            recording = note.parents[1] / "inbox" / note.name.removesuffix(".error.txt")
            sidecar = recording.with_name(f"{recording.name}.transcribe.toml")
            if recording.exists() and sidecar.read_text() == self.BROKEN:
                sidecar.write_text('title = "mended"\n')
                self.site.call("retry", str(recording))
        done = self._ask("select count(*) from job where state = 'done' and tidied = 1") == [(len(self.numbers),)]
        return done and not list(self.share.rglob(".deleted-by-transcribed-*"))

    def check(self):
        said = {
            int(path.name.split(".")[0]): json.loads(path.read_text())["text"]
            for path in self.share.glob("*/outbox/*.json")
        }
        assert said == self.texts
        expected = set()
        for number in self.numbers:
            name, after, sidecar = f"{number}.wav", self._after(number), self.sidecars[number]
            expected |= {f"{after}/outbox/{name}.{format}" for format in FORMATS}
            if after != "delete":
                kept = f"{after}/{'inbox' if after == 'keep' else 'done'}/{name}"
                expected |= {kept} | ({f"{kept}.transcribe.toml"} if sidecar else set())
        assert {str(path.relative_to(self.share)) for path in self.share.rglob("*") if path.is_file()} == expected
        assert list((self.site.state / "spool").iterdir()) == []
        assert self._ask("select state, count(*) from job group by state") == [("done", len(self.numbers))]
