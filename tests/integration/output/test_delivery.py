"""Work for the outboxes: in threads of its own, in its turn, and dropped at the end if it has not begun."""

import threading
from dataclasses import replace

import pytest

from tests.support.fakes import job
from tests.support.patience import patient
from transcribed.core.types import Failure
from transcribed.output.delivery import Delivery
from transcribed.output.outbox import Outbox
from transcribed.output.source_actions import SourceAction


@pytest.mark.parametrize("action", [None, SourceAction()], ids=["no longer configured", "keep"])
def test_a_source_that_is_kept_costs_no_work(recording, tmp_path, action):
    boxes = {recording.inbox: Outbox(tmp_path / "out", source_action=action)} if action else {}
    cleaned_up = Delivery(boxes).clean_up(replace(job(), source=recording))
    assert cleaned_up.done()
    assert cleaned_up.result() is True
    assert recording.path.exists()


def test_what_has_not_begun_when_the_daemon_stops_is_dropped(recording, tmp_path):
    reached, may_go_on = threading.Event(), threading.Event()

    def wait(folder):
        reached.set()
        assert may_go_on.wait(patient(30))

    (tmp_path / "out").mkdir()
    delivery = Delivery({recording.inbox: Outbox(tmp_path / "out", check=wait)})
    outcome = Failure(replace(job(), source=recording), "It is damaged.", "Copy it again.")
    begun, waiting = delivery.deliver(outcome), delivery.deliver(outcome)
    assert reached.wait(patient(30))
    delivery.stop()
    may_go_on.set()
    assert begun.result(patient(30)) is None
    assert waiting.cancelled()
