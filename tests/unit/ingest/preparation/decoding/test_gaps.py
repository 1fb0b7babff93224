import numpy as np
import pytest

from transcribed.ingest.preparation.decoding.gaps import REACH, GapFiller

RATE = 16_000


def sound(seconds, level=1000):
    return np.random.default_rng(1).integers(-level, level, (1, round(seconds * RATE))).astype(np.int16)


def filled(*parts):
    """What comes out for blocks, and gaps given as numbers of samples."""
    filler, out = GapFiller(), []
    for part in parts:
        if isinstance(part, int):
            filler.gap(part)
        else:
            out += filler.add(part)
    out += filler.rest()
    return np.concatenate(out, axis=1)


def test_blocks_pass_unchanged():
    blocks = [sound(1.0), sound(0.3), sound(1.0)]
    np.testing.assert_array_equal(filled(*blocks), np.concatenate(blocks, axis=1))


def test_a_short_gap_is_put_where_it_is_quiet():
    """A gap in the middle of a word goes before the word, and no sample is lost."""
    before, after = sound(1.0), sound(1.0)
    before[:, -3000:-2000] = 0
    out = filled(before, RATE // 2, after)
    silent = out[0, RATE - 3000 : RATE - 2000 + RATE // 2]
    assert not silent.any()
    np.testing.assert_array_equal(out[:, : RATE - 3000], before[:, :-3000])
    np.testing.assert_array_equal(out[:, RATE - 2000 + RATE // 2 :], np.concatenate((before[:, -2000:], after), axis=1))


def test_a_short_gap_moves_no_further_than_its_reach():
    before, after = sound(1.0), sound(1.0)
    before[:, : RATE // 2] = 0
    out = filled(before, RATE // 2, after)
    np.testing.assert_array_equal(out[:, : RATE - REACH], before[:, : RATE - REACH])


def test_a_long_gap_stays_where_it_is():
    before, after = sound(1.0), sound(1.0)
    before[:, -3000:-2000] = 0
    out = filled(before, 3 * RATE, after)
    np.testing.assert_array_equal(out, np.concatenate((before, np.zeros((1, 3 * RATE), np.int16), after), axis=1))


@pytest.mark.parametrize("length", [0, 1, 160, 161, 4000])
def test_no_sample_is_lost_around_a_gap_beside_a_short_block(length):
    out = filled(sound(0.5), 5000, sound(1.0)[:, :length], 7000, sound(0.5))
    assert out.shape == (1, RATE + 12_000 + length)
    assert np.count_nonzero(out) == sum(map(np.count_nonzero, (sound(0.5), sound(1.0)[:, :length], sound(0.5))))


def test_gaps_at_both_ends_are_silence():
    out = filled(100, sound(0.5), 200)
    assert not out[:, :100].any()
    assert not out[:, -200:].any()
    assert out.shape[1] == RATE // 2 + 300


def test_silence_has_as_many_channels_as_the_sound_behind_it():
    both = np.concatenate((sound(1.0), sound(1.0)))
    assert filled(3000, both, 40_000, both).shape == (2, 2 * RATE + 43_000)


def test_an_hour_of_silence_takes_no_memory():
    filler = GapFiller()
    filler.gap(3600 * RATE)
    blocks = list(filler.add(sound(1.0)))
    assert len({block.__array_interface__["data"][0] for block in blocks}) == 1


def test_all_channels_are_parted_at_the_same_place():
    loud, quiet = sound(1.0), np.zeros((1, RATE), np.int16)
    both = np.concatenate((loud, quiet))
    assert filled(both, 4000, both).shape == (2, 2 * RATE + 4000)
