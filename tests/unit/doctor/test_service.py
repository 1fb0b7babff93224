"""What the doctor makes of the unit, the daemon and its alerts."""

from dataclasses import replace

import pytest

from tests.support import systemctl
from transcribed.config.settings import Settings
from transcribed.doctor import service
from transcribed.doctor.unit_file import UnitFile
from transcribed.state.status_document import STATUS_VERSION


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


@pytest.mark.parametrize(
    ("case", "expected"),
    [("active", ["ok"]), ("shipped", ["warning", "warning"]), ("failed", ["fault", "note"]), ("absent", ["warning"])],
)
def test_the_state_of_the_unit_is_told(case, expected):
    assert levels(service.of_unit(systemctl.unit(case))) == expected


def test_a_unit_that_changed_since_it_was_read_is_told_of():
    assert levels(service.of_unit(systemctl.unit("active", NeedDaemonReload="yes"))) == ["warning", "ok"]


def test_without_systemd_nothing_is_said_of_how_it_runs():
    assert levels(service.of_unit(replace(systemctl.unit("failed"), live=False))) == ["note"]


def daemon(**changed):
    said = {"schema_version": STATUS_VERSION, "alive": True, "at": "2026-11-20T09:00:00+00:00", "summary": "1 running"}
    return said | {"troubles": []} | changed


NINE = 1795165200.0  # 2026-11-20T09:00:00Z


def test_what_the_daemon_says_of_itself_is_passed_on():
    assert levels(service.of_daemon(daemon(), NINE + 1)) == ["ok"]
    assert levels(service.of_daemon(daemon(troubles=["/srv/inbox cannot be read"]), NINE + 1)) == ["ok", "warning"]
    assert levels(service.of_daemon(daemon(alive=False), NINE)) == ["note"]
    assert levels(service.of_daemon(None, NINE, exists=True)) == ["warning"]
    assert levels(service.of_daemon(None, NINE)) == ["note"]


def test_a_daemon_that_runs_and_says_nothing_is_a_fault():
    assert levels(service.of_daemon(daemon(), NINE + 61)) == ["fault"]


class Alerted:
    """Settings with channels for alerts."""

    def __init__(self, *urls, credentials=()):
        self.alerts = self
        self.urls, self.credentials = urls, credentials


def test_that_nobody_is_told_of_trouble_is_noted():
    assert levels(service.of_alerts(Settings(), UnitFile())) == ["note"]
    assert levels(service.of_alerts(Alerted(), UnitFile())) == ["note"]


@pytest.mark.parametrize(
    ("network", "families", "level"),
    [
        ("no", "AF_UNIX AF_INET AF_INET6", "ok"),
        ("no", "~AF_PACKET", "ok"),
        ("no", "~", "ok"),
        ("no", "", "ok"),
        ("no", "AF_UNIX", "fault"),
        ("no", "~AF_INET AF_INET6", "fault"),
        ("yes", "AF_INET", "fault"),
    ],
)
def test_alerts_that_the_unit_keeps_in_are_a_fault(network, families, level):
    unit = systemctl.unit("active", PrivateNetwork=network, RestrictAddressFamilies=families)
    assert levels(service.of_alerts(Alerted("mailto://"), unit)) == [level]
    assert levels(service.of_alerts(Alerted(credentials=("mail",)), unit)) == [level]
