"""What a batch needs, learned from batches: against cards whose law is known to the test alone."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcribed.core.telemetry import BatchMemorySample
from transcribed.pipeline.scheduling.memory_model import GROWTH, SAFETY, SMALL, MemoryModel, nonnegative_least_squares
from transcribed.recognition.worker_factory import CALIBRATION

LARGEST = 30.0  # padded seconds, of the calibration
MB = 1e6


def law(a, b, c, d=0.0):
    return lambda rows, longest: a + b * rows * longest + c * rows * longest * longest + d * rows


def sampled(true, rows, longest):
    return BatchMemorySample(rows * longest, longest, int(true(rows, longest)))


laws = st.builds(law, st.floats(0, 500 * MB), st.floats(0.1 * MB, 20 * MB), st.floats(0, 1 * MB), st.floats(0, 5 * MB))
shapes = st.tuples(st.integers(1, 300), st.floats(0.2, 30.0))


@given(laws, st.lists(shapes, min_size=1, max_size=30))
@example(law(0.0, 100_000.0, 20_026.0, 64.0), [(1, 0.5)])
def test_few_batches_tell_what_every_other_needs(true, others):
    need = MemoryModel(sampled(true, *shape) for shape in CALIBRATION)
    for rows, longest in others:
        wanted = SAFETY * true(rows, longest)
        assert need.bytes(rows, longest) >= 0.99 * wanted
        if rows * longest <= LARGEST:
            assert need.bytes(rows, longest) <= 1.01 * wanted


@given(laws, st.lists(st.tuples(shapes, st.floats(0.95, 1.05)), min_size=1, max_size=60))
def test_no_batch_like_a_measured_one_is_promised_less_than_it_took(true, measured):
    need = MemoryModel(sampled(true, *shape) for shape in CALIBRATION)
    for (rows, longest), noise in measured:
        took = BatchMemorySample(rows * longest, longest, int(true(rows, longest) * noise))
        need.add(took)
        assert need.bytes(rows, longest) >= took.bytes


def test_one_batch_that_stands_out_does_not_multiply_the_need_of_others():
    need = MemoryModel(sampled(law(50 * MB, 10 * MB, 0), *shape) for shape in CALIBRATION)
    usual = need.bytes(1, 30.0)
    need.add(BatchMemorySample(4.0, 4.0, int(1200 * MB)))
    assert need.bytes(1, 4.0) >= 1200 * MB
    assert need.bytes(1, 30.0) < usual + 1600 * MB


def test_a_device_that_needs_more_than_it_did_is_learned_anew():
    need = MemoryModel(sampled(law(0, 5 * MB, 0), *shape) for shape in CALIBRATION)
    for shape in CALIBRATION:
        need.add(sampled(law(0, 10 * MB, 0), *shape))
    assert need.bytes(10, 3.0) == pytest.approx(SAFETY * 300 * MB, rel=0.01)


def test_no_batch_is_trusted_to_be_much_larger_than_the_largest_measured():
    need = MemoryModel(sampled(law(0, MB, 0), *shape) for shape in CALIBRATION)
    assert need.extrapolation_limit_seconds == GROWTH * 30
    assert MemoryModel().extrapolation_limit_seconds == 0


def test_samples_of_one_shape_are_kept_once():
    """Years of batches do not pile up."""
    need = MemoryModel()
    for n in range(5000):
        need.add(BatchMemorySample(100.0 + n % 7, 10.0, 1000))
    assert len(need.samples) <= 2


def test_what_shrinks_with_size_is_not_believed():
    """A negative coefficient would promise that some large batch needs nothing."""
    rows = [(1.0, p, p * p, 1.0) for p in (1.0, 2.0, 4.0, 8.0)]
    assert min(nonnegative_least_squares(rows, [100.0, 90.0, 80.0, 70.0])) >= 0


def peak(rows, longest):
    """As measured on an H200: small batches peak in the output layer, large ones in the encoder."""
    frames = rows * (longest + 0.24)
    return max(0.3 * frames, min(1.8 * frames, 54) + 0.15 * frames) * MB


def test_a_device_that_peaks_elsewhere_for_small_batches_is_learned_too():
    need, dice = MemoryModel(sampled(peak, *shape) for shape in CALIBRATION), random.Random(0)
    for _ in range(200):
        rows, longest = int(512 ** dice.random()), 0.3 * 100 ** dice.random()
        if rows * longest <= need.extrapolation_limit_seconds:
            assert need.bytes(rows, longest) >= peak(rows, longest) - 0.05 * SMALL
            need.add(sampled(peak, rows, longest))
    for rows, longest in [(256, 10.0), (512, 10.0), (200, 30.0), (512, 2.0)]:
        assert peak(rows, longest) <= need.bytes(rows, longest) <= 1.1 * peak(rows, longest)
