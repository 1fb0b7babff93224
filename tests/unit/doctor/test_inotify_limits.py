import pytest

from transcribed.doctor import inotify_limits
from transcribed.doctor.findings import Finding


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def only(findings) -> Finding:
    (one,) = findings
    return one


@pytest.mark.parametrize(
    ("folders", "inboxes", "expected"), [(100, 2, "ok"), (8000, 2, "warning"), (100, 120, "warning")]
)
def test_the_limits_of_inotify_are_held_against_what_is_needed(folders, inboxes, expected):
    assert levels(inotify_limits.judge(folders, inboxes, 8192, 128)) == [expected]


def test_too_few_watches_are_mended_by_a_line_that_is_told():
    assert "`fs.inotify.max_user_watches = 32000`" in only(inotify_limits.judge(8000, 1, 8192, 128)).fix
