"""Noticing files with real inotify, and without it: the many ways in which files come, and watchers go deaf."""

import errno
import itertools
import os
import subprocess
import threading
import time

import pytest

from tests.support.rights import modes_count
from tests.support.site import wait_for
from transcribed.core.events import RetryRequested, Settled
from transcribed.ingest.stability import StabilityTracker
from transcribed.ingest.watcher import InboxWatcher

QUIET = 0.3


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


class Watcher(InboxWatcher):
    """With what it has posted."""

    @property
    def found(self):
        return [event.source for event in self.posted if isinstance(event, Settled)]

    @property
    def returned(self):
        return [event.source.name for event in self.posted if isinstance(event, Settled) and event.returned]

    @property
    def to_retry(self):
        return [event.path.name for event in self.posted if isinstance(event, RetryRequested)]


@pytest.fixture
def watch(inbox):
    running = []

    def watch(**options):
        posted = []
        options = {"events": True, "rescan_seconds": 60.0} | options
        one = Watcher(inbox, tracker=StabilityTracker(QUIET), post=posted.append, **options)
        one.posted = posted
        one.start()
        running.append(one)
        wait_for(lambda: one.scanned_at, what="the first walk")
        return one

    yield watch
    for one in running:
        one.stop()


def names(watch):
    return sorted(source.name for source in watch.found)


def put_whole(path, data=b"sound"):
    path.write_bytes(data)


def put_by_rename(path):
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(b"sound")
    part.rename(path)


def put_by_hard_link(path):
    other = path.parents[1] / "elsewhere"
    other.write_bytes(b"sound")
    os.link(other, path)


def put_in_a_folder_made_at_once(path):
    path.parent.joinpath("new", "deep").mkdir(parents=True)
    path.parent.joinpath("new", "deep", path.name).write_bytes(b"sound")


def put_in_a_folder_moved_in(path):
    folder = path.parents[1] / "outside"
    folder.mkdir()
    folder.joinpath(path.name).write_bytes(b"sound")
    folder.rename(path.parent / "moved")


WAYS = [put_whole, put_by_rename, put_by_hard_link, put_in_a_folder_made_at_once, put_in_a_folder_moved_in]


@pytest.mark.parametrize("events", [True, False], ids=["events", "polling"])
@pytest.mark.parametrize("put", WAYS)
def test_a_file_is_noticed_whichever_way_it_comes(watch, inbox, put, events):
    """With events, long before the next walk."""
    one = watch(events=events, rescan_seconds=60.0 if events else 0.2)
    put(inbox / "a.wav")
    wait_for(lambda: one.found, 10)
    assert [os.path.basename(n) for n in names(one)] == ["a.wav"]


def test_files_that_were_there_before_are_noticed(watch, inbox):
    put_whole(inbox / "a.wav")
    one = watch()
    wait_for(lambda: names(one) == ["a.wav"], 10)


def test_a_known_version_is_not_reported_again_and_a_new_one_is(watch, inbox):
    put_whole(inbox / "a.wav")
    first = watch()
    wait_for(lambda: first.found, 10)
    again = watch(known=first.found, rescan_seconds=0.2)
    put_whole(inbox / "b.wav")
    wait_for(lambda: again.found, 10)
    assert names(again) == ["b.wav"]
    put_whole(inbox / "a.wav", b"newer sound")
    wait_for(lambda: names(again) == ["a.wav", "b.wav"], 10)


def test_a_walk_through_many_files_is_seen_to_go_on(inbox):
    """Else the watchdog would take it for one that hangs, and it would begin anew for ever."""
    for n in range(20):
        put_whole(inbox / f"{n}.wav")
    moments, turns = itertools.count(), []
    one = InboxWatcher(
        inbox,
        tracker=StabilityTracker(0.0),
        post=lambda event: turns.append(one.last_progress_at),
        clock=lambda: float(next(moments)),
        events=False,
    )
    one.start()
    wait_for(lambda: len(turns) >= 20, 20)
    one.stop()
    assert len(set(turns)) >= 20


