"""What only a card can show.  How to run it, and what it needs: see the package's first lines."""

import pytest

from tests.gpu import busy, hog, idle, kills, memory, speed, sticky

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # other versions of PyTorch warn of other things
]


def check(findings):
    print("", *findings, sep="\n  ")
    missed = [str(finding) for finding in findings if not finding.holds]
    assert not missed, "\n".join(missed)


def test_speed_is_ten_times_that_of_funasr_for_the_same_words(place):
    check(speed.measure(place))


def test_idle_workers_are_on_the_right_card_and_leave_it_unchanged(place):
    check(idle.measure(place))


def test_sticky_errors_end_the_process_and_the_next_one_works(place):
    check(sticky.measure(place))


def test_busy_is_what_the_card_is_during_a_backlog(place):
    check(busy.measure(place))


def test_memory_of_a_batch_is_predicted_within_five_percent_and_never_under(place):
    check(memory.measure(place))


def test_hog_gets_what_was_promised_and_nobody_is_blamed_for_the_rest(place):
    check(hog.measure(place))


def test_kills_lose_nothing_and_memory_is_back_before_the_next_worker(place):
    check(kills.measure(place))
