"""The whole product, in processes of its own, from the inbox to the outbox."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from tests.support.nvml import no_library
from tests.support.patience import patient
from tests.support.site import POWERLESS, Site, kill_tree, stop, wait_for
from tests.support.speech import digits, save, say, silence


@pytest.fixture(scope="module")
def drained(tmp_path_factory, spoken):
    """One `run --once` over a folder of everything that ordinary people drop."""
    site = Site(tmp_path_factory.mktemp("drained"))
    for number, suffix in [(123, ".wav"), (456, ".mp3"), (789, ".m4a"), (741, ".ogg"), (852, ".flac"), (963, ".mp4")]:
        shutil.copy(spoken(number, suffix), site.inbox)
    (site.inbox / "2026" / "11").mkdir(parents=True)
    shutil.copy(spoken(123), site.inbox / "2026" / "11" / "会议 录音.wav")
    save(site.inbox / "silence.wav", silence(3))
    (site.inbox / "list.mp3").write_text("#EXTM3U\nhttp://127.0.0.1/secret.ts\n")
    (site.inbox / ".hidden.wav").write_text("not ours")
    without_nvml = {"LD_LIBRARY_PATH": str(no_library(site.root / "none"))}
    done = site.process("run", "--once", env=os.environ | without_nvml)
    assert done.returncode == 0, done.stderr
    return site


@pytest.mark.parametrize("name", ["123.wav", "456.mp3", "789.m4a", "741.ogg", "852.flac", "963.mp4"])
def test_what_is_spoken_is_what_is_written_in_every_format(drained, name):
    assert drained.text(name) == digits(name.split(".")[0])
    remark, words = (drained.outbox / f"{name}.txt").read_text().split("\n\n")
    assert remark.startswith("[Written by the model demo: it is for demonstrations")
    assert words.split() == digits(name.split(".")[0]).split()
    assert digits(name.split(".")[0]) in (drained.outbox / f"{name}.srt").read_text()


def test_sub_folders_and_names_in_any_script_are_mirrored(drained):
    assert drained.text("2026/11/会议 录音.wav") == digits(123)


def test_silence_is_a_transcript_that_says_so(drained):
    assert "No speech was detected" in (drained.outbox / "silence.wav.txt").read_text()


def test_what_cannot_be_transcribed_gets_a_note_in_plain_words(drained):
    note = (drained.outbox / "list.mp3.error.txt").read_text()
    assert "The file is a playlist, not a recording." in note
    assert "Traceback" not in note


def test_nothing_else_is_in_the_outbox_and_the_spool_is_empty(drained):
    names = {name.rsplit(".", 1)[0] for name in drained.outputs()}
    assert len(names) == 9
    assert list((drained.state / "spool").iterdir()) == []


def test_without_any_card_the_cpu_is_used_and_that_is_said(drained):
    told = json.loads((drained.state / "status.json").read_text())
    assert "No NVIDIA device was found" in told["note"]
    assert "on the CPU" in told["summary"]
    capacity = drained.call("capacity")
    assert "demo" in capacity.stdout
    assert "cpu:0" in capacity.stdout


def test_recordings_are_untouched(drained, spoken):
    assert (drained.inbox / "456.mp3").read_bytes() == spoken(456, ".mp3").read_bytes()


def test_running_again_does_nothing_again(drained):
    before = {path: path.stat().st_mtime_ns for path in drained.outbox.rglob("*")}
    drained.once()
    assert {path: path.stat().st_mtime_ns for path in drained.outbox.rglob("*")} == before


def test_a_lost_ledger_is_rebuilt_from_the_transcripts(drained):
    before = {path: path.stat().st_mtime_ns for path in drained.outbox.rglob("*.json")}
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (drained.state / name).unlink(missing_ok=True)
    drained.once()
    assert {path: path.stat().st_mtime_ns for path in drained.outbox.rglob("*.json")} == before


def test_no_transcript_text_is_ever_logged(drained):
    log = drained.process("run", "--once").stderr
    assert "ready" in log
    for word in digits("0123456789").split():
        assert f" {word} " not in log


def test_explain_tells_where_each_file_stands(drained):
    def explained(name):
        return drained.call("explain", str(drained.inbox / name)).stdout

    assert "The transcript is done:" in explained("123.wav")
    (drained.outbox / "123.wav.md").write_text("of a format that another configuration asked for")
    assert "123.wav.md" in explained("123.wav")
    (drained.outbox / "123.wav.md").unlink()
    assert "The transcription failed: The file is a playlist" in explained("list.mp3")
    assert "The file is ignored: '.hidden.wav' matches '.*'" in explained(".hidden.wav")
    assert "The file cannot be accessed" in explained("nowhere.wav")
    assert "The file is not in an inbox" in drained.call("explain", "/etc/hostname").stdout
    assert "The daemon is not running" in explained("123.wav")


# --- a daemon that runs -------------------------------------------------------------------------------


def test_the_life_of_a_daemon(site, daemon, spoken):
    """Drop, transcript, status, retry, replace, stop: what a day brings, on one daemon."""
    shutil.copy(spoken(123), site.inbox / "a.wav")
    assert site.wait_text("a.wav") == digits(123)
    _soon_when_warm(site, spoken)
    _light_of_weight(daemon)
    _status_tells(site)
    _second_daemon_is_refused(site)
    _new_content_replaces(site, spoken)
    _a_failed_file_can_be_retried(site, spoken)
    assert stop(daemon) == 0
    assert site.call("status").returncode == os.EX_UNAVAILABLE


def _soon_when_warm(site, spoken):
    """Printed, and not asserted: a machine may be busy.  The promise is the quiet window, here 0.3 s, and 2 s."""
    shutil.copy(spoken(741), site.inbox / "warm.wav")
    before = time.monotonic()
    assert site.wait_text("warm.wav") == digits(741)
    print(f"drop to transcript: {time.monotonic() - before:.2f} s")


def _light_of_weight(daemon):
    """The daemon itself stays small, whatever its children load."""
    with open(f"/proc/{daemon.pid}/status") as file:
        rss_kib = int(next(line for line in file if line.startswith("VmRSS")).split()[1])
    with open(f"/proc/{daemon.pid}/maps") as file:
        mapped = file.read()
    print(f"daemon: {rss_kib / 1024:.0f} MiB resident")
    assert rss_kib <= 80 * 1024
    for library in ("libtorch", "libavcodec", "kaldi", "_multiarray_umath"):
        assert library not in mapped


def _status_tells(site):
    wait_for(lambda: json.loads(site.call("status", "--json").stdout)["counts"]["done"] == 2, 10)
    told = site.call("status")
    assert told.returncode == 0
    assert "2 done today" in told.stdout
    assert str(site.inbox) in told.stdout


def _second_daemon_is_refused(site):
    second = site.process("run")
    assert second.returncode == os.EX_TEMPFAIL
    assert "is already using" in second.stderr
    assert "Traceback" not in second.stderr


def _new_content_replaces(site, spoken):
    shutil.copy(spoken(456), site.inbox / "a.wav")
    wait_for(lambda: site.text("a.wav") == digits(456), 60)


def _a_failed_file_can_be_retried(site, spoken):
    (site.inbox / "b.wav").write_text("#EXTM3U\n")
    wait_for(lambda: (site.outbox / "b.wav.error.txt").exists(), 60)
    told = wait_for(lambda: (t := site.call("retry", str(site.inbox / "b.wav"))).returncode == 0 and t, 10)
    assert "will be retried" in told.stdout
    wait_for(lambda: not any((site.state / "requests").iterdir()), 10)
    shutil.copy(spoken(789), site.inbox / "b.wav")
    assert site.wait_text("b.wav") == digits(789)
    wait_for(lambda: not (site.outbox / "b.wav.error.txt").exists(), 10)
    assert site.call("retry", str(site.inbox / "a.wav")).returncode == os.EX_USAGE


def test_moved_sources_follow_their_transcripts(tmp_path, spoken):
    done = tmp_path / "done"
    done.mkdir()
    site = Site(tmp_path, after_success="move", move_to=str(done))
    (site.inbox / "sub").mkdir()
    shutil.copy(spoken(123), site.inbox / "a.wav")
    shutil.copy(spoken(456), site.inbox / "sub" / "b.wav")
    site.once()
    for name, number in [("a.wav", 123), ("sub/b.wav", 456)]:
        assert (done / name).read_bytes() == spoken(number).read_bytes()
        assert not (site.inbox / name).exists()
        assert site.text(name) == digits(number)


@pytest.mark.skipif(os.getuid() != 0, reason="writing as another user needs root")
def test_without_leases_a_writer_that_pauses_loses_nothing(tmp_path, spoken):
    """As on a share: nobody tells who has the file open, but its header how long it is to be."""
    site = Site(tmp_path, after_success="delete", quiet_seconds=patient(2.0))
    recording, whole = site.inbox / "a.wav", spoken(472953).read_bytes()
    daemon = site.start(*POWERLESS)
    try:
        with recording.open("wb", buffering=0) as file:
            os.fchown(file.fileno(), 65534, 65534)
            os.fchmod(file.fileno(), 0o666)
            file.write(whole[: len(whole) // 2])
            wait_for(lambda: "may still be incomplete" in (site.root / "daemon.log").read_text(), 60)
            file.write(whole[len(whole) // 2 :])
        assert site.wait_text("a.wav") == digits(472953)
        wait_for(lambda: not recording.exists(), 30)
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)


def test_a_folder_that_may_not_be_entered_gets_a_note_until_it_may(tmp_path, spoken):
    site = Site(tmp_path, rescan_seconds=1)
    private, note = site.inbox / "private", site.outbox / "private.error.txt"
    private.mkdir()
    shutil.copy(spoken(123), private / "a.wav")
    private.chmod(0)
    daemon = site.start(*(POWERLESS if os.getuid() == 0 else ()))
    try:
        wait_for(note.exists, 60)
        assert "not allowed to enter the folder" in note.read_text()
        failed = wait_for(lambda: site.status().get("failed"), 30)
        assert [entry["file"] for entry in failed] == [str(private)]
        assert f"The folder {private} is not read" in site.call("explain", str(private / "a.wav")).stdout
        private.chmod(0o755)
        assert site.wait_text("private/a.wav") == digits(123)
        wait_for(lambda: not note.exists(), 30)
        assert stop(daemon) == 0
    finally:
        kill_tree(daemon)


def test_a_second_signal_ends_it_at_once_and_loses_no_work(site, daemon):
    """What was in hand is done after the next start."""
    save(site.inbox / "long.flac", _minutes(1))
    wait_for(lambda: "active" in _states(site), 90)
    daemon.send_signal(signal.SIGTERM)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(patient(10)) == 0
    assert site.outputs() == set()
    site.once()
    assert site.text("long.flac").startswith("one two three")


def _minutes(count):
    import numpy as np

    return np.tile(np.concatenate([say("one two three"), silence(2)]), 20 * count)[: count * 60 * 16_000]


def _states(site):
    try:
        db = sqlite3.connect(f"file:{site.state}/ledger.db?mode=ro", uri=True)
        return [state for (state,) in db.execute("select state from job")]
    except sqlite3.Error:
        return []


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_outbox_delays_only_its_own_files_and_heals_by_itself(tmp_path, spoken):
    site = Site(tmp_path)
    (tmp_path / "in2").mkdir()
    (tmp_path / "out2").mkdir()
    with site.config.open("a") as file:
        file.write(f'[[inbox]]\npath = "{tmp_path}/in2"\noutbox = "{tmp_path}/out2"\nquiet_seconds = 0.3\n')
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", site.outbox], check=True)
    daemon = site.start()
    try:
        (site.outbox / "filler").write_bytes(b"\0" * 64 * 1024)
        shutil.copy(spoken(123), site.inbox / "a.wav")
        shutil.copy(spoken(456), tmp_path / "in2" / "b.wav")
        wait_for(lambda: (tmp_path / "out2" / "b.wav.txt").exists(), 90)
        wait_for(lambda: "delivery failed" in (tmp_path / "daemon.log").read_text(), 30)
        assert not (site.outbox / "a.wav.txt").exists()
        (site.outbox / "filler").unlink()
        assert site.wait_text("a.wav", 30) == digits(123)
    finally:
        kill_tree(daemon)
        subprocess.run(["umount", "-l", site.outbox], check=True)


def test_a_daemon_with_a_damaged_model_says_so_and_keeps_its_recordings(tmp_path, spoken):
    from transcribed.recognition import model_store

    model = shutil.copytree(model_store.SHIPPED / "sensevoice", tmp_path / "model")
    (model / "am.mvn").write_text("damaged")
    site = Site(tmp_path)
    site.extra = 'vad_model = "demo"'
    site.configure(model=str(model))
    daemon = site.start()
    try:
        shutil.copy(spoken(123), site.inbox / "a.wav")
        told = wait_for(lambda: "differs from its manifest" in (t := site.call("status").stdout) and t, 60)
        assert "degraded" in told
        assert not site.outputs()
        shutil.copy(model_store.SHIPPED / "sensevoice" / "am.mvn", model)
        assert site.wait_text("a.wav", 60) == digits(123)
    finally:
        kill_tree(daemon)
