import pytest

from transcribed.core.backoff import backoff_seconds


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1.0), (1, 2.0), (5, 32.0), (6, 60.0), (10**6, 60.0)])
def test_a_pause_doubles_until_it_is_the_longest(failures, seconds):
    assert backoff_seconds(failures, 1.0, 60.0) == seconds
