"""The unit as systemd reports it, and the drop-in that opens its sandbox."""

import shlex
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


def as_systemd_splits(value):
    """systemd.syntax(7): quotes group, two percent signs are one; in lists of paths a backslash is literal."""
    lexer = shlex.shlex(value.replace("%%", "%"), posix=True, punctuation_chars=False)
    lexer.whitespace, lexer.whitespace_split, lexer.escape, lexer.commenters = " \t", True, "", ""
    return list(lexer)


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


def test_what_systemctl_cannot_print_is_queried_over_dbus():
    asked = []

    def list_of(*what):
        asked.append(what)
        return ["-/a", str(ODD)]

    told = "LoadState=loaded\nReadWritePaths=-/a [unprintable]\nUser=ann\n"
    unit = unit_file.shown("transcribed.service", told, list_of)
    assert unit.words("ReadWritePaths") == ["-/a", str(ODD)]
    assert asked == [("transcribed.service", "ReadWritePaths")]


def test_where_systemd_does_not_answer_nothing_is_known_of_the_unit(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    unit = unit_file.find("transcribed.service")
    assert not unit.live
    assert not unit.is_installed
    assert unit.words("ReadWritePaths") == []


# --- the drop-in ---------------------------------------------------------------------------------------


def test_an_odd_name_is_quoted_as_systemd_was_seen_to_understand_it():
    assert drop_in.quoted(f"-{ODD}") == """"-/srv/it's a "'"'"100%%"'"'" share/out\""""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=3))
def test_every_name_that_is_written_is_read_back(tmp_path_factory, names):
    folders = [Path("/", *name.split("/")) for name in names]
    root = tmp_path_factory.mktemp("units")
    written = drop_in.write(drop_in.text(folders, Path("/etc/t.toml")), "transcribed.service", root).read_text()
    values = [line.partition("=")[2] for line in written.split("\n") if line.startswith("ReadWritePaths=")]
    read = [word for value in values for word in as_systemd_splits(value)]
    assert read == [f"-{folder}" for folder in sorted(set(folders))]


@pytest.mark.parametrize("name", ["new\nline", "undecodable\udcff"])
def test_a_name_unfit_for_a_unit_file_is_refused_and_nothing_written(name):
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


def test_the_drop_in_names_all_writable_folders_and_keeps_home_access_unchanged(tmp_path):
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


def test_a_failed_write_of_a_drop_in_leaves_only_the_old_one(tmp_path):
    old = drop_in.write("old", "transcribed.service", tmp_path)
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(Unavailable, match=r"50-paths\.conf cannot be written"):
        drop_in.write("new", "transcribed.service", blocked)
    assert drop_in.write("new", "transcribed.service", tmp_path) == old
    assert old.read_text() == "new"
    assert [path.name for path in old.parent.iterdir()] == ["50-paths.conf"]
