"""Alerts on their way: a real SMTP server, a real web server, servers that refuse, hang or are not there; no secret
anywhere.
"""

import contextlib
import http.server
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.config.operations import AlertSettings
from transcribed.daemon.requests import Requests
from transcribed.operations.alerts import notifier
from transcribed.operations.alerts.apprise_sender import NOT_UNDERSTOOD, hidden
from transcribed.operations.alerts.notifier import Notifier, Result, channels, deliver, message
from transcribed.operations.alerts.rules import Notification

SECRET = "s3cr3t/W@rd"
QUOTED = "s3cr3t%2FW%40rd"
ALERT = Notification(
    "alert", "error", "disk", "/srv/出库", "The disk of /srv/出库 has 0.1 GiB free.", "Free space on it."
)


class Mailbox:
    """What aiosmtpd was given."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def smtp():
    """A server that takes mail; `url` is for it, and after `refuse()` it accepts no password."""
    box, open_to_all = Mailbox(), threading.Event()
    open_to_all.set()

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=open_to_all.is_set(), auth_data=data, handled=False)

    server = Controller(box, hostname="127.0.0.1", port=free_port(), authenticator=authenticate, auth_require_tls=False)
    server.start()
    box.url = mail_url(server.port)
    box.refuse = open_to_all.clear
    yield box
    server.stop()


@pytest.fixture
def web():
    """A server that takes JSON; (url, what was posted)."""
    posted = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_): ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/hook/{QUOTED}", posted
        server.shutdown()


@pytest.fixture
def silent():
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield mail_url(server.getsockname()[1])


def mail_url(port):
    who = "from=transcribed@example.org&to=operator@example.org"
    return f"mailto://somebody:{QUOTED}@127.0.0.1:{port}?{who}&mode=insecure"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def of(*urls):
    return channels(AlertSettings(urls=urls))


def test_an_alert_arrives_as_mail_and_at_a_web_server(smtp, web):
    url, posted = web
    results = deliver(of(smtp.url, url), message([ALERT]))
    assert results == [Result("1 (mailto)"), Result("2 (json)")]
    (mail,) = smtp.mails
    assert mail["To"] == "operator@example.org"
    assert mail["Subject"] == f"transcribed on {socket.gethostname()}: {ALERT.sentence}"
    body = mail.get_body(("plain",)).get_content()
    assert f"ERROR: {ALERT.sentence}" in body
    assert ALERT.hint in body
    assert (posted[0]["type"], posted[0]["title"]) == ("failure", mail["Subject"])


def test_what_is_told_together_is_one_message_and_the_worst_names_it():
    warning = Notification("repeat", "warning", "vram", "cuda:0", "cuda:0 is full.")
    over = Notification("recovery", "error", "inbox", "/in", "/in can be used.")
    together = message([over, warning, ALERT])
    assert (together.type, together.title.split(": ")[1]) == ("failure", "3 messages")
    assert "RESOLVED: /in can be used." in together.body
    assert "REMINDER (warning): cuda:0 is full." in together.body
    assert (message([over]).type, message([over]).title.split(": ", 1)[1]) == ("success", "resolved: /in can be used.")


def test_each_channel_is_tried_apart_and_says_why_it_failed_without_secrets(smtp, web):
    url, posted = web
    smtp.refuse()
    nobody = f"json://somebody:{QUOTED}@127.0.0.1:{free_port()}/{QUOTED}"
    refused, taken, gone, unclear = deliver(of(smtp.url, url, nobody, f"no-url-{SECRET}"), message([ALERT]))
    assert "535" in refused.reason
    assert taken == Result("2 (json)")
    assert len(posted) == 1
    assert gone.reason.endswith("Socket Exception: [Errno 111] Connection refused.")
    assert unclear == Result("4 (no URL)", NOT_UNDERSTOOD)
    for result in (refused, gone, unclear):
        assert "s3cr3t" not in result.reason
        assert "somebody" not in result.reason


def test_a_server_that_hangs_is_given_up(silent):
    assert deliver(of(silent), message([ALERT]), seconds=1.0) == [Result("1 (mailto)", "No answer within 1 s.")]


@pytest.mark.parametrize(
    "text",
    [
        "POST https://oapi.dingtalk.com/robot/send?access_token=TOKENtoken failed",
        "Host tokentoken unknown, user u, or p@ss p%40ss wrong for to me@x.org",
        "dingtalk://u:p%40ss@TOKENtoken/me@x.org?key=ab%26cd: ab&cd, ab%26cd",
    ],
)
def test_nothing_of_a_url_but_its_scheme_is_told(text):
    told = hidden(text, "dingtalk://u:p%40ss@TOKENtoken/me@x.org?key=ab%26cd")
    assert not {"tokentoken", "p@ss", "p%40ss", "me@x.org", "ab&cd", "ab%26cd"} & set(told.lower().split())
    assert "tokentoken" not in told.lower()
    assert "p@ss" not in told


# --- where URLs come from ----------------------------------------------------------------------------


def test_urls_come_from_credentials_too_one_per_line(tmp_path):
    (tmp_path / "alerts").write_text(f"# mail\nmailto://a:{SECRET}@example.org\n\n  ntfy://topic  \n")
    settings = AlertSettings(urls=("json://localhost",), credentials=("alerts", "none"))
    found = channels(settings, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [channel.label for channel in found] == ["1 (json)", "2 (mailto)", "3 (ntfy)", "4 (credential)"]
    assert found[2].url == "ntfy://topic"
    assert found[3].fault == "The credential none cannot be read: No such file or directory."
    assert SECRET not in repr(found) + repr(settings)
    (outside,) = channels(AlertSettings(credentials=("alerts",)), {})
    assert deliver([outside], message([ALERT])) == [Result("1 (credential)", outside.fault)]
    assert "$CREDENTIALS_DIRECTORY is not set" in outside.fault


def test_a_credential_is_the_name_of_a_file_and_no_path():
    for name in ("../shadow", "/etc/shadow", "", ".."):
        with pytest.raises(ValueError):
            AlertSettings(credentials=(name,))


# --- the thread --------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    """Couriers, which are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(*urls, seconds=30.0):
            found = Notifier(lambda: of(*urls), tmp_path, seconds)
            stack.callback(found.stop, 0.0)
            return found

        yield start


