"""Who else on the machine may do what with a daemon's state: its group reads and asks, others nothing."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.fakes import source
from tests.support.patience import patient
from tests.support.site import Site, kill_tree, stop, wait_for
from tests.support.speech import digits
from transcribed.state.ledger import Ledger

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="becoming other users needs root")

MEMBER = ("setpriv", "--reuid=54321", "--regid=54321", "--groups=0")  # the daemon of the test is in group 0
STRANGER = ("setpriv", "--reuid=54322", "--regid=54322", "--clear-groups")
ALERTS = {"at": "2026-11-20T16:25:00+00:00", "log": None, "channels": [], "entries": []}
LOOK = """
import json, os, sys
state, seen = sys.argv[1], {}
for place, folders, files in os.walk(state):
    for name in [*folders, *files]:
        path = os.path.join(place, name)
        seen[os.path.relpath(path, state)] = "".join(
            letter for letter, right in (("r", os.R_OK), ("w", os.W_OK)) if os.access(path, right)
        )
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def site(spoken):
    """One daemon that has worked, in a folder that others may enter, with the state directory as the unit makes it."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        site = Site(Path(root))
        site.state.chmod(0o750)
        for folder in (site.inbox, site.outbox):
            folder.chmod(0o770)
        for name, document in (("mounts.json", {}), ("alerts.json", ALERTS)):  # as an earlier version left them
            (site.state / name).write_text(json.dumps(document))
            (site.state / name).chmod(0o660)
        shutil.copy(spoken(123), site.inbox / "a.wav")
        daemon = site.start()
        try:
            site.wait_text("a.wav")
            site.daemon = daemon
            yield site
        finally:
            kill_tree(daemon)


def rights(who, site):
    """What a user may do with each file below the state directory that is visible to it, as letters."""
    looked = subprocess.run([*who, sys.executable, "-c", LOOK, site.state], capture_output=True, text=True, check=True)
    return json.loads(looked.stdout)


def as_(who, site, *command):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "daemon")}
    return subprocess.run(
        [*who, *site.command(*command)], capture_output=True, text=True, env=environment, timeout=patient(60)
    )


def test_a_member_of_the_group_reads_what_is_shared_and_writes_only_requests(site):
    seen = rights(MEMBER, site)
    shared = {"ledger.db", "ledger.db-wal", "ledger.db-shm", "status.json", "alerts.json"}
    assert {name for name, letters in seen.items() if "r" in letters} == shared | {"requests"}
    assert {name for name, letters in seen.items() if "w" in letters} == {"requests"}
    assert not any(name.startswith("spool/") for name in seen)


def test_whatever_the_daemon_makes_is_closed_to_others(site):
    status = Path(f"/proc/{site.daemon.pid}/status").read_text()
    assert "\nUmask:\t0027\n" in status


def test_a_stranger_sees_nothing(site):
    assert rights(STRANGER, site) == {}


def test_what_a_member_plants_among_the_requests_stops_nothing(site, spoken):
    requests = site.state / "requests"
    subprocess.run([*MEMBER, "mkfifo", requests / "pipe"], check=True)
    subprocess.run([*MEMBER, "ln", "-s", "/dev/zero", requests / "link"], check=True)
    subprocess.run([*MEMBER, "mkdir", requests / "folder"], check=True)
    shutil.copy(spoken(456), site.inbox / "b.wav")
    assert site.wait_text("b.wav") == digits(456)


COUNT = """
import sys
from pathlib import Path
from transcribed.state.queries import read_only
print(sum(read_only(Path(sys.argv[1])).counts().values()))
"""


def test_a_member_sees_at_once_what_the_daemon_has_recorded():
    with tempfile.TemporaryDirectory() as state:
        os.chmod(state, 0o750)
        path = Path(state) / "ledger.db"
        with contextlib.closing(Ledger(path)) as ledger:
            for count in (1, 2):
                ledger.add(source(f"{count}.wav"), f"{count}.wav", 1.0)
                seen = subprocess.run([*MEMBER, sys.executable, "-c", COUNT, path], capture_output=True, text=True)
                assert (seen.stdout, seen.stderr) == (f"{count}\n", "")


def test_a_member_sees_and_retries_what_failed_and_sees_it_when_the_daemon_is_gone(site):
    (site.inbox / "c.wav").write_text("no recording")
    note = site.outbox / "c.wav.error.txt"
    wait_for(note.exists, 60)
    before = note.stat().st_ino
    assert as_(MEMBER, site, "retry", str(site.inbox / "c.wav")).returncode == 0
    wait_for(lambda: note.stat().st_ino != before, 60, "another note")
    assert "The transcription failed" in as_(MEMBER, site, "explain", str(site.inbox / "c.wav")).stdout
    assert stop(site.daemon) == 0
    assert not (site.state / "ledger.db-wal").exists()
    told = as_(MEMBER, site, "explain", str(site.inbox / "c.wav")).stdout
    assert "The transcription failed" in told
    assert "The daemon is not running" in told
    assert "not running" in as_(MEMBER, site, "status").stdout
    assert as_(MEMBER, site, "alerts").returncode == 0
