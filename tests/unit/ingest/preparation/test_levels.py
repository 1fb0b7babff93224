import numpy as np
import pytest

from transcribed.ingest.preparation.levels import levels_of, loud_seconds_outside

SECOND = 16_000


def noise(seconds, level):
    return (level * 32768 * np.random.default_rng(1).normal(size=int(seconds * SECOND))).astype(np.int16)


def sound(*parts):
    """Levels of pieces of noise, given as seconds and level of full scale."""
    return levels_of(np.concatenate([noise(*part) for part in parts]))


def test_what_is_louder_than_the_background_and_left_out_is_counted():
    levels = sound((10, 0.001), (5, 0.05), (10, 0.001))
    assert loud_seconds_outside(levels, []) == pytest.approx(5, abs=0.2)
    assert loud_seconds_outside(levels, [(10 * SECOND, 15 * SECOND)]) == 0.0
    assert loud_seconds_outside(levels, [(12 * SECOND, 20 * SECOND)]) == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("level", [0.0, 0.001, 0.3])
def test_a_steady_sound_is_its_own_background(level):
    assert loud_seconds_outside(sound((20, level)), []) == 0.0


def test_what_nobody_can_hear_is_not_loud():
    assert loud_seconds_outside(sound((10, 0.0), (5, 0.0005), (10, 0.0)), []) == 0.0


def test_nothing_has_no_loud_seconds():
    assert loud_seconds_outside(b"", []) == 0.0
