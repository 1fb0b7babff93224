import pytest

from transcribed.core.quantities import gib, of_total, size

GIB = 2**30


def test_bytes_are_worded_in_the_unit_that_says_most():
    assert [gib(1.55 * GIB), gib(-1), size(2 * GIB), size(GIB - 1), size(3 * 2**20)] == [
        "1.6 GiB",
        "0.0 GiB",
        "2.0 GiB",
        "1024 MiB",
        "3 MiB",
    ]


@pytest.mark.parametrize(("limit", "bytes"), [(0.1, 100), (0.0, 0), (1, 1), (700, 700)])
def test_a_limit_below_one_is_a_share(limit, bytes):
    assert of_total(limit, 1000) == bytes
