"""Continuous integrate-and-fire, against its definition: frame by frame, as the paper has it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribed.recognition.models.cif import fires, integrate

FRAMES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30)
TAIL = 0.45


def by_definition(weights, tail):
    """Which frames make each token, and how much of them; one frame after the other."""
    tokens, shares, filled = [], {}, 0.0
    for n, weight in enumerate([*weights, tail]):
        if filled + weight >= 1:
            shares[n] = 1 - filled
            tokens.append(shares)
            shares = {n: filled + weight - 1}
            filled = filled + weight - 1
        else:
            shares[n] = weight
            filled += weight
    return tokens


def row(weights):
    """Each frame says its own number, so that a token tells what it is made of."""
    return torch.eye(len(weights))[None], torch.tensor([weights])


def clear(weights):
    """Whether no sum is so near to a whole number that rounding decides."""
    sums = torch.tensor([*weights, TAIL], dtype=torch.float64).cumsum(0)
    return bool(((sums - sums.round()).abs() > 1e-4).all())


@settings(deadline=None)
@given(FRAMES.filter(clear))
def test_a_token_is_made_of_the_frames_whose_weights_fill_it(weights):
    sounds, counts = integrate(*row(weights), tail=TAIL)
    wanted = by_definition(weights, TAIL)
    assert counts.tolist() == [len(wanted)]
    for found, shares in zip(sounds[0], wanted, strict=True):
        assert found.tolist() == pytest.approx([shares.get(n, 0.0) for n in range(len(weights))], abs=1e-4)


@settings(deadline=None)
@given(st.lists(FRAMES.filter(clear), min_size=2, max_size=4))
def test_rows_do_not_know_of_each_other(rows):
    longest = max(map(len, rows))
    hidden = torch.randn(len(rows), longest, 3, generator=torch.Generator().manual_seed(1))
    weights = torch.zeros(len(rows), longest)
    for n, one in enumerate(rows):
        weights[n, : len(one)] = torch.tensor(one)
        hidden[n, len(one) :] = 0
    sounds, counts = integrate(hidden, weights, tail=TAIL)
    for n, one in enumerate(rows):
        alone, (count,) = integrate(hidden[n : n + 1, : len(one)], torch.tensor([one]), tail=TAIL)
        assert counts[n] == count
        torch.testing.assert_close(sounds[n, :count], alone[0], atol=1e-4, rtol=0)


def test_without_a_tail_half_a_token_is_one():
    hidden, weights = row([0.7, 0.7, 0.2])
    assert integrate(hidden, weights, tail=0)[1].tolist() == [2]
    assert integrate(hidden, weights - 0.1, tail=0)[1].tolist() == [1]


def test_weights_that_are_not_finite_are_an_error():
    hidden, weights = row([0.5, float("nan")])
    with pytest.raises(FloatingPointError):
        integrate(hidden, weights, tail=TAIL)


def test_a_token_fires_where_scaled_weights_sum_past_a_whole_number():
    weights = torch.tensor([[0.0, 0.2, 0.2, 0.0, 0.1, 0.3], [0.4, 0.4, 0.0, 0.0, 0.0, 0.0]])
    assert fires(weights, torch.tensor([2, 1]), longest=2)[0].tolist() == [2, 5]
    assert fires(weights, torch.tensor([4, 2]), longest=4)[1, :2].tolist() == [0, 1]


@settings(deadline=None)
@given(FRAMES.filter(lambda weights: sum(weights) > 0.1), st.integers(1, 8))
def test_fires_are_in_the_row_and_go_on(weights, count):
    places = fires(torch.tensor([weights]), torch.tensor([count]), longest=count)[0].tolist()
    assert places == sorted(places)
    assert all(0 <= place < len(weights) for place in places)


def test_rows_without_weight_or_tokens_do_no_harm():
    assert fires(torch.zeros(2, 5), torch.tensor([0, 0]), longest=0).shape == (2, 0)
    sounds, counts = integrate(torch.ones(2, 5, 3), torch.zeros(2, 5), tail=TAIL)
    assert (sounds.shape, counts.tolist()) == ((2, 0, 3), [0, 0])
