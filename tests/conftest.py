"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os

os.environ["NO_COLOR"] = "1"  # before structlog looks whether the tests were started from a terminal
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # before PyTorch reads it: more threads than cores must not wait by spinning

from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.patience import patient
from tests.support.site import Site, kill_tree
from tests.support.speech import digits, save, say

TIMEOUT_SECONDS = 300.0  # of one test, as in pyproject.toml

settings.register_profile("patient", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if patient(1.0) != 1.0:
        os.environ.setdefault("PYTEST_TIMEOUT", str(patient(TIMEOUT_SECONDS)))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def daemon(site):
    """A running daemon on `site`; whatever is left of it at the end is killed."""
    process = site.start()
    yield process
    kill_tree(process)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory):
    """Recordings of a spoken number, made once: `spoken(407)` is a WAV file that says four zero seven."""
    folder = tmp_path_factory.mktemp("spoken")

    def make(number: int | str, suffix: str = ".wav") -> Path:
        path = folder / f"{number}{suffix}"
        if not path.exists():
            save(path, say(digits(number)))
        return path

    return make
