"""Fixtures that every room's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import Site, kill_tree
from tests.support.speech import digits, save, say


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
