import pytest

from tests.systemd import container
from tests.systemd.service import LENT, Service, install


@pytest.fixture(scope="session")
def machine():
    """A booted machine with nothing of ours; one for all tests."""
    if reason := _lacking():
        pytest.skip(f"no container: {reason}")
    machine = container.Machine(LENT)
    machine.make()
    try:
        machine.boot()
        yield machine
    finally:
        machine.throw_away()


def _lacking() -> str | None:
    if reason := container.lacking():
        return reason
    return None if container.same_python(container.tree()) else "Debian's Python is of another version than ours"


@pytest.fixture(scope="session")
def installed(machine):
    install(machine)
    return machine


@pytest.fixture
def service(installed):
    service = Service(installed)
    service.reset()
    service.configure()
    return service


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What fails shows the journal of the unit."""
    report = yield
    service = item.funcargs.get("service")
    if report.failed and service:
        report.sections.append(("journal of the unit", service.journal()))
    return report


def pytest_terminal_summary(terminalreporter):
    """One line for all that a machine without containers skips; `make test-systemd` hides the others."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())]
    for reason in sorted({reason for reason in reasons if "no container: " in reason}):
        terminalreporter.write_line(f"{reasons.count(reason)} tests under systemd were left out.  {reason}")
