import pytest

from tests.support.fakes import job
from transcribed.core.errors import Incomplete, Obstructed, Permanent, Unavailable, Withdrawn, WorkerLost
from transcribed.pipeline.retry_policy import Discard, Fail, Retry, RetryPolicy, decide, exceeded_starts

RULES = RetryPolicy()


def test_bad_input_fails_at_once_with_its_hint():
    assert decide(Permanent("No audio.", "Drop audio."), job(), 0.0, RULES) == Fail("No audio.", "Drop audio.")


def test_an_unreadable_young_file_waits_until_old_enough_to_be_judged():
    error = Incomplete("Damaged.")
    young = decide(error, job(added_at=100.0), 120.0, RULES, grace_seconds=50.0)
    assert (young.until, young.counts_as_failure) == (150.0, False)
    assert isinstance(decide(error, job(added_at=100.0), 151.0, RULES, grace_seconds=50.0), Fail)


def test_what_nobody_can_help_is_never_counted_however_often_it_happens():
    for starts in range(1, 50):
        judged = decide(Unavailable("The share is gone."), job(starts=starts, failures=2), 0.0, RULES)
        assert isinstance(judged, Retry)
        assert not judged.counts_as_failure


def test_a_name_that_cannot_be_written_waits_an_hour_uncounted():
    judged = decide(Obstructed("A folder is in its place."), job(failures=2), 100.0, RULES)
    assert (judged.until, judged.counts_as_failure) == (3700.0, False)


def test_nothing_is_owed_for_a_file_that_was_taken_back():
    assert isinstance(decide(Withdrawn("Gone."), job(), 0.0, RULES), Discard)


@pytest.mark.parametrize("error", [WorkerLost("prepare:0 ended."), RuntimeError("boom")])
def test_the_third_failure_alone_sets_a_file_aside(error):
    judged = [decide(error, job(failures=failures), 0.0, RULES) for failures in range(3)]
    assert [type(j) for j in judged] == [Retry, Retry, Fail]
    assert judged[0].counts_as_failure
    assert judged[0].until < judged[1].until
    assert str(error) in judged[2].reason


def test_a_file_during_which_the_service_kept_dying_is_not_restarted():
    assert exceeded_starts(job(starts=20), RULES) is None
    assert "20 times" in str(exceeded_starts(job(starts=21), RULES))
