"""Programs that send or fetch recordings over a network: fast, paused in the middle, killed in the middle.

Each sends to three inboxes at once, of which one keeps, one moves and one deletes what is transcribed.  Knows nothing
of how the product notices files.
"""

import pytest

from tests.clients.installation import LONG, SHORT
from tests.clients.programs import AGAIN, FAST, SLOW, UPLOADS, WITH_CONTROL_FILE
from tests.clients.sending import Clock, Sending, check_nothing_else_was_shown, check_whole

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]


@pytest.fixture
def send(installation, servers):
    """Make the uploads of a program; what is left of its processes at the end is killed."""
    made = []

    def make(program, way, seconds=LONG):
        made.append(Sending(installation, servers, program, way, seconds))
        return made[-1]

    yield make
    for sending in made:
        sending.end()


@pytest.mark.parametrize("program", UPLOADS)
def test_what_is_sent_at_once_is_transcribed(program, installation, send):
    sendings = [send(program, "fast", seconds) for seconds in (SHORT, LONG)]
    for sending in sendings:
        sending.start(FAST)
    for sending in sendings:
        sending.finish()
        _check(installation, sending)


@pytest.mark.parametrize("program", UPLOADS)
def test_an_upload_that_pauses_is_never_taken_for_whole(program, installation, send):
    """It pauses for longer than an incomplete file is waited for."""
    sending = send(program, "paused")
    sending.start(SLOW)
    sending.pause()
    installation.outlast_patience(sending.uploads[0])
    for upload in sending.uploads:
        assert installation.text(upload) is None
    sending.go_on()
    sending.finish()
    _check(installation, sending)


@pytest.mark.parametrize("program", UPLOADS)
def test_an_upload_killed_and_sent_again_is_transcribed_once(program, installation, send):
    sending = send(program, "killed")
    sending.start(SLOW)
    sending.kill()
    since = Clock()
    sending.start(AGAIN)
    sending.finish()
    _check(installation, sending, halves_allowed=since.patience_is_over())


@pytest.mark.parametrize("program", WITH_CONTROL_FILE)
def test_a_killed_download_waits_while_its_control_file_is_there(program, installation, send):
    sending = send(program, "resumed")
    sending.start(SLOW)
    sending.kill()
    for upload in sending.uploads:
        assert upload.target.with_name(upload.name + WITH_CONTROL_FILE[program]).exists()
    installation.outlast_patience(sending.uploads[0])
    sending.start(AGAIN)
    sending.finish()
    _check(installation, sending)


def _check(installation, sending, halves_allowed=False):
    for upload in sending.uploads:
        check_whole(installation, upload)
        if not halves_allowed:
            check_nothing_else_was_shown(installation, upload, notes=sending.program.private)
