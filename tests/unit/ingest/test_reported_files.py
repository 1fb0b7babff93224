"""Which files are reported once more: those that came back, and failed ones whose rights changed."""

import os
from pathlib import Path

import pytest

from tests.support.fakes import source
from transcribed.ingest.reported_files import ReportedFiles

A = source("a.wav")
FOLDER = str(A.path.parent)


def status(changed_at):
    return os.stat_result([0] * 10, {"st_ctime_ns": int(changed_at * 1e9)})


def walked(known, *names, folder=(1, 2)):
    known.end_walk({str(source(name).path) for name in names}, {FOLDER: folder})


def test_another_version_of_a_known_file_is_not_known():
    known = ReportedFiles([A])
    assert A in known
    assert source("a.wav", size=A.size + 1) not in known
    assert source("b.wav") not in known


def test_a_file_that_a_walk_has_not_seen_is_forgotten():
    known = ReportedFiles([A, source("b.wav")])
    walked(known, "b.wav")
    assert A not in known
    assert source("b.wav") in known


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [((1, 2), (1, 2), True), ((1, 2), (9, 2), False), ((1, 2), None, False), (None, (1, 2), False)],
    ids=["the same folder", "another disk mounted on it", "not read now", "not read before"],
)
def test_only_the_very_folder_of_the_last_walk_counts(before, now, same):
    known = ReportedFiles()
    known.end_walk(set(), {FOLDER: before} if before else {})
    assert known.was_listed(FOLDER, now) is same


def test_a_failed_file_whose_status_changes_is_tried_again_once():
    known = ReportedFiles([A], {A.path: 100.0})
    assert not known.has_changed_since_failure(A.path, status(99))
    assert known.has_changed_since_failure(A.path, status(101))
    assert not known.has_changed_since_failure(A.path, status(101))
    assert known.has_changed_since_failure(A.path, status(102))


def test_a_clock_that_is_ahead_costs_one_try():
    """The share's clock is an hour ahead of ours, in which the failures are stamped."""
    known = ReportedFiles([A])
    known.fail(A.path, 100.0)
    assert known.has_changed_since_failure(A.path, status(3700))
    known.fail(A.path, 200.0)
    assert not known.has_changed_since_failure(A.path, status(3700))


def test_a_folder_that_failed_is_told_once_it_is_read():
    known = ReportedFiles([A], {Path(FOLDER): 100.0})
    assert known.end_walk({FOLDER}, {}) == []
    assert known.end_walk(set(), {FOLDER: (1, 2)}) == [Path(FOLDER)]
    assert known.end_walk(set(), {FOLDER: (1, 2)}) == []


def test_a_file_that_has_not_failed_may_change_its_status():
    assert not ReportedFiles([A]).has_changed_since_failure(Path(A.path), status(1e9))
