from transcribed.doctor import runner
from transcribed.doctor.findings import fault, ok


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def test_a_check_that_fails_is_a_finding_and_the_others_go_on():
    def broken():
        yield ok("begun")
        raise ZeroDivisionError("division by zero")

    found = list(runner.examine([runner.Check("a", broken), runner.Check("b", lambda: [ok("fine")])]))
    assert [section.title for section in found] == ["a", "b"]
    assert levels(found[0].findings) == ["ok", "fault"]
    assert "ZeroDivisionError: division by zero" in found[0].findings[1].sentence
    assert runner.faults(found) == runner.document(found)["faults"] == 1


def test_what_is_timed_runs_after_all_else():
    ran = []
    checks = [
        runner.Check("timed", lambda: ran.append("timed") or [], alone=True),
        runner.Check("other", lambda: ran.append("other") or [fault("x", "y")]),
    ]
    assert [section.title for section in runner.examine(checks)] == ["other", "timed"]
    assert ran == ["other", "timed"]
