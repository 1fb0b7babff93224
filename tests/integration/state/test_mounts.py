"""Outboxes on real mounts that come and go."""

import os
import subprocess

import pytest

from tests.support.fakes import job
from transcribed.core.errors import Unavailable
from transcribed.core.types import Failure
from transcribed.output.outbox import Outbox, deliver
from transcribed.state.mounts import FILE, Mounts, root_of

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def share(tmp_path):
    """A mount point, and how to mount and unmount it."""
    folder = tmp_path / "share"
    folder.mkdir()
    yield Share(folder)
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


class Share:
    def __init__(self, folder):
        self.folder = folder
        self.outbox = folder / "out"

    def mount(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.folder], check=True)
        self.outbox.mkdir(exist_ok=True)

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True)
        self.outbox.mkdir(exist_ok=True)  # somebody made it there as well, or it was there before


def test_the_root_of_a_folder_is_where_its_file_system_is_mounted(share):
    share.mount()
    assert root_of(share.outbox) == root_of(share.folder) == share.folder
    assert root_of(share.folder.parent) in share.folder.parents


def test_an_outbox_whose_share_has_gone_is_refused_until_it_is_back(share, tmp_path):
    share.mount()
    mounts = Mounts(tmp_path)
    mounts.check(share.outbox)
    share.unmount()
    for asked in (mounts, Mounts(tmp_path)):  # also after a restart
        with pytest.raises(Unavailable, match=f"{share.folder} is not mounted") as caught:
            asked.check(share.outbox)
        assert str(tmp_path / FILE) in caught.value.hint
    share.mount()
    mounts.check(share.outbox)


def test_an_inbox_is_missing_when_only_its_bare_mount_point_is_there(share, tmp_path):
    """It was on a share that is not mounted now."""
    share.mount()
    assert Mounts(tmp_path).holds(share.outbox)
    share.unmount()
    assert not Mounts(tmp_path).holds(share.outbox)
    assert not Mounts(tmp_path).holds(tmp_path / "nowhere")


def test_nothing_is_delivered_below_a_mount_point_whose_share_has_gone(share, tmp_path):
    share.mount()
    box = Outbox(share.outbox, check=Mounts(tmp_path).check)
    deliver(Failure(job(), "It is damaged.", "Copy it again."), box)
    share.unmount()
    with pytest.raises(Unavailable, match="is not mounted"):
        deliver(Failure(job(), "It is damaged.", "Copy it again."), box)
    assert list(share.outbox.iterdir()) == []


def test_a_share_that_is_mounted_for_the_first_time_is_welcome(share, tmp_path):
    share.outbox.mkdir()
    mounts = Mounts(tmp_path)
    mounts.check(share.outbox)
    share.mount()
    mounts.check(share.outbox)
    share.unmount()
    with pytest.raises(Unavailable):
        mounts.check(share.outbox)


def test_what_was_remembered_is_forgotten_when_somebody_removes_it(share, tmp_path):
    share.mount()
    Mounts(tmp_path).check(share.outbox)
    share.unmount()
    (tmp_path / FILE).unlink()
    Mounts(tmp_path).check(share.outbox)


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"/a": 1}'])
def test_a_file_that_cannot_be_understood_forbids_nothing(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    Mounts(tmp_path).check(tmp_path)


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        Mounts(tmp_path).check(tmp_path / "nowhere")
