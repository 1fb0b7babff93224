"""What the tests of outboxes and of sources begin with."""

import pytest

from transcribed.ingest.scanner import source_of


@pytest.fixture
def recording(tmp_path):
    inbox = tmp_path / "in"
    (inbox / "sub").mkdir(parents=True)
    path = inbox / "sub" / "a.wav"
    path.write_bytes(b"sound")
    return source_of(inbox, path, path.stat())
