import pytest

pytest.register_assert_rewrite("tests.chaos.kills", "tests.chaos.one_recording")  # so that what differs is shown
