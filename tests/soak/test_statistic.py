"""How often the statistic finds growth where there is none, and whether it finds the planted leaks: on made-up series,
and on those of real runs.
"""

import csv
import random
from pathlib import Path

import pytest

from tests.soak import synthetic
from tests.soak.series import FLOOR, RECOGNIZER_FILES
from tests.soak.statistic import ALPHA, judge, kendall, levels, sen_slope

HOUR = (1350, 12.0)  # samples after the warm-up, and files between two: 360 files a minute, every 2 s
FIVE_MINUTES = (112, 12.0)
SERIES_OF_A_RUN = 30
RECORDED = Path(__file__).with_name("recorded")


def judged(points):
    return judge([levels(points)], FLOOR, ALPHA / SERIES_OF_A_RUN)


def share_found(make, shape, runs=40):
    dice = random.Random(3)
    return sum(judged(make(*shape, dice)).grows for _ in range(runs)) / runs


@pytest.mark.parametrize("kind", synthetic.RESTING)
def test_an_hour_that_rests_is_never_said_to_grow(kind):
    assert share_found(synthetic.RESTING[kind], HOUR) == 0


@pytest.mark.parametrize("kind", synthetic.RESTING)
def test_five_minutes_that_rest_are_hardly_ever_said_to_grow(kind):
    assert share_found(synthetic.RESTING[kind], FIVE_MINUTES, runs=200) <= 0.05


@pytest.mark.parametrize("kind", synthetic.LEAKS)
def test_an_hour_always_shows_the_planted_leak(kind):
    assert share_found(synthetic.LEAKS[kind], HOUR) == 1


def test_five_minutes_mostly_show_a_leak_of_descriptors():
    assert share_found(synthetic.LEAKS["descriptors"], FIVE_MINUTES, runs=200) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", synthetic.RESTING)
def test_thousands_of_hours_that_rest_are_never_said_to_grow(kind):
    assert share_found(synthetic.RESTING[kind], HOUR, runs=20_000) == 0


@pytest.mark.parametrize(
    ("run", "role", "measure", "grows"),
    [
        ("clean", "daemon", "memory_kib", False),
        ("clean", "daemon", "descriptors", False),
        ("clean", "recognizer", "memory_kib", False),
        ("clean", "recognizer", "descriptors", False),
        ("memory", "daemon", "memory_kib", True),
        ("memory", "daemon", "descriptors", False),
        ("descriptors", "daemon", "memory_kib", False),
        ("descriptors", "daemon", "descriptors", True),
    ],
)
def test_of_recorded_runs_only_the_leak_is_found(run, role, measure, grows):
    assert judged(recorded(run, role, measure)).grows is grows


def recorded(run, role, measure):
    """What was sampled of a process after the warm-up: 5 to 25 minutes, 360 files a minute and about that."""
    settled = RECOGNIZER_FILES if role == "recognizer" else 0
    scale = 1024 if measure == "memory_kib" else 1
    with (RECORDED / f"{run}.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["role"] == role and int(row["handled"]) >= settled]
    return [(int(row["handled"]) / 100, int(row[measure]) / scale) for row in rows]


def test_kendall_of_ten_rising_values_is_as_tabulated():
    """S = 45, Var = 125, z = 44 / 11.18 = 3.935."""
    assert kendall([[(n, n) for n in range(10)]]) == pytest.approx(4.15e-5, rel=0.01)


def test_ties_make_the_variance_of_kendall_smaller():
    """S = 4, Var = (156 - 36) / 18, z = 3 / 2.58 = 1.162."""
    assert kendall([[(0, 1), (1, 1), (2, 2), (3, 2)]]) == pytest.approx(0.1226, abs=1e-3)


def test_what_falls_or_never_changes_has_no_trend():
    assert kendall([[(n, -n) for n in range(10)]]) == 1
    assert kendall([[(n, 5) for n in range(10)]]) == 1


def test_one_spike_does_not_change_the_slope():
    assert sen_slope([[(n, 3 * n + (1000 if n == 4 else 0)) for n in range(9)]]) == 3


def test_only_points_of_the_same_process_are_compared():
    processes = [[(x, 100 - 10 * n + x) for x in range(4)] for n in range(4)]
    assert sen_slope(processes) == 1
    assert kendall(processes) < 1e-4


def test_too_few_levels_decide_nothing():
    found = judge([[(n, n) for n in range(7)]], FLOOR, ALPHA)
    assert not found.grows
    assert not found.enough


def test_levels_are_medians_over_equal_numbers_of_files():
    points = [(n / 10, 5.0 if n % 10 else 500.0) for n in range(80)]
    found = levels(points, most=4)
    assert len(found) == 4
    assert {y for _, y in found} == {5.0}
