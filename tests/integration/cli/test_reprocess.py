"""Which recordings would be made otherwise now: a real ledger, real files."""

from dataclasses import replace

import pytest

from transcribed.cli import reprocess
from transcribed.config.inbox import Inbox
from transcribed.core.provenance import made_with
from transcribed.core.types import ModelFacts
from transcribed.ingest.preparation import overrides
from transcribed.ingest.scanner import source_of
from transcribed.state.ledger import Ledger


class Archive:
    """An inbox whose recordings are done, with what they were made with."""

    def __init__(self, root):
        (root / "in").mkdir()
        self.inbox = Inbox(path=root / "in", outbox=root / "out")
        self.ledger = Ledger(root / "ledger.db")
        self.version = "v1"

    def done(self, name):
        path = self.inbox.path / name
        path.write_bytes(b"sound of " + name.encode())
        source = source_of(self.inbox.path, path, path.stat())
        self.ledger.add(source, name, 1.0)
        job = self.ledger.activate(self.inbox.path, 1.0, 1.0)
        self.ledger.done(job.id, 2.0, made_with(overrides.resolve_options(source, self.usage)))

    @property
    def usage(self):
        return replace(self.inbox.defaults, model=ModelFacts(self.version))

    def changed(self):
        found = reprocess.changed(self.ledger, {self.inbox.path: self.inbox}, {self.inbox.path: self.usage})
        return {one.path.name: (one.differences, one.there) for one in found}


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path)
    for name in ("a.wav", "b.wav"):
        archive.done(name)
    return archive


def test_nothing_is_to_be_made_anew_where_nothing_changed(archive):
    assert archive.changed() == {}


def test_new_hotwords_concern_a_whole_inbox_and_a_sidecar_only_its_recording(archive):
    (archive.inbox.path / "a.wav.transcribe.toml").write_text('language = "en"\n')
    assert archive.changed() == {"a.wav": (("language",), True)}
    (archive.inbox.path / "hotwords.txt").write_text("word\n")
    assert archive.changed() == {"a.wav": (("language", "hotwords"), True), "b.wav": (("hotwords",), True)}


def test_other_files_of_the_same_model_concern_all(archive):
    archive.version = "v2"
    assert set(archive.changed()) == {"a.wav", "b.wav"}
    assert archive.changed()["a.wav"] == (("model files",), True)


def test_a_recording_that_has_left_or_changed_is_listed_as_such(archive):
    archive.version = "v2"
    (archive.inbox.path / "a.wav").unlink()
    (archive.inbox.path / "b.wav").write_bytes(b"another sound altogether")
    assert {name: there for name, (_, there) in archive.changed().items()} == {"a.wav": False, "b.wav": False}


def test_what_is_done_is_queued_again_only_where_that_is_asked(archive):
    path = archive.inbox.path / "a.wav"
    assert not archive.ledger.retry(path)
    assert archive.ledger.retry(path, done=True)
    assert archive.ledger.activate(archive.inbox.path, 9.0, 1.0).source.path == path


def test_wishes_that_cannot_be_read_now_are_passed_over(archive):
    archive.version = "v2"
    (archive.inbox.path / "a.wav.transcribe.toml").write_text("what")
    assert set(archive.changed()) == {"b.wav"}
