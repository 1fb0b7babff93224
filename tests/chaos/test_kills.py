"""Ends of the daemon and its children at random moments: nothing is lost, doubled, half-written or swapped.

The seed is printed; `TRANSCRIBED_SEED=... make test-slow` runs the same dice again (the machine's own timing stays).
"""

import os
import random
import time

import pytest

from tests.chaos.kills import ENDS, KILLS, Chaos, Mixed
from tests.support.site import Site


@pytest.mark.parametrize(
    ("files", "count", "kinds", "hurry"),
    [
        pytest.param(20, 4, KILLS, 0.3, id="short"),
        pytest.param(200, 40, KILLS, 0.3, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
        pytest.param(300, 500, ENDS, 0.8, id="five hundred", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)
def test_nothing_is_lost_doubled_half_written_or_swapped_however_often_it_ends(tmp_path, files, count, kinds, hurry):
    """`hurry` is the share of ends that come before it has done anything."""
    usual = 1 if files == 20 else time.time()  # the default run does the same each time
    seed = int(os.environ.get("TRANSCRIBED_SEED", usual))
    print(f"seed {seed}, {files} files, {count} ends")
    chaos = Chaos(Site(tmp_path), random.Random(seed), files)
    chaos.run(count, kinds, hurry)
    chaos.check()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_is_lost_whatever_is_to_become_of_the_recordings(tmp_path):
    """As above, for recordings that are kept, moved and deleted, with channels, and with sidecars to be mended."""
    seed = int(os.environ.get("TRANSCRIBED_SEED", time.time()))
    print(f"seed {seed}")
    chaos = Mixed(Site(tmp_path), random.Random(seed), 150)
    chaos.run(60, ENDS, 0.3)
    chaos.check()
