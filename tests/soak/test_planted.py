"""The leak that is planted: one per hundred calls."""

import importlib.util
import os

import pytest

from tests.soak.place import PLANTED


@pytest.fixture
def planted():
    spec = importlib.util.spec_from_file_location("planted", PLANTED / "sitecustomize.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for descriptor in module.kept:
        if isinstance(descriptor, int):
            os.close(descriptor)


def test_one_descriptor_is_kept_per_hundred_files(planted):
    done = planted.leaking(lambda n: n, planted.descriptor)
    before = len(os.listdir("/proc/self/fd"))
    assert [done(n) for n in range(250)] == list(range(250))
    assert len(os.listdir("/proc/self/fd")) == before + 2


def test_one_mebibyte_is_kept_per_hundred_files(planted):
    done = planted.leaking(lambda n: n, planted.memory)
    for n in range(250):
        done(n)
    assert sum(map(len, planted.kept)) == 2 * 2**20