def test_messages_that_come_during_sending_go_together_with_the_next(start, web):
    """Stopping waits for them."""
    url, posted = web
    sender = start(url)
    for number in range(40):
        sender.send([Notification("alert", "error", "r", f"{number}", f"sentence {number}.")])
    sender.stop(30.0)
    assert len(posted) < 10
    assert all(f"sentence {number}." in "".join(post["message"] for post in posted) for number in range(40))


def test_a_failing_channel_is_logged_and_counted_and_tried_with_the_next(start, web, smtp):
    url, posted = web
    smtp.refuse()
    with structlog.testing.capture_logs() as logs:
        sender = start(smtp.url, url)
        for count in (1, 2):
            sender.send([ALERT])
            wait_for(lambda count=count: sender.failures["1 (mailto)"] == count, 30)
    assert [entry["failures"] for entry in logs] == [1, 2]
    assert "s3cr3t" not in json.dumps(logs)
    assert sender.failures["2 (json)"] == 0
    assert len(posted) == 2


def test_what_no_channel_took_goes_with_what_is_told_next(tmp_path, web):
    url, posted = web
    urls = [f"json://127.0.0.1:{free_port()}/"]
    found = Notifier(lambda: of(*urls), tmp_path)
    try:
        found.send([ALERT])
        wait_for(lambda: found.failures, 30)
        urls[:] = [url]
        found.send([replace(ALERT, subject="/other", sentence="Another.")])
        wait_for(lambda: posted, 30)
    finally:
        found.stop()
    assert ALERT.sentence in posted[0]["message"]
    assert "Another." in posted[0]["message"]


def test_a_server_that_hangs_holds_up_neither_other_messages_nor_the_stop(start, silent, web):
    """And no secret is among the arguments of the process."""
    url, posted = web
    sender = start(silent, url, seconds=300.0)
    sender.send([ALERT])
    wait_for(lambda: posted, 30)
    (process,) = sender._sending
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert b"transcribed.operations.alerts.apprise_sender" in arguments
    assert b"s3cr3t" not in arguments
    sender.stop(0.0)
    process.wait(patient(10))
    wait_for(lambda: not sender._thread.is_alive(), 10)


# --- the command -------------------------------------------------------------------------------------


def test_a_test_is_sent_by_the_running_service(start, web, tmp_path):
    url, posted = web
    sender = start(url, f"no-url-{SECRET}")
    stop, requests = threading.Event(), Requests(tmp_path, [], queue.SimpleQueue(), sender.send_test)
    threading.Thread(target=lambda: [requests.poll() for _ in iter(lambda: stop.wait(0.05), True)], daemon=True).start()
    assert notifier.ask_test(tmp_path, 30.0) == [Result("1 (json)"), Result("2 (no URL)", NOT_UNDERSTOOD)]
    assert posted[0]["message"] == notifier.TEST.body
    stop.set()
    assert not list((tmp_path / "requests").iterdir())


def test_without_a_service_the_command_sends_and_reports_on_each_channel(site, smtp, web):
    site.extra = f"[alerts]\nurls = {json.dumps([smtp.url, web[0]])}"
    site.configure()
    done = site.call("test-alert")
    assert done.returncode == 0, done.stderr
    assert "The service is not running" in done.stdout
    assert done.stdout.endswith("1 (mailto): sent\n2 (json): sent\n")
    smtp.refuse()
    done = site.call("test-alert")
    assert done.returncode == os.EX_UNAVAILABLE
    assert "1 (mailto): NOT sent: " in done.stdout
    assert "s3cr3t" not in done.stdout + done.stderr


def test_without_a_channel_the_command_says_so(site):
    done = site.call("test-alert")
    assert (done.returncode, "has no alert channel" in done.stderr) == (os.EX_CONFIG, True)


def test_where_no_network_may_be_used_the_drop_in_is_named():
    """Under systemd it is closed by RestrictAddressFamilies=, which like this refuses the call."""
    code = """
from transcribed.operations.alerts import notifier
from transcribed.system import sandbox
assert sandbox.restrict_calls()
print(notifier.deliver([notifier.NotificationChannel("1", "json://192.0.2.1")], notifier.TEST)[0].reason)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "drop-in alerts-network.conf" in done.stdout, done.stderr
