"""Real decoding by FFmpeg and real speech detection, one file at a time, under real limits."""

import os
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.support.fakes import OPTIONS, job
from tests.support.patience import patient
from tests.support.rights import modes_count
from tests.support.speech import save, say, silence, stereo
from transcribed.config.filename_patterns import compile_pattern
from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import Incomplete, Permanent, SandboxOutdated, Unavailable, Withdrawn
from transcribed.core.types import SAMPLE_RATE, Hypothesis, ModelFacts
from transcribed.ingest.preparation.preparer import PreparationLimits, Preparer
from transcribed.ingest.preparation.segmentation import find_regions, merge, pad, split
from transcribed.ingest.scanner import source_of
from transcribed.recognition import model_store
from transcribed.recognition.features import log_mel, stack
from transcribed.recognition.models.loading import load
from transcribed.state import checkpoint


@pytest.fixture(scope="module")
def speech():
    """Two phrases with three seconds of silence around each."""
    return np.concatenate([silence(3), say("one two three four"), silence(3), say("yes no hello please"), silence(3)])


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".m4a", ".ogg", ".flac", ".webm", ".mp4"])
def test_speech_is_found_at_the_same_place_in_every_format(prepare, speech, suffix):
    save(prepare.inbox / f"a{suffix}", speech)
    made = prepare(f"a{suffix}")
    first, second = made.segments
    assert abs(made.audio.seconds - len(speech) / SAMPLE_RATE) < 0.2
    assert first.start / SAMPLE_RATE == pytest.approx(3.0, abs=0.35)
    assert second.stop / SAMPLE_RATE == pytest.approx(made.audio.seconds - 3.0, abs=0.45)
    assert made.damage is None


