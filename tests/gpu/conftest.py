import pytest

from tests.gpu.place import Place, lacking


@pytest.fixture(scope="session")
def place():
    """The first card, or none, and why."""
    if reason := lacking():
        pytest.skip(reason)
    return Place()