def test_where_inodes_mean_nothing_a_new_one_is_no_new_version(watch, inbox):
    """sshfs, mergerfs and CIFS may give another number at every look."""
    put_whole(inbox / "a.wav")
    status = (inbox / "a.wav").stat()
    one = watch(rescan_seconds=0.1, local=False)
    wait_for(lambda: len(one.found) == 1, 10)
    put_whole(inbox / ".b")
    os.utime(inbox / ".b", ns=(status.st_atime_ns, status.st_mtime_ns))
    (inbox / ".b").rename(inbox / "a.wav")
    assert (inbox / "a.wav").stat().st_ino != status.st_ino
    assert one.found[0].is_version((inbox / "a.wav").stat())
    put_whole(inbox / "c.wav")
    wait_for(lambda: len(one.found) == 2, 10)
    assert names(one) == ["a.wav", "c.wav"]


def test_a_file_still_being_written_is_left_alone_until_it_is_closed(watch, inbox):
    """The writer pauses for longer than the quiet window, as a phone system does while a call is on hold."""
    one = watch(rescan_seconds=0.1)
    with (inbox / "a.wav").open("wb", buffering=0) as file:
        file.write(b"first half")
        put_whole(inbox / "other.wav")
        wait_for(lambda: names(one) == ["other.wav"], 10)
        until = time.monotonic() + 4 * QUIET
        wait_for(lambda: time.monotonic() > until)
        assert names(one) == ["other.wav"]
        file.write(b"second half")
    wait_for(lambda: names(one) == ["a.wav", "other.wav"], 10)
    (source,) = [s for s in one.found if s.name == "a.wav"]
    assert source.size == len(b"first halfsecond half")


def test_links_fifos_and_folders_are_never_files(watch, inbox, tmp_path):
    (tmp_path / "secret.wav").write_bytes(b"sound")
    (inbox / "link.wav").symlink_to(tmp_path / "secret.wav")
    (inbox / "loop").symlink_to(".")
    (inbox / "loop2").symlink_to(".")
    os.mkfifo(inbox / "fifo.wav")
    (inbox / "folder.wav").mkdir()
    one = watch(rescan_seconds=0.1)
    put_whole(inbox / "a.wav")
    wait_for(lambda: one.found, 10)
    assert names(one) == ["a.wav"]


def test_a_file_that_cannot_be_read_hides_no_other(watch, inbox):
    """A folder nobody may enter, made again and again, and a file that vanishes while it is looked at."""
    one = watch(rescan_seconds=0.5)
    for n in range(5):
        (inbox / f"locked{n}").mkdir(mode=0o000)
        put_whole(inbox / f"{n}.wav")
    wait_for(lambda: len(one.found) == 5, 10)
    assert one.trouble is None


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100], ids=["closed", "listed only", "entered only"])
def test_a_folder_that_may_not_be_entered_is_noticed_like_a_file(watch, inbox, mode):
    (inbox / "private").mkdir()
    put_whole(inbox / "private" / "a.wav")
    (inbox / "private").chmod(mode)
    with modes_count():
        one = watch(rescan_seconds=0.2)
        put_whole(inbox / "b.wav")
        wait_for(lambda: names(one) == ["b.wav", "private"], 10)
        assert one.trouble is None
        one.note_failure(inbox / "private", time.time())
        (inbox / "private").chmod(0o700)
        wait_for(lambda: names(one) == ["b.wav", "private", "private/a.wav"], 10)


