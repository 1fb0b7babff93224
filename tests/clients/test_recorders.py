"""Recorders that write while somebody speaks: uninterrupted, paused for long, killed and started again.

Their formats tell nothing of the length in their first bytes, or only at the end, and their blocks come many seconds
apart: that they still write is seen by the lease alone.  All recorders run at once, since each takes half a minute.
"""

import contextlib
import itertools
import os

import av
import pytest

from tests.clients import machine
from tests.clients.installation import AFTERS, LONG, Upload
from tests.clients.sending import check_nothing_else_was_shown
from tests.support.site import wait_for
from tests.support.speech import SAMPLE_RATE, load

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

GSTREAMER = "filesrc location={source} ! wavparse ! audioconvert ! audioresample ! identity sync=true ! {rest}"
OPUS = "opusenc bitrate=32000 bitrate-type=cbr ! oggmux ! filesink location={target}"  # a block of 64 KiB in 16 s
FFMPEG = "ffmpeg -nostdin -loglevel error -y -re -i {source} {rest} {target}"
RECORDERS = {
    "gstreamer.ogg": "gst-launch-1.0 -q -e " + GSTREAMER.replace("{rest}", OPUS),
    "ffmpeg.mp3": FFMPEG.replace("{rest}", "-ar 16000 -b:a 24k"),
    "ffmpeg.wav": FFMPEG.replace("{rest}", "-ar 16000"),
    "ffmpeg.mkv": FFMPEG.replace("{rest}", "-c:a pcm_s16le -ar 16000"),
}
LATE = "ffmpeg.mp3"  # FFmpeg writes blocks of 256 KiB: nothing of it is on disk before its end
WHOLE_SECONDS = LONG - 0.5


class Live(Upload):
    """A recording that is made in the inbox, not copied; it is whole if it lasts as long as its source."""

    def is_whole(self, path):
        with contextlib.suppress(av.FFmpegError):
            return len(load(path)) > WHOLE_SECONDS * SAMPLE_RATE
        return False


@pytest.fixture
def studio(installation):
    machine.need("gst-launch-1.0", "ffmpeg")
    made = []

    def make(way, recorders=tuple(RECORDERS)):
        made.append(Studio(installation, way, recorders))
        return made[-1]

    yield make
    for studio in made:
        studio.kill()


class Studio:
    """Recorders, each recording into all inboxes."""

    def __init__(self, installation, way, recorders):
        self._installation = installation
        self.recordings = {}
        for recorder, after in itertools.product(recorders, AFTERS):
            name, suffix = os.path.splitext(recorder)
            stem = f"{name}-{suffix[1:]}-{way}"
            spoken = installation.upload(f"{stem}.wav", after, folder=stem)
            live = Live(spoken.source, spoken.words, after, spoken.target.with_suffix(suffix))
            self.recordings[live] = RECORDERS[recorder]
        self.processes = []

    def record(self):
        environment = {"PATH": machine.PATH, "HOME": str(self._installation.home)}
        for live, template in self.recordings.items():
            command = template.format(source=live.source, target=live.target).split()
            log = self._installation.root / "recorders.log"
            self.processes.append(machine.Process(machine.as_user(machine.UPLOADER, command), log, env=environment))

    def wait_for_sound(self):
        early = [live for live, template in self.recordings.items() if template != RECORDERS[LATE]]
        wait_for(lambda: all(live.arrived() for live in early), 60, "the first block of each recorder")

    def finish(self):
        for process in self.processes:
            process.must_succeed()

    def kill(self):
        for process in self.processes:
            process.kill()
        self.processes = []

    def check(self, versions=1):
        for live in self.recordings:
            _check(self._installation, live, versions)


def _check(installation, live, versions):
    wait_for(lambda: installation.text(live) == live.words, 120, f"the transcript of {live.target}")
    place = wait_for(lambda: installation.place(live), 120, f"{live.after} of {live.target}")
    sizes = installation.done(live)
    assert place.stat().st_size in sizes
    assert len(sizes) == len(set(sizes)) <= versions
    wait_for(lambda: live.target.exists() == (live.after == "keep"), 30, f"{live.after} of {live.target}")
    if versions == 1:
        check_nothing_else_was_shown(installation, live)


def test_a_live_recording_is_transcribed_once_when_its_recorder_has_ended(studio):
    recording = studio("live")
    recording.record()
    recording.finish()
    recording.check()


def test_a_recorder_that_pauses_is_waited_for(studio, installation):
    recording = studio("paused")
    recording.record()
    recording.wait_for_sound()
    for process in recording.processes:
        process.pause()
        assert process.runs()
    installation.outlast_patience(next(iter(recording.recordings)))
    assert [live.target for live in recording.recordings if installation.text(live)] == []
    for process in recording.processes:
        process.go_on()
    recording.finish()
    recording.check()


def test_a_killed_recorder_leaves_what_it_has_recorded(studio, installation):
    """And what is then recorded under the same name is another version."""
    recording = studio("killed", [recorder for recorder in RECORDERS if recorder != LATE])
    recording.record()
    recording.wait_for_sound()
    recording.kill()
    for live in recording.recordings:
        wait_for(lambda live=live: installation.text(live), 120, f"the transcript of the part in {live.target}")
    recording.record()
    recording.finish()
    recording.check(versions=2)
