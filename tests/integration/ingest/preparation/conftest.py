"""A preparer of one inbox and its spool, with the shipped detector."""

import pytest

from tests.support.fakes import job
from transcribed.ingest.preparation.preparer import PreparationLimits, Preparer
from transcribed.ingest.preparation.vad import Vad
from transcribed.ingest.scanner import source_of
from transcribed.recognition import model_store


@pytest.fixture(scope="session")
def vad():
    return Vad(model_store.SHIPPED / "vad")


@pytest.fixture
def prepare(tmp_path, vad):
    (tmp_path / "in").mkdir()
    (tmp_path / "spool").mkdir()

    def prepare(name="a.wav", limits=None, spool=tmp_path / "spool", change=lambda path: None, usage=None):
        path = tmp_path / "in" / name
        source = source_of(path.parent, path, path.stat())
        change(path)
        beats = []
        usages = {path.parent: usage} if usage else {}
        made = Preparer(spool, vad, limits or PreparationLimits(), usages)(job(source=source), lambda: beats.append(1))
        assert beats
        return made

    prepare.inbox = tmp_path / "in"
    return prepare