def test_a_folder_that_a_disk_refuses_is_a_trouble(watch, inbox):
    """A path longer than the kernel takes stands for a bad sector: neither is for want of rights."""
    here = os.open(inbox, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    one = watch(rescan_seconds=0.2)
    wait_for(lambda: one.trouble, 10)
    assert one.trouble.startswith(f"1 of the folders in {inbox} cannot be read")
    assert one.trouble.endswith("File name too long.")
    put_whole(inbox / "a.wav")
    wait_for(lambda: names(one) == ["a.wav"], 10)
    subprocess.run(["rm", "-rf", inbox / ("d" * 250)], check=True)
    wait_for(lambda: one.trouble is None, 10)


@pytest.mark.parametrize("name", ["a.wav.aria2", "a.wav.lftp-pget-status", "a.wav.part", "a.wav.filepart", "a.wav.st"])
def test_a_file_waits_for_the_program_that_writes_it(watch, inbox, name):
    put_whole(inbox / name)
    put_whole(inbox / "a.wav")
    put_whole(inbox / "b.wav")
    one = watch(rescan_seconds=0.2)
    wait_for(lambda: names(one) == ["b.wav"], 10)
    (inbox / name).unlink()
    wait_for(lambda: names(one) == ["a.wav", "b.wav"], 10)


@pytest.mark.parametrize("events", [True, False], ids=["events", "polling"])
def test_a_file_dropped_in_again_is_reported_again(watch, inbox, tmp_path, events):
    """The very same one: inode, time and size are equal."""
    put_whole(inbox / "a.wav")
    one = watch(events=events, rescan_seconds=60.0 if events else 0.2)
    wait_for(lambda: one.found, 10)
    assert one.returned == []
    (inbox / "a.wav").rename(tmp_path / "a.wav")
    if not events:
        _next_walk(one)
    (tmp_path / "a.wav").rename(inbox / "a.wav")
    wait_for(lambda: one.returned == ["a.wav"], 10)
    assert one.found[0] == one.found[1]


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("below", ["", "share"], ids=["the inbox", "a folder in it"])
def test_files_of_a_share_that_comes_back_are_not_dropped_in_again(watch, inbox, tmp_path, below):
    share, place = tmp_path / "share", inbox / below
    share.mkdir()
    place.mkdir(exist_ok=True)
    put_whole(share / "a.wav")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    try:
        put_whole(place / "a.wav")
        one = watch(rescan_seconds=0.2)
        wait_for(lambda: len(one.found) == 1, 10)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)  # hides what was there
        _next_walk(one)
        subprocess.run(["umount", place], check=True)
        wait_for(lambda: len(one.found) == 2, 10)
        assert one.returned == []
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_failed_file_is_tried_again_when_its_rights_change(watch, inbox):
    for name in ("a.wav", "b.wav"):
        put_whole(inbox / name)
    one = watch(rescan_seconds=0.2)
    wait_for(lambda: len(one.found) == 2, 10)
    one.note_failure(inbox / "a.wav", time.time())
    _next_walk(one)
    for name in ("a.wav", "b.wav"):
        (inbox / name).chmod(0o640)
    wait_for(lambda: one.to_retry, 10)
    _next_walk(one)
    assert one.to_retry == ["a.wav"]


def test_rights_that_changed_while_nobody_looked_count_at_the_start(watch, inbox):
    put_whole(inbox / "a.wav")
    first = watch()
    wait_for(lambda: first.found, 10)
    again = watch(known=first.found, failed_at={inbox / "a.wav": time.time() - 60})
    wait_for(lambda: again.to_retry == ["a.wav"], 10)
    never = watch(known=first.found, failed_at={inbox / "a.wav": time.time() + 60})
    _next_walk(never)
    assert never.to_retry == []


def _next_walk(one):
    """Wait until a walk has ended that began after now."""
    for _ in range(2):
        before = one.scanned_at
        one.rescan()
        wait_for(lambda before=before: one.scanned_at > before, 10)


@pytest.mark.alone
@pytest.mark.skipif(os.getuid() != 0, reason="changing the kernel's limits needs root")
def test_watching_that_is_refused_leaks_nothing(watch, inbox):
    with limit("max_user_watches", 0):
        one = watch(rescan_seconds=0.05)
        walks, before = 0, len(os.listdir("/proc/self/fd"))
        while walks < 20:
            last = one.scanned_at
            wait_for(lambda last=last: one.scanned_at > last, 10)
            walks += 1
        assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_a_forgotten_file_is_reported_again(watch, inbox):
    put_whole(inbox / "a.wav")
    one = watch(rescan_seconds=0.2)
    wait_for(lambda: len(one.found) == 1, 10)
    one.forget(inbox / "a.wav")
    wait_for(lambda: len(one.found) == 2, 10)


