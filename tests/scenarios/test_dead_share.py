"""A share whose server died before the daemon starts: every call on it fails, and none says that it is not there."""

import contextlib
import ctypes
import json
import os
import subprocess

import pytest

from tests.support.site import kill_tree, stop, wait_for

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not os.path.exists("/dev/fuse"), reason="mounting a FUSE file system needs root and /dev/fuse"
)


@pytest.fixture
def dead_share(tmp_path):
    """A FUSE mount that nobody serves: ENOTCONN, as of a dead sshfs; like ESTALE of NFS and EHOSTDOWN of SMB."""
    with _mounted(tmp_path / "share") as (folder, server):
        server.close()
        yield folder


@pytest.fixture
def hung_share(tmp_path):
    """A FUSE mount whose server is there and never answers, as a NAS that is being restarted."""
    with _mounted(tmp_path / "hung") as (folder, _):
        yield folder


@contextlib.contextmanager
def _mounted(folder):
    folder.mkdir()
    with open("/dev/fuse", "r+b", buffering=0) as server:
        options = f"fd={server.fileno()},rootmode=40000,user_id=0,group_id=0"
        assert ctypes.CDLL(None).mount(b"none", os.fsencode(folder), b"fuse", 0, options.encode()) == 0
        yield folder, server
    subprocess.run(["umount", "-l", folder], check=True)


def test_it_is_no_fault_of_the_configuration(site, dead_share):
    site.configure(outbox=str(dead_share / "out"))
    done = site.call("check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(not available now)" in done.stdout


def test_the_daemon_starts_and_serves_the_other_inboxes(site, dead_share):
    more = f'[[inbox]]\npath = "{dead_share}/in"\noutbox = "{dead_share}/out"\n'
    site.config.write_text(f"{site.config.read_text()}\n{more}")
    daemon = site.start()
    try:
        wait_for(site.state_written, 30)
        inboxes = wait_for(lambda: _scanned(site), 30, "the walk of the other inbox")
        assert [inbox["trouble"] is None for inbox in inboxes] == [True, False]
    finally:
        kill_tree(daemon)


@pytest.mark.slow
def test_a_share_that_hangs_at_the_start_holds_up_no_other_inbox(site, hung_share, spoken):
    more = f'[[inbox]]\npath = "{hung_share}/in"\noutbox = "{hung_share}/out"\n'
    site.config.write_text(f"{site.config.read_text()}\n{more}")
    daemon = site.start()
    try:
        (site.inbox / "a.wav").write_bytes(spoken(12).read_bytes())
        assert site.wait_text("a.wav", 120) == "one two"
        assert stop(daemon, 25) == 0
    finally:
        kill_tree(daemon)


def _scanned(site):
    inboxes = json.loads((site.state / "status.json").read_text())["inboxes"]
    walked = inboxes[0]["scanned_seconds_ago"] is not None
    return inboxes if walked and inboxes[1]["trouble"] else None
