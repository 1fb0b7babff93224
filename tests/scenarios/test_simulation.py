"""The daemon's decisions on a simulated card, beside a sibling service that takes and returns memory as it likes."""

import functools

import pytest

from tests.benchmarks import traces
from tests.benchmarks.run import Run
from tests.benchmarks.simulation import beside_a_long_file, compared, figures, percentile
from tests.benchmarks.ways import WAYS
from transcribed.recognition.worker_factory import CALIBRATION

GROWTH = 2.0  # as in memory_model.py
SEEDS = (1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3)))
MORNING = {"first_hour": 8, "hours": 2, "load": 3.0}  # five times the average, with a burst and an archive


@functools.cache
def played(scene, seed):
    """Ours, until nothing waits."""
    return Run(WAYS["ours"], SCENES[scene](seed), seed).until_end(grace=4 * traces.HOUR)


SCENES = {
    "morning": lambda seed: traces.day(seed, **MORNING),
    "growth": traces.growth,
    "squeeze": traces.squeeze,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scene", SCENES)
def test_every_segment_is_recognized_exactly_once(scene, seed):
    run = played(scene, seed)
    assert run.account.answered == sum(len(file.segments) for file in run.trace.files)
    assert run.account.twice == run.account.lost == 0
    assert len(run.account.turnarounds) == len(run.trace.files)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scene", SCENES)
def test_what_does_not_fit_is_not_tried(scene, seed):
    run = played(scene, seed)
    assert run.account.ooms_alone == 0
    assert run.account.ooms <= 1  # memory was taken within a batch
    assert run.account.not_begun <= 0.05 * run.account.batches  # memory was taken between decision and batch
    assert min(run.device.predicted) >= 1.0  # expected need, in parts of what it was
    assert percentile(run.device.predicted, 50) <= 1.06


@pytest.mark.parametrize("seed", SEEDS)
def test_no_batch_is_more_than_twice_as_large_as_any_before_it(seed):
    largest = max(rows * seconds for rows, seconds in CALIBRATION)
    for padded_seconds in played("growth", seed).device.padded_seconds:
        assert padded_seconds <= GROWTH * largest + 1e-6
        largest = max(largest, padded_seconds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scene", SCENES)
def test_others_find_free_what_was_promised_to_them(scene, seed):
    found = figures(played(scene, seed))
    assert found["asked"] > 40
    assert found["broken"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backlog_is_done_nearly_as_fast_as_with_memory_needs_known(seed):
    wanted = {name: WAYS[name] for name in ("ours", "oracle", "oracle, sorted")}
    runs = compared(traces.backlog(seed, 150.0), seed, ways=wanted)
    speed = {name: figures(run)["throughput"] for name, run in runs.items()}
    assert speed["ours"] >= 0.95 * speed["oracle"]
    assert speed["ours"] >= 0.85 * speed["oracle, sorted"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_file_hardly_waits_for_a_long_one(seed):
    found = beside_a_long_file(seed)
    assert found["p99"] <= 2 * found["p99_idle"]
    assert found["p99_own"] <= 2.0  # two batches of a second are in hand


def test_the_same_seed_gives_the_same_figures():
    again = Run(WAYS["ours"], SCENES["morning"](1), 1).until_end(grace=4 * traces.HOUR)
    assert figures(again) == figures(played("morning", 1))