def test_names_that_are_no_text_are_noticed(watch, inbox):
    one = watch()
    with open(os.path.join(os.fsencode(inbox), b"\xc4\xe3\xba\xc3.wav"), "wb") as file:
        file.write(b"sound")
    wait_for(lambda: one.found, 10)
    assert os.fsencode(names(one)[0]) == b"\xc4\xe3\xba\xc3.wav"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # watchdog's thread dies of it
def test_a_very_deep_folder_neither_kills_the_watch_nor_hides_its_neighbours(watch, inbox, tmp_path):
    deep = tmp_path / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    one = watch(rescan_seconds=0.5)
    deep.rename(inbox / "deep")
    put_whole(inbox / "beside.wav")
    wait_for(lambda: names(one) == ["beside.wav"], 20)
    put_whole(inbox / "later.wav")
    wait_for(lambda: names(one) == ["beside.wav", "later.wav"], 20)
    subprocess.run(["rm", "-rf", inbox / "deep"], check=True)


def test_a_vanished_inbox_is_reported_and_watched_again_when_it_is_back(watch, inbox, tmp_path):
    one = watch(rescan_seconds=0.2)
    inbox.rename(tmp_path / "away")
    wait_for(lambda: one.trouble, 10)
    assert "cannot be read" in one.trouble
    inbox.mkdir()
    put_whole(inbox / "a.wav")
    wait_for(lambda: names(one) == ["a.wav"], 10)
    assert one.trouble is None


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_share_mounted_over_the_inbox_is_watched_by_events_again(watch, inbox):
    """At the first walk after it was mounted; the next would only come in a minute."""
    one = watch(rescan_seconds=60.0)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inbox], check=True)
    try:
        before = one.scanned_at
        one.rescan()
        wait_for(lambda: one.scanned_at > before, 10)
        put_whole(inbox / "a.wav")
        wait_for(lambda: names(one) == ["a.wav"], 10)
    finally:
        subprocess.run(["umount", "-l", inbox], check=True)


@pytest.mark.alone
@pytest.mark.skipif(os.getuid() != 0, reason="changing the kernel's limits needs root")
def test_a_burst_that_overflows_the_kernels_queue_is_noticed_whole_at_once(watch, inbox):
    """It does not wait for the next walk."""
    with limit("max_queued_events", 64):
        one = watch(rescan_seconds=60.0)
    folder = inbox / "burst"
    threads = [threading.Thread(target=_burst, args=(folder, n)) for n in range(4)]
    folder.mkdir()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(one.found) == 4000, 30, "4000 files noticed")
    assert len(set(names(one))) == 4000


def _burst(folder, n):
    for i in range(1000):
        (folder / f"{n}-{i}.wav").write_bytes(b"sound")


@pytest.mark.alone
@pytest.mark.skipif(os.getuid() != 0, reason="changing the kernel's limits needs root")
@pytest.mark.parametrize(("name", "value"), [("max_user_watches", 3), ("max_user_instances", 0)])
def test_without_enough_watches_the_walk_finds_the_rest(watch, inbox, name, value):
    for n in range(10):
        (inbox / f"d{n}").mkdir()
    with limit(name, value):
        one = watch(rescan_seconds=0.5)
        for n in range(10):
            put_whole(inbox / f"d{n}" / "a.wav")
        wait_for(lambda: len(one.found) == 10, 10)


class limit:  # noqa: N801  reads like the sysctl it sets
    """A kernel limit of inotify, for as long as the block lasts."""

    def __init__(self, name, value):
        self.path, self.value = f"/proc/sys/fs/inotify/{name}", value

    def __enter__(self):
        with open(self.path) as file:
            self.before = file.read()
        try:
            self._write(str(self.value))
        except OSError as error:
            if error.errno == errno.EROFS:  # of a container
                pytest.skip("the kernel's limits are read-only here")
            raise

    def __exit__(self, *_):
        self._write(self.before)

    def _write(self, value):
        with open(self.path, "w") as file:
            file.write(value)
