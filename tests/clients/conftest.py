"""One daemon and its servers for all tests of upload programs."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.clients import machine
from tests.clients.installation import Installation
from tests.clients.servers import Servers

LOG_LINES = 60


@pytest.fixture(scope="session")
def folder():
    """A folder that other users may enter, which pytest's own are not."""
    machine.need("setpriv", "useradd")
    machine.make_users()
    folder = Path(tempfile.mkdtemp(prefix="clients-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def installation(folder):
    installation = Installation(folder)
    daemon = installation.start()
    installation.seen.start()
    yield installation
    installation.seen.end()
    daemon.terminate()


@pytest.fixture(scope="session")
def servers(folder, installation):
    servers = Servers(folder / "servers", folder / "in", installation.sources)
    yield servers
    servers.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """What fails shows the end of the daemon's log."""
    report = yield
    installation = item.funcargs.get("installation")
    if report.failed and installation:
        with contextlib.suppress(OSError):
            report.sections.append(("log", "\n".join(installation.log.read_text().splitlines()[-LOG_LINES:])))
    return report
