"""How long tests wait: every limit of time goes through `patient`, so that a busy machine makes nothing fail.

On such a machine set TEST_PATIENCE, say to 5.  A test that passes never waits longer for it.
"""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))


def patient(seconds: float) -> float:
    return seconds * PATIENCE
