"""The unit as systemd tells of it, and as its files say."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import systemctl
from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.errors import Misconfigured, Unavailable
from transcribed.doctor import drop_in, runner, sandbox_access, unit_file

SHIPPED = Path(__file__).parents[3] / "systemd"
ODD = Path('/srv/it\'s a "100%" share/out')


def installed(root, text, **drop_ins):
    (root / "transcribed.service").write_text(text)
    for name, lines in drop_ins.items():
        folder = root / "transcribed.service.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(f"[Service]\n{lines}\n")
    return unit_file.read("transcribed.service", [root])


def test_what_systemd_tells_is_read_with_its_quotes():
    active = systemctl.unit("active")
    assert active.is_installed
    assert active.live
    assert active.text("ActiveState") == "active"
    assert f"-{ODD}" in active.words("ReadWritePaths")
    assert active.words("SupplementaryGroups") == []
    assert active.says("PrivateTmp")
    assert not active.says("PrivateNetwork")


def test_a_property_of_many_lines_has_the_words_of_all():
    assert "char-nvidia" in systemctl.unit("shipped").words("DeviceAllow")


def test_a_unit_that_systemd_does_not_know_is_not_installed():
    assert not systemctl.unit("absent").is_installed


def test_the_shipped_unit_says_offline_what_systemd_tells_of_it():
    offline, told = unit_file.read("transcribed.service", [SHIPPED]), systemctl.unit("shipped")
    assert offline.is_installed
    assert not offline.live
    for key in ("User", "Group", "ProtectSystem", "ProtectHome", "PrivateTmp", "DevicePolicy"):
        assert offline.text(key) == told.text(key)
    for key in ("ReadWritePaths", "StateDirectory"):
        assert offline.words(key) == told.words(key)


def test_what_systemctl_cannot_print_is_read_from_the_files_it_names(tmp_path):
    files = installed(tmp_path, "[Service]\nReadWritePaths=-/a\n", paths=f"ReadWritePaths={drop_in.quoted(str(ODD))}")
    told = f"LoadState=loaded\nReadWritePaths=-/a [unprintable]\nFragmentPath={files.text('FragmentPath')}\n"
    told += f"DropInPaths={files.text('DropInPaths')}\n"
    assert unit_file.shown("transcribed.service", told).words("ReadWritePaths") == ["-/a", str(ODD)]


def test_drop_ins_go_over_the_unit_and_over_each_other_by_name(tmp_path):
    found = installed(
        tmp_path,
        "[Unit]\nUser=nobody\n[Service]\nUser=one\nReadWritePaths=/a /b\n",
        a="User=two\nReadWritePaths=\nReadWritePaths=/c",
        b="# User=four\nUser=three\nReadWritePaths=/d \\\n  /e",
    )
    assert found.text("User") == "three"
    assert found.words("ReadWritePaths") == ["/c", "/d", "/e"]


def test_a_file_nearer_the_operator_hides_one_of_the_same_name(tmp_path):
    ours, theirs = tmp_path / "etc", tmp_path / "usr"
    for folder, user in ((ours, "mine"), (theirs, "packaged")):
        folder.mkdir()
        installed(folder, "[Service]\n", user=f"User={user}")
    assert unit_file.read("transcribed.service", [ours, theirs]).text("User") == "mine"


def test_an_instance_is_made_from_its_template(tmp_path):
    (tmp_path / "transcribed@.service").write_text("[Service]\nStateDirectory=transcribed/%i\nReadWritePaths=/a%%b\n")
    found = unit_file.read("transcribed@phones.service", [tmp_path])
    assert found.words("StateDirectory") == ["transcribed/phones"]
    assert found.words("ReadWritePaths") == ["/a%b"]


def test_without_files_nothing_is_installed(tmp_path):
    assert not unit_file.read("transcribed.service", [tmp_path]).is_installed


# --- the drop-in ---------------------------------------------------------------------------------------


def test_an_odd_name_is_quoted_as_systemd_was_seen_to_understand_it():
    assert drop_in.quoted(f"-{ODD}") == """"-/srv/it's a "'"'"100%%"'"'" share/out\""""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=3))
def test_every_name_that_is_written_is_read_back(tmp_path_factory, names):
    folders = [Path("/", *name.split("/")) for name in names]
    root = tmp_path_factory.mktemp("units")
    (root / "transcribed.service").write_text("[Service]\nReadWritePaths=/there/already\n")
    drop_in.write(drop_in.text(folders, Path("/etc/t.toml")), "transcribed.service", root)
    read = unit_file.read("transcribed.service", [root]).words("ReadWritePaths")
    assert read == ["/there/already", *(f"-{folder}" for folder in sorted(set(folders)))]


@pytest.mark.parametrize("name", ["new\nline", "undecodable\udcff"])
def test_a_name_that_no_unit_file_can_hold_is_refused_and_nothing_written(name):
    with pytest.raises(Misconfigured, match="No unit file can name"):
        drop_in.text([Path("/srv", name)], Path("/etc/t.toml"))


def test_systemd_itself_has_nothing_against_it(tmp_path):
    """systemd-analyze says "path is not absolute" of what is quoted wrongly."""
    text = (SHIPPED / "transcribed.service").read_text().replace("/opt/transcribed/bin/transcribed", "/bin/true")
    (tmp_path / "transcribed.service").write_text(text)
    homes = drop_in.text(
        [ODD, Path("/home/anna/in box"), Path("/mnt/a;b#c\\d")], Path("/etc/t.toml"), sandbox_access.HOMES
    )
    drop_in.write(homes, "transcribed.service", tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "transcribed.service")], capture_output=True, text=True
    )
    assert "50-paths.conf" not in done.stdout + done.stderr


def test_homes_are_opened_only_for_folders_that_lie_there():
    config = Path("/etc/t.toml")
    assert "ProtectHome=read-only" in drop_in.text([Path("/home/anna/inbox")], config, sandbox_access.HOMES)
    assert "ProtectHome" not in drop_in.text([Path("/srv/inbox"), Path("/homes/inbox")], config, sandbox_access.HOMES)


def test_the_drop_in_names_every_folder_the_daemon_may_write_to_and_keeps_homes_as_open_as_they_are(tmp_path):
    inbox = Inbox(path="/home/anna/in", outbox="/mnt/out", after_success="move", move_to="/home/anna/done")
    settings = Settings(state_dir="/state", models_dir="/models", inbox=(inbox,))
    for case, homes, opened in (
        ("shipped", "yes", True),
        ("active", "read-only", True),  # by an earlier drop-in, which this one replaces
        ("active", "no", False),
        ("absent", "no", True),  # the unit that will be installed hides them
    ):
        written = runner.write_drop_in(settings, Path("/etc/t.toml"), systemctl.unit(case, ProtectHome=homes), tmp_path)
        lines = written.read_text().splitlines()
        paths = ("/home/anna", "/mnt/out", "/state")  # what is moved must not cross a mount
        assert lines[-3:] == [f"ReadWritePaths=-{path}" for path in paths]
        assert ("ProtectHome=read-only" in lines) is opened


def test_a_drop_in_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    old = drop_in.write("old", "transcribed.service", tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(Unavailable, match=r"50-paths\.conf cannot be written"):
        drop_in.write("new", "transcribed.service", blocked)
    assert drop_in.write("new", "transcribed.service", tmp_path) == old
    assert old.read_text() == "new"
    assert [path.name for path in old.parent.iterdir()] == ["50-paths.conf"]
