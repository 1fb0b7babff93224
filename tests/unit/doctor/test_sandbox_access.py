"""What the unit's sandbox lets the service see, and what a drop-in opens."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import systemctl
from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.errors import Misconfigured
from transcribed.doctor import sandbox_access
from transcribed.doctor.findings import Finding
from transcribed.doctor.sandbox_access import ConfiguredPath, SandboxView
from transcribed.doctor.unit_file import UnitFile

INBOX = Inbox(path="/srv/inbox", outbox="/srv/outbox")


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def only(findings) -> Finding:
    (one,) = findings
    return one


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/srv/transcribed/inbox", SandboxView.WRITABLE),
        ("/srv/other", SandboxView.READ_ONLY),
        ("/var/lib/transcribed", SandboxView.WRITABLE),
        ("/var/lib/other", SandboxView.READ_ONLY),
        ("/var/log/transcribed", SandboxView.WRITABLE),
        ("/home/anna/inbox", SandboxView.HIDDEN),
        ("/root", SandboxView.HIDDEN),
        ("/tmp/inbox", SandboxView.PRIVATE),
    ],
)
def test_under_the_shipped_unit_a_path_is_seen_so(path, seen):
    assert sandbox_access.view(Path(path), systemctl.unit("shipped")) is seen


def test_the_drop_in_opens_what_it_names_and_nothing_beside():
    active = systemctl.unit("active")
    assert sandbox_access.view(Path('/srv/it\'s a "100%" share/out'), active) is SandboxView.WRITABLE
    assert sandbox_access.view(Path("/home/anna/inbox/sub"), active) is SandboxView.WRITABLE
    assert sandbox_access.view(Path("/home/anna"), active) is SandboxView.READ_ONLY


def test_what_is_hidden_hides_all_below_it_whatever_else_is_said():
    unit = systemctl.unit("shipped", ReadWritePaths="/home/anna/inbox", InaccessiblePaths="/srv/x")
    assert sandbox_access.view(Path("/home/anna/inbox"), unit) is SandboxView.HIDDEN
    assert sandbox_access.view(Path("/srv/x/y"), unit) is SandboxView.HIDDEN


def test_a_milder_unit_hinders_less():
    free = UnitFile(live=True, values={"LoadState": ["loaded"]})
    assert sandbox_access.view(Path("/usr/share/inbox"), free) is SandboxView.WRITABLE
    for system, usr, etc in (
        ("yes", SandboxView.READ_ONLY, SandboxView.WRITABLE),
        ("full", SandboxView.READ_ONLY, SandboxView.READ_ONLY),
    ):
        unit = replace(free, values=free.values | {"ProtectSystem": [system]})
        assert sandbox_access.view(Path("/usr/x"), unit) is usr
        assert sandbox_access.view(Path("/etc/x"), unit) is etc
        assert sandbox_access.view(Path("/srv/x"), unit) is SandboxView.WRITABLE


def test_a_folder_only_read_from_may_be_read_only_but_not_hidden():
    unit = systemctl.unit("shipped")
    assert levels(sandbox_access.findings([ConfiguredPath(Path("/mnt/in"), written=False)], unit)) == ["ok"]
    assert levels(sandbox_access.findings([ConfiguredPath(Path("/home/in"), written=False)], unit)) == ["fault"]
    blocked = only(
        sandbox_access.findings(
            [ConfiguredPath(Path(path), written=True) for path in ("/mnt/a", "/srv/transcribed", "/b")], unit
        )
    )
    assert "blocks /mnt/a, /b: to the service, it is read-only." in blocked.sentence
    assert "transcribed doctor --write-drop-in" in blocked.fix
    assert "outside /tmp" in only(sandbox_access.findings([ConfiguredPath(Path("/tmp/out"), written=True)], unit)).fix


def test_the_inbox_is_written_to_only_if_recordings_leave_it():
    keeping, moving = INBOX, Inbox(path="/a", outbox="/b", after_success="move", move_to="/c")
    settings = Settings(state_dir="/state", models_dir="/models", inbox=(keeping, moving))
    assert {str(place.path) for place in sandbox_access.places(settings) if place.written} == {
        *("/state", "/srv/outbox", "/a", "/b", "/c")
    }


def test_an_inbox_and_where_its_recordings_move_must_be_one_mount():
    """Seen on systemd 252: link(2) and rename(2) between two folders of ReadWritePaths= fail with EXDEV."""
    paths = (Path("/mnt/nas/in"), Path("/mnt/nas/done"))
    wanted = [ConfiguredPath(path, written=True) for path in paths]
    apart = systemctl.unit("shipped", ReadWritePaths="-/mnt/nas/in -/mnt/nas/done")
    assert "on two mounts: no recording can be moved" in only(sandbox_access.findings(wanted, apart, [paths])).sentence
    assert levels(sandbox_access.findings(wanted, apart)) == ["ok"]
    for together in ("-/mnt/nas", "-/mnt/nas -/mnt/nas/in -/mnt/nas/done", "/mnt"):
        unit = systemctl.unit("shipped", ReadWritePaths=together)
        assert levels(sandbox_access.findings(wanted, unit, [paths])) == ["ok"]


def test_the_drop_in_opens_one_folder_for_an_inbox_and_its_archive():
    """A recording must not cross a mount when it moves."""
    moving = Inbox(path="/mnt/nas/in", outbox="/mnt/nas/out", after_success="move", move_to="/mnt/nas/done")
    settings = Settings(state_dir="/state", models_dir="/models", inbox=(INBOX, moving))
    opened = [str(path) for path in sandbox_access.to_open(settings, Path("/logs"))]
    assert opened == ["/logs", "/mnt/nas", "/srv/inbox", "/srv/outbox", "/state"]
    elsewhere = moving.model_copy(update={"move_to": Path("/done")})
    with pytest.raises(Misconfigured, match="only / holds both"):
        sandbox_access.to_open(Settings(inbox=(elsewhere,)))


def test_recordings_that_are_put_away_need_a_service_that_sees_their_writers():
    moving = Settings(inbox=(Inbox(path="/a", outbox="/b", after_success="delete"), INBOX))
    (seen,) = sandbox_access.of_writers(moving, systemctl.unit("shipped"))
    assert seen.level == "ok"
    (blind,) = sandbox_access.of_writers(moving, systemctl.unit("shipped", AmbientCapabilities=""))
    assert blind.level == "warning"
    assert "lacks CAP_LEASE: recordings in /a may be moved or deleted while written." in blind.sentence
    assert not [*sandbox_access.of_writers(Settings(inbox=(INBOX,)), systemctl.unit("shipped", AmbientCapabilities=""))]
    assert not [*sandbox_access.of_writers(moving, systemctl.unit("absent"))]
