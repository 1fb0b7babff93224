"""Hand-over to the outboxes: what they refuse is told."""

from tests.support.fakes import Clock, InlineDelivery, attempt, job
from transcribed.core.errors import Unavailable
from transcribed.core.events import Wake
from transcribed.core.mailbox import Mailbox
from transcribed.pipeline.deliveries import Deliveries


class HeldNotes(InlineDelivery):
    """An outbox from which no note can be removed."""

    def remove_note(self, job):
        def refuse():
            raise Unavailable("The share is away.")

        return attempt(refuse)


def test_a_note_that_cannot_be_removed_is_told_and_holds_up_nothing(capsys):
    mailbox = Mailbox()
    Deliveries(mailbox, HeldNotes(print, print), Clock()).remove_note(job(7))
    assert mailbox.collect(0) == [Wake()]
    said = capsys.readouterr().out
    assert "note not removed" in said
    assert "The share is away." in said