def test_all_channels_are_mixed(prepare):
    """Speech on the left only, then on the right only: both are heard."""
    import av

    left = np.concatenate([say("one two three"), silence(3)])
    right = np.concatenate([silence(3), say("four five six")])
    length = min(len(left), len(right))
    stereo = np.stack([left[:length], right[:length]])
    with av.open(str(prepare.inbox / "a.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray((stereo.T.reshape(1, -1) * 32767).astype(np.int16), "s16", "stereo")
        frame.sample_rate = SAMPLE_RATE
        out.mux([*stream.encode(frame), *stream.encode(None)])
    assert len(prepare().segments) == 2


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_file_that_ends_before_its_header_says_is_cut_short(prepare, speech, suffix):
    path = save(prepare.inbox / f"a{suffix}", speech)
    whole = path.read_bytes()
    assert not prepare(path.name).cut_short
    path.write_bytes(whole[: len(whole) // 2])
    made = prepare(path.name)
    assert made.cut_short
    assert made.damage


def test_a_file_damaged_inside_but_whole_in_length_is_not_cut_short(prepare, speech):
    path = save(prepare.inbox / "a.mp3", np.tile(speech, 3), bit_rate=64_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    assert not prepare("a.mp3").cut_short


def test_silence_has_audio_and_no_segment(prepare):
    save(prepare.inbox / "a.wav", silence(5))
    made = prepare()
    assert made.segments == ()
    assert made.audio.seconds == pytest.approx(5.0)


def test_no_segment_is_longer_than_thirty_seconds(prepare):
    save(prepare.inbox / "a.wav", np.tile(say("one two three four five six seven eight nine"), 30))
    made = prepare()
    assert max(s.seconds for s in made.segments) <= 30.0
    assert sum(s.seconds for s in made.segments) > 0.95 * made.audio.seconds


def test_what_is_not_recognized_is_counted(prepare, speech):
    save(prepare.inbox / "a.wav", speech)
    made = prepare()
    spoken = len(speech) / SAMPLE_RATE - 9.0
    assert made.speech_seconds == pytest.approx(spoken, rel=0.3)


@pytest.mark.parametrize("frames", [1, 2, 99, 100, 999, 1000, 1001, 1002, 1003, 1997, 2345])
def test_blocks_change_nothing(vad, speech, frames):
    """The network hears the same when it is fed in blocks, rounded up, as when it hears everything at once."""
    pcm = (np.tile(speech, 4)[: 240 + frames * 160] * 32767).astype(np.int16)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(pcm.astype(np.float32) / 32768)[None])
        model, kwargs = load(model_store.SHIPPED / "vad", "cpu", threads=1)
        shift, scale = kwargs["frontend"].cmvn
        silence = model.encoder((stack(mel, torch.tensor([frames]), 5, 1)[0] + shift) * scale, {})[0, :, 0].numpy()
    heard = 1 - silence >= silence + model.vad_opts.speech_noise_thres
    levels = mel[0].mean(-1).numpy()
    wanted = split(merge(pad(find_regions(heard), frames)), levels)
    found = vad.detect(pcm, lambda: None)
    assert [(s.start, s.stop) for s in found] == [(start * 160, min(len(pcm), stop * 160)) for start, stop in wanted]
    assert [s.speech_samples for s in found] == [heard[start:stop].sum() * 160 for start, stop in wanted]


def test_the_hash_is_that_of_the_file(prepare, speech):
    save(prepare.inbox / "a.mp3", speech)
    wanted = subprocess.run(["sha256sum", prepare.inbox / "a.mp3"], capture_output=True, text=True, check=True)
    assert prepare("a.mp3").sha256 == wanted.stdout.split()[0]


# --- the file, and what happens to it ----------------------------------------------------------------


def change_and_fail(prepare, change, error, words):
    save(prepare.inbox / "a.wav", say("one"))
    with pytest.raises(error, match=words):
        prepare(change=change)


def test_a_file_that_changed_since_it_settled_is_not_read(prepare):
    change_and_fail(prepare, lambda path: path.write_bytes(b"other"), Withdrawn, "has changed")


def test_a_file_taken_away_is_withdrawn(prepare):
    change_and_fail(prepare, lambda path: path.unlink(), Withdrawn, "was removed")


def test_a_file_swapped_for_a_link_is_not_followed(prepare, tmp_path):
    save(tmp_path / "secret.wav", say("nine nine nine"))

    def swap(path):
        path.unlink()
        path.symlink_to(tmp_path / "secret.wav")

    change_and_fail(prepare, swap, Withdrawn, "was removed")


def test_a_file_swapped_for_a_fifo_blocks_nobody(prepare):
    def swap(path):
        path.unlink()
        os.mkfifo(path)

    change_and_fail(prepare, swap, Withdrawn, "not a regular file")


def test_what_may_not_be_read_waits_and_says_which_right_is_missing(prepare):
    with modes_count():
        change_and_fail(prepare, lambda path: path.chmod(0), Incomplete, "not allowed to read the file")


@pytest.mark.parametrize(
    ("mode", "error", "words"),
    [
        (0o000, Incomplete, "not allowed to enter the folder"),
        (0o400, Incomplete, "not allowed to enter the folder"),
        (0o700, Withdrawn, "may enter the folder now"),
    ],
    ids=["closed", "listed only", "opened since"],
)
def test_a_folder_is_judged_by_whether_it_may_be_entered(prepare, mode, error, words):
    def become_folder(path):
        path.unlink()
        path.mkdir()
        path.chmod(mode)

    with modes_count():
        change_and_fail(prepare, become_folder, error, words)


def test_a_confined_process_leaves_a_replaced_inbox_to_the_next(tmp_path, vad):
    path = save(tmp_path / "a.wav", say("one"))
    one = Preparer(tmp_path, vad, PreparationLimits(), readable={tmp_path: (0, 0)})
    with pytest.raises(SandboxOutdated):
        one(job(source=source_of(tmp_path, path, path.stat())), lambda: None)


def test_a_file_of_another_name_is_refused_where_the_inbox_says_so(prepare, tmp_path):
    save(prepare.inbox / "a.wav", say("one"))
    os.link(prepare.inbox / "a.wav", tmp_path / "other.wav")
    assert prepare().segments
    with pytest.raises(Incomplete, match="another name elsewhere"):
        prepare(usage=InboxDefaults(OPTIONS, hard_links=False))


def test_an_inbox_that_is_away_is_nobodys_fault(prepare):
    change_and_fail(
        prepare, lambda path: path.parent.rename(path.parent.with_name("away")), Unavailable, "cannot be read"
    )


def test_a_disk_error_is_told_from_a_damaged_file():
    """FFmpeg's own errors look like the disk's; only those that our reader saw are the disk's."""
    from transcribed.ingest.preparation.decoding.decoder import DecodeError, Decoder
    from transcribed.ingest.preparation.source_file import SourceFile

    read, write = os.pipe()
    os.close(write)
    file = SourceFile(read)
    with pytest.raises((*DecodeError, OSError)):
        Decoder(file)
    with pytest.raises(Unavailable):
        file.raise_own_error()
    os.close(read)


def test_a_format_not_on_the_list_is_refused_although_ffmpeg_knows_it(prepare):
    import av

    with av.open(str(prepare.inbox / "a.wav"), "w", format="mmf") as out:
        stream = out.add_stream("adpcm_yamaha", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(prepare.inbox / "a.wav")) as known:
        assert known.format.name == "mmf"
    with pytest.raises(Incomplete, match="damaged, or not audio or video"):
        prepare()


def test_a_full_spool_is_nobodys_fault(prepare, tmp_path):
    save(prepare.inbox / "a.wav", say("one"))
    full = tmp_path / "full"
    full.mkdir()
    (full / "1.pcm").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="spool cannot be written"):
        prepare(spool=full)


# --- limits ------------------------------------------------------------------------------------------


def test_a_recording_longer_than_allowed_is_refused_as_soon_as_known(prepare):
    save(prepare.inbox / "a.flac", silence(120))
    with pytest.raises(Permanent, match=r"longer than 0\.01 hours"):
        prepare("a.flac", PreparationLimits(max_seconds=36.0))


def test_a_file_larger_than_allowed_is_refused_unread(prepare):
    with open(prepare.inbox / "a.wav", "wb") as file:
        file.truncate(2**42)
    with pytest.raises(Permanent, match="larger than 64 GiB"):
        prepare()


def wav(rate, channels=1, seconds=1.0):
    data = b"\1\2" * int(16_000 * seconds)
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * channels * 2) & 0xFFFFFFFF, (channels * 2) & 0xFFFF, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("rate", "channels"), [(1_744_846_464, 1), (1, 1), (0, 1), (16_000, 255), (16_000, 0), (4_000_000_000, 2)]
)
def test_an_absurd_header_costs_nothing(prepare, rate, channels):
    (prepare.inbox / "a.wav").write_bytes(wav(rate, channels))
    with pytest.raises(Incomplete):
        prepare()


def test_a_picture_that_begins_late_costs_no_sound(tmp_path):
    """FFmpeg has read 5 MB when it decides which streams there are."""
    from transcribed.ingest.preparation.decoding.decoder import Decoder
    from transcribed.ingest.preparation.source_file import SourceFile

    save(tmp_path / "a.flv", say("one two three"), codec="pcm_s16le", rate=44_100)
    header, body = (tmp_path / "a.flv").read_bytes()[:13], (tmp_path / "a.flv").read_bytes()[13:]
    picture = bytes([9]) + (21).to_bytes(3, "big") + bytes(7) + b"\x22" + bytes(20) + (32).to_bytes(4, "big")
    times = 6 * 2**20 // len(body)
    (tmp_path / "late.flv").write_bytes(header + body * times + picture)
    lengths = []
    for name in ("a.flv", "late.flv"):
        with (tmp_path / name).open("rb") as file, Decoder(SourceFile(file.fileno())) as decoder:
            lengths.append(sum(rows.shape[1] for _, rows in decoder.blocks()))
    assert lengths[1] == pytest.approx(times * lengths[0], rel=0.05)


CHILD = """
import sys
from pathlib import Path
from transcribed.ingest.preparation.preparer import PreparationLimits, make_preparer
from transcribed.config.recording import InboxDefaults
from transcribed.ingest.scanner import source_of
from transcribed.recognition.model_store import SHIPPED
from tests.support.fakes import OPTIONS, job
inboxes = {Path(sys.argv[1]) / "in": InboxDefaults(OPTIONS)}
(Path(sys.argv[1]) / "spool").mkdir(exist_ok=True)
spool = Path(sys.argv[1]) / "spool"
work = make_preparer(spool, SHIPPED / "vad", PreparationLimits(), inboxes, (), "test", lambda: None)
exec(sys.argv[2])
"""


def in_child(tmp_path, code):
    """Run code in a process confined as a preparing one is; its exit status and words."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), code], capture_output=True, text=True, timeout=patient(120)
    )
    return done.returncode, done.stdout + done.stderr


def test_a_preparing_process_reaches_no_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        status, words = in_child(tmp_path, f"import socket; socket.create_connection(('127.0.0.1', {port}))")
    assert status != 0
    assert "Permission denied" in words


def test_a_preparing_process_cannot_take_all_memory(tmp_path):
    status, words = in_child(tmp_path, "b'x' * (4 * 2**30)")
    assert status != 0
    assert "MemoryError" in words


def test_the_longest_recording_allowed_can_be_mapped(tmp_path):
    code = """
import numpy as np
spool = Path(sys.argv[1]) / "spool" / "1.pcm"
spool.write_bytes(b"")
import os
os.truncate(spool, 12 * 3600 * 16000 * 2)
print(len(np.memmap(spool, dtype="<i2", mode="r")))
"""
    status, words = in_child(tmp_path, code)
    assert status == 0, words
    assert str(12 * 3600 * SAMPLE_RATE) in words


def test_a_preparing_process_cannot_fill_the_disk(tmp_path):
    code = "open(Path(sys.argv[1]) / 'spool' / 'big', 'wb').truncate(2**40)"
    status, words = in_child(tmp_path, code)
    assert status != 0
    assert "File too large" in words


def test_memory_does_not_grow_with_length(tmp_path, prepare):
    """Fifteen minutes and one: beyond the mapped spool, which the kernel takes back, the process is no larger."""
    minute = np.tile(np.concatenate([say("one two three four five"), silence(2)]), 20)[: 60 * SAMPLE_RATE]
    save(prepare.inbox / "minute.flac", minute)
    save(prepare.inbox / "long.flac", np.tile(minute, 15))
    peaks = {}
    for name in ("minute.flac", "long.flac"):
        code = f"""
path = Path({str(prepare.inbox / name)!r})
made = work(job(source=source_of(path.parent, path, path.stat())), lambda: None)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("PEAK", int(peak.split()[1]) // 1024, round(made.audio.seconds))
"""
        status, words = in_child(tmp_path, code)
        assert status == 0, words
        peaks[name] = [int(n) for n in words.split("PEAK")[1].split()[:2]]
    assert peaks["long.flac"][1] == 15 * 60
    spool_mib = 15 * 60 * SAMPLE_RATE * 2 / 2**20
    assert peaks["long.flac"][0] - peaks["minute.flac"][0] < spool_mib + 15, peaks


# --- channels apart ----------------------------------------------------------------------------------


APART = InboxDefaults(OPTIONS, channels=("caller", "callee"))


def test_channels_wanted_apart_are_spooled_and_heard_apart(prepare):
    one, other = say("one two three"), say("four five six")
    stereo(prepare.inbox / "a.wav", np.concatenate([one, silence(4)]), np.concatenate([silence(4), other]))
    made = prepare(usage=APART)
    first, second = made.segments
    assert (first.channel, second.channel) == (0, 1)
    assert [s.index for s in made.segments] == [0, 1]
    assert made.speakers == ("caller", "callee")
    assert first.stop < 4 * SAMPLE_RATE < second.stop
    heard = np.fromfile(second.audio.path, "<i2")
    assert not heard[: 3 * SAMPLE_RATE].any()
    assert heard[second.start : second.stop].any()
    assert len(made.levels) == 2


def test_a_channel_without_a_name_has_its_number(prepare):
    stereo(prepare.inbox / "a.wav", say("one two three"), say("four five six"))
    assert prepare(usage=InboxDefaults(OPTIONS, channels=())).speakers == ("channel 1", "channel 2")
    assert prepare(usage=InboxDefaults(OPTIONS, channels=("channel 2",))).speakers == ("channel 2", "channel 2'")


def test_a_recording_of_one_channel_has_no_speakers(prepare, speech):
    save(prepare.inbox / "a.wav", speech)
    made = prepare(usage=APART)
    assert made.speakers == made.levels == ()


def test_channels_that_all_sound_the_same_are_one(prepare):
    both = say("one two three")
    stereo(prepare.inbox / "a.wav", both, both)
    made = prepare(usage=APART)
    assert made.speakers == ()
    assert [path.name for path in made.audio.path.parent.iterdir()] == ["1.pcm"]


def test_a_side_without_any_sound_is_fine(prepare):
    stereo(prepare.inbox / "a.wav", say("one two three"), silence(1))
    made = prepare(usage=APART)
    assert {segment.channel for segment in made.segments} == {0}
    assert made.speakers == ("caller", "callee")


def test_a_sidecar_decides_over_its_inbox(prepare):
    stereo(prepare.inbox / "a.wav", say("one two three"), say("four five six"))
    (prepare.inbox / "a.wav.transcribe.toml").write_text('channels = "mix"\n')
    assert prepare(usage=APART).speakers == ()


def test_what_the_name_and_the_container_tell_is_kept(prepare, speech):
    import av

    name = "in-5551234-101-20250327-092517-1743042317.12206.m4a"
    save(prepare.inbox / "plain.m4a", speech)
    with av.open(str(prepare.inbox / "plain.m4a")) as old, av.open(str(prepare.inbox / name), "w") as new:
        new.metadata.update({"title": "Lunch\n\x1b[31m with Ann", "genre": "speech"})
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(old.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    made = prepare(name, usage=InboxDefaults(OPTIONS, name_pattern=compile_pattern("freepbx")))
    assert dict(made.name_fields)["started"] == "2025-03-27T09:25:17"
    assert dict(made.tags) == {"title": "Lunch\\n\\x1b[31m with Ann"}


def test_what_an_earlier_run_has_heard_is_known(prepare, speech):
    save(prepare.inbox / "a.wav", np.concatenate([speech, silence(checkpoint.LONG_SECONDS)]))
    made = prepare()
    assert made.known == {}
    checkpoint.append(made.audio.path.parent, made, [(made.segments[1], Hypothesis("yes"))])
    assert prepare().known == {1: Hypothesis("yes")}
    assert prepare(usage=InboxDefaults(OPTIONS, model=ModelFacts("another"))).known == {}
