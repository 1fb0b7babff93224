"""SECURITY.md names the tests that hold its promises: they must exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_threat_model_names_a_test_that_exists():
    page = (ROOT / "SECURITY.md").read_text()
    rows = page.split("| threat |")[1].split("\n\n")[0].splitlines()[2:]
    named = [re.search(r"`(tests/[\w/]+\.py)::(test_\w+)` \|$", row) for row in rows]
    assert all(named), rows
    missing = [match[2] for match in named if f"def {match[2]}(" not in (ROOT / match[1]).read_text()]
    assert missing == []
