from dataclasses import replace

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.doctor import recognition
from transcribed.doctor.findings import Level
from transcribed.pipeline.scheduling.slots import Slots

INBOX = Inbox(path="/srv/inbox", outbox="/srv/outbox")


def levels(findings) -> list[str]:
    return [str(finding.level) for finding in findings]


def test_ten_seconds_of_audio_are_to_become_words_within_five():
    good = recognition.Times(9.0, 0.2, 0.1, 1.5, "one two three four", 3)
    assert recognition.judge(good, "demo", "cpu:0").level is Level.OK
    assert recognition.judge(replace(good, loop=5.1), "demo", "cpu:0").level is Level.WARNING
    assert recognition.judge(replace(good, heard=""), "demo", "cpu:0").level is Level.FAULT


def test_where_no_device_can_be_used_nothing_is_tried():
    assert levels(recognition.of_words(Settings(inbox=(INBOX,)), Slots(()))) == ["note"]
