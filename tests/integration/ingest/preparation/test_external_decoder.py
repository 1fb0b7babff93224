"""Decoders of the operator's, as real processes: what they make is heard, and nothing of them is left."""

import functools
import os
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.support.patience import patient
from tests.support.site import wait_for
from transcribed.core.errors import Incomplete, Permanent, Unavailable, WorkerLost
from transcribed.core.types import SAMPLE_RATE
from transcribed.ingest.preparation import external_decoder, subreaper
from transcribed.ingest.preparation.decoding.decoder import Decoder
from transcribed.ingest.preparation.external_decoder import (
    MAX_ERROR_BYTES,
    DecoderLimits,
    ExternalDecoder,
    choose,
    decoded,
)
from transcribed.ingest.preparation.preparer import SourceFile
from transcribed.pipeline.executors.process_pool import ProcessPool

# Reads a made-up format (a mark, then little-endian samples at 8 kHz) and streams WAV, not knowing how long it will be.
DECODE = """
import struct, sys
source = open(sys.argv[1], "rb") if len(sys.argv) > 1 else sys.stdin.buffer
assert source.read(6) == b"MADEUP"
size = 0xFFFFFFFF
sys.stdout.buffer.write(b"RIFF" + struct.pack("<I", size) + b"WAVEfmt ")
sys.stdout.buffer.write(struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", size))
while block := source.read(2**16):
    sys.stdout.buffer.write(block)
"""

LIMITS = DecoderLimits(60.0, 60.0)
TONE = (8000 * np.sin(np.arange(24_000) * 0.3)).astype("<i2")


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.scratch = folder / "spool"
        self.scratch.mkdir()
        self.recording = folder / "talk.ds2"
        self.recording.write_bytes(b"MADEUP" + TONE.tobytes())
        self.beats = 0

    def program(self, code, shebang=f"#!{sys.executable} -IS"):
        path = self.folder / "decoder"
        path.write_text(f"{shebang}\n{textwrap.dedent(code)}")
        path.chmod(0o755)
        return str(path)

    def decoder(self, code, *arguments, **options):
        return ExternalDecoder("*", (self.program(code, **options), *arguments))

    def decode(self, code, *arguments, name="talk.ds2", limits=LIMITS, **options):
        """The bytes that the decoder makes of the recording."""
        return self.run(self.decoder(code, *arguments, **options), name, limits)

    def run(self, decoder, name="talk.ds2", limits=LIMITS):
        fd = os.open(self.recording, os.O_RDONLY)
        try:
            with decoded(decoder, fd, name, self.scratch, limits, self.beat) as wav:
                return os.pread(wav, 2**24, 0)
        finally:
            os.close(fd)
            assert not list(self.scratch.iterdir())

    def beat(self):
        self.beats += 1

    def pids(self, count):
        """Of processes that wrote theirs into a file."""
        path = self.folder / "pids"
        return wait_for(lambda: path.exists() and len(path.read_text().split()) >= count and path.read_text().split())


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(*pids):
    wait_for(lambda: not any(map(is_alive, pids)), 30, f"the end of {pids}")


# --- what comes out -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("{file}",)])
def test_what_a_decoder_streams_is_decoded_as_a_whole_recording(bench, arguments):
    fd = os.open(bench.recording, os.O_RDONLY)
    os.lseek(fd, 100, os.SEEK_SET)  # wherever it was read before
    with decoded(bench.decoder(DECODE, *arguments), fd, "talk.ds2", bench.scratch, LIMITS, bench.beat) as wav:
        file = SourceFile(wav)
        with Decoder(file) as decoder:
            samples = b"".join(rows for _, rows in decoder.blocks())
            assert decoder.damage() is None
            assert decoder.media.tracks[0].description.startswith("wav (pcm_s16le), 8000 Hz")
    os.close(fd)
    assert len(samples) / 2 / SAMPLE_RATE == pytest.approx(len(TONE) / 8000, abs=0.01)
    assert bench.beats > 0


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000024, 0xFFFFFFFF])
def test_a_wav_that_does_not_know_its_length_is_whole(tmp_path, size):
    header = b"RIFF" + struct.pack("<I", size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    (tmp_path / "a.wav").write_bytes(header + b"data" + struct.pack("<I", size) + TONE.tobytes())
    with (tmp_path / "a.wav").open("rb") as opened:
        file = SourceFile(opened.fileno())
        with Decoder(file) as decoder:
            samples = b"".join(rows for _, rows in decoder.blocks())
            assert decoder.damage() is None
    assert len(samples) / 2 / SAMPLE_RATE == pytest.approx(len(TONE) / 8000, abs=0.01)


def test_the_open_file_is_decoded_whatever_its_name_holds_now(bench):
    decoder = bench.decoder(DECODE, "{file}")
    fd = os.open(bench.recording, os.O_RDONLY)
    bench.recording.unlink()
    bench.recording.write_bytes(b"another")
    with decoded(decoder, fd, "talk.ds2", bench.scratch, LIMITS, bench.beat) as wav:
        assert os.pread(wav, 10**6, 44) == TONE.tobytes()
    os.close(fd)


SAYS = "import os, sys\nsys.stderr.write({0})\nsys.exit(3)"


def said(bench, expression, *arguments, **options):
    with pytest.raises(Incomplete) as raised:
        bench.decode(SAYS.format(expression), *arguments, **options)
    return raised.value.hint


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("talk.ds2", ".ds2"),
        ("a/b c.SILK", ".SILK"),
        ("talk", ""),
        ("x.$(id)", ""),
        ("x.verylongone", ""),
        ("x.d\n", ""),
    ],
)
def test_the_decoder_sees_a_suffix_and_no_name(bench, name, suffix):
    hint = said(bench, "os.path.basename(sys.argv[1])", "--in={file}", name=name)
    assert hint == f"Its error output: recording{suffix}"


def test_the_decoder_has_its_own_folder_and_next_to_no_environment(bench):
    hint = said(bench, "' '.join([*sorted(os.environ), *os.listdir('.'), str(os.getcwd() == os.environ['HOME'])])")
    assert set(hint.split()[3:]) - {"LC_CTYPE"} == {"HOME", "LANG", "PATH", "TMPDIR", "recording.ds2", "True"}


def test_the_decoder_has_no_other_file_open(bench):
    secret = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(secret, True)
    assert (
        said(bench, "' '.join(sorted(os.listdir('/proc/self/fd')))") == "Its error output: 0 1 2 3"
    )  # 3 is that listing
    os.close(secret)


def test_files_that_a_decoder_leaves_behind_are_removed(bench):
    code = f"import os; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); open('/proc/self/fd/1', 'w')\n{DECODE}"
    assert bench.decode(code).startswith(b"RIFF")


# --- what goes wrong ----------------------------------------------------------------------------------


def test_a_decoder_that_gives_up_is_told_with_its_last_words(bench):
    with pytest.raises(Incomplete, match=r"^The decoder decoder failed \(exit code 3\)\.$"):
        bench.decode(SAYS.format("'no'"))
    assert said(bench, "'bad\\x1b[2J\\n  frame'") == r"Its error output: bad\x1b[2J frame"
    assert said(bench, "''") == "It printed no error; run it by hand."
    assert said(bench, "'a' * 70_000 + 'the end'") == f"Its error output: {'a' * (MAX_ERROR_BYTES - 7)}the end"


def test_a_decoder_that_crashes_is_told_with_its_signal(bench):
    with pytest.raises(Incomplete, match=r"failed \(signal 11\)"):
        bench.decode("import os; os.kill(os.getpid(), 11)")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-decoder", "{file}"), "Install it: no-such-decoder does not exist"),
        (("/no/such/decoder",), "Install it: /no/such/decoder does not exist"),
        (("sh", "-c", "no-such-command"), "no-such-command: not found"),
    ],
)
def test_a_decoder_that_is_missing_is_nobodys_fault(bench, command, why):
    with pytest.raises(Unavailable, match="cannot run on this machine") as raised:
        bench.run(ExternalDecoder("*", command))
    assert why in raised.value.hint


def test_a_decoder_that_cannot_be_executed_is_nobodys_fault(bench):
    with pytest.raises(Unavailable, match="decoder cannot run on this machine") as raised:
        bench.decode("", shebang="#!/no/such/interpreter")
    assert "No such file or directory" in raised.value.hint
    Path(bench.program("")).chmod(0o644)
    with pytest.raises(Unavailable, match="decoder cannot run on this machine"):
        bench.run(ExternalDecoder("*", (str(bench.folder / "decoder"),)))


def test_a_decoder_that_makes_nothing_or_something_else_is_told(bench):
    with pytest.raises(Incomplete, match="produced no output"):
        bench.decode("")
    with pytest.raises(Incomplete, match="output that is not WAV"):
        bench.decode("print('usage: decoder IN OUT')")
    with pytest.raises(Incomplete, match="output that is not WAV"):
        bench.decode("print('RIFF')")


def test_a_spool_that_cannot_be_used_is_nobodys_fault(bench):
    decoder = bench.decoder(DECODE)
    with (
        pytest.raises(Unavailable, match="spool cannot be used"),
        decoded(decoder, 0, "a.ds2", bench.folder / "nowhere", LIMITS, bench.beat),
    ):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_spool_is_nobodys_fault(bench):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", bench.scratch], check=True)
    try:
        with pytest.raises(Unavailable, match="spool is full"):
            bench.decode("import sys; sys.stdout.buffer.write(b'RIFF' * 2**20)")
    finally:
        subprocess.run(["umount", bench.scratch], check=True)


def test_errors_of_whoever_decodes_on_stay_theirs(bench):
    fd = os.open(bench.recording, os.O_RDONLY)
    with (
        pytest.raises(PermissionError, match="mine"),
        decoded(bench.decoder(DECODE), fd, "a.ds2", bench.scratch, LIMITS, bench.beat),
    ):
        raise PermissionError("mine")
    os.close(fd)


# --- what takes too much ------------------------------------------------------------------------------

PIDS = "open('{}', 'a').write(f'{{__import__(\"os\").getpid()}} ')\n"


def test_a_decoder_that_floods_its_output_is_ended(bench):
    code = PIDS.format(bench.folder / "pids") + "import sys\nwhile True: sys.stdout.buffer.write(bytes(2**16))"
    with pytest.raises(Permanent, match="longer than"):
        bench.decode(code, limits=DecoderLimits(1.0, 60.0))
    wait_gone(*bench.pids(1))


def test_a_decoder_that_chatters_is_heard_out(bench):
    assert bench.decode(f"import sys\nfor n in range(200): sys.stderr.write('x' * 50_000)\n{DECODE}").startswith(
        b"RIFF"
    )


def test_a_decoder_that_closes_its_mouth_is_waited_for(bench):
    code = "import os, sys, time\nos.close(2)\ntime.sleep(0.5)\nsys.stdout.write('RIFF....WAVE')"
    assert bench.decode(code) == b"RIFF....WAVE"


def test_a_decoder_that_dawdles_is_ended(bench):
    code = PIDS.format(bench.folder / "pids") + "import time\ntime.sleep(600)"
    with pytest.raises(Permanent, match="took too long"):
        bench.decode(code, limits=DecoderLimits(60.0, 1.0))
    assert bench.beats == 0
    wait_gone(*bench.pids(1))


# Leaves its session twice over, as daemons do, and hangs.
ESCAPE = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    open('{pids}', 'a').write(f'{{os.getpid()}} ')
    time.sleep(600)
open('{pids}', 'a').write(f'{{os.getpid()}} ')
while len(open('{pids}').read().split()) < 2: time.sleep(0.01)
"""


def test_what_a_decoder_started_ends_with_it(bench):
    code = ESCAPE.format(pids=bench.folder / "pids") + DECODE
    assert bench.decode(code).startswith(b"RIFF")
    pids = bench.pids(2)
    assert not any(map(is_alive, pids))


def test_the_end_of_an_orphan_is_not_that_of_the_decoder(bench):
    orphan = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        os._exit(7)\n    os._exit(0)\n"
    assert bench.decode(f"{orphan}os.wait()\ntime.sleep(0.3)\n{DECODE}").startswith(b"RIFF")


def test_a_keeper_that_comes_too_late_begins_nothing(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    command = ["/bin/sh", "-c", f"touch {tmp_path / 'begun'}"]
    subprocess.run([sys.executable, subreaper.__file__, str(os.getppid()), folder, *command], check=True)
    assert not list(tmp_path.iterdir())


CHILD = """
import os, resource, sys, time
from pathlib import Path
from transcribed.ingest.preparation.external_decoder import DecoderLimits, ExternalDecoder, decoded
from transcribed.system import sandbox
sandbox.restrict_calls()
sandbox.limit_process(60.0, 2**30)
resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + 1.5), resource.RLIM_INFINITY))
fd = os.open(sys.argv[2], os.O_RDONLY)
try:
    decoder, scratch = ExternalDecoder("*", (sys.argv[1],)), Path(sys.argv[3])
    with decoded(decoder, fd, "a.ds2", scratch, DecoderLimits.of(60.0), lambda: None) as wav:
        print(os.pread(wav, 500, 44))
except Exception as error:
    print(type(error).__name__, error, error.hint)
"""


def child(bench, code, **options):
    command = [sys.executable, "-c", CHILD, bench.program(code, **options), bench.recording, bench.scratch]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_end_with_the_process_that_asked_however_it_ends(bench, number):
    with child(bench, ESCAPE.format(pids=bench.folder / "pids") + "time.sleep(600)") as asker:
        pids = bench.pids(2)
        assert all(map(is_alive, pids))
        asker.send_signal(number)
    wait_gone(*pids)
    wait_for(lambda: not list(bench.scratch.iterdir()), 10, "a clean spool")


def test_the_decoder_ends_with_its_keeper(bench):
    with child(bench, PIDS.format(bench.folder / "pids") + "import time\ntime.sleep(600)") as asker:
        (pid,) = bench.pids(1)
        keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(keeper, signal.SIGKILL)
        assert "failed (signal 9)" in asker.communicate()[0]
    wait_gone(pid)


def hangs(bench, slot, heartbeat):
    fd = os.open(bench.recording, os.O_RDONLY)

    def work(code, beat):
        with decoded(bench.decoder(code), fd, "a.ds2", bench.scratch, LIMITS, beat):
            return "done"

    return work


def test_an_executor_ends_what_hangs_and_leaves_alone_what_grows(bench):
    executor = ProcessPool(
        ["prepare:0"], functools.partial(hangs, bench), on_event=lambda event: None, heartbeat_timeout=lambda code: 3.0
    )
    executor.start()
    try:
        grows = "import sys, time\nfor n in range(8):\n    sys.stdout.write('RIFF....WAVE')\n    sys.stdout.flush()\n"
        grows += "    time.sleep(0.5)"
        slot = wait_for(executor.idle)[0]
        assert executor.submit(slot, grows).result(patient(60)) == "done"
        slot = wait_for(executor.idle)[0]
        hung = executor.submit(slot, ESCAPE.format(pids=bench.folder / "pids") + "time.sleep(600)")
        with pytest.raises(WorkerLost, match="sent no heartbeat"):
            hung.result(patient(60))
        wait_gone(*bench.pids(2))
    finally:
        executor.stop(1.0)


# --- what a confined one may not, and may -------------------------------------------------------------


def test_a_decoder_reaches_no_network(bench):
    told = child(bench, "import socket; socket.socket()").communicate()[0]
    assert "Incomplete" in told
    assert "Permission denied" in told


def test_a_decoder_cannot_take_all_memory(bench):
    told = child(bench, "bytearray(5 * 2**30)").communicate()[0]
    assert "MemoryError" in told


def test_a_decoder_cannot_fill_the_disk(bench):
    told = child(bench, "exec head -c 1G /dev/zero", shebang="#!/bin/sh").communicate()[0]
    assert told.startswith("Permanent The decoded recording is larger than allowed.")


def test_a_decoder_cannot_compute_without_end(bench):
    told = child(bench, "while :; do :; done", shebang="#!/bin/sh").communicate()[0]
    assert told.startswith("Permanent Decoding the file took too long.")
    told = child(bench, "trap '' XCPU; while :; do :; done", shebang="#!/bin/sh").communicate()[0]
    assert "failed (signal 9)" in told


def test_a_decoder_cannot_raise_its_limits(bench):
    code = """
    import os, resource, sys
    if os.getuid() == 0:
        os.setresuid(65534, 65534, 65534)
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU):
        try:
            resource.prlimit(0, what, (2**40, 2**40))
            sys.exit(f"{what} could be raised")
        except (ValueError, PermissionError):
            pass
    sys.exit("all refused")
    """
    assert "all refused" in child(bench, code).communicate()[0]


def test_a_decoder_reads_what_the_service_may_read(bench):
    """This is not prevented: the operator names decoders that can be trusted so far."""
    (bench.folder / "secret").write_text("secret")
    code = f"import sys; sys.stdout.write('RIFF....WAVE' + 32 * '.' + open('{bench.folder / 'secret'}').read())"
    assert "secret" in child(bench, code).communicate()[0]


# --- which one ----------------------------------------------------------------------------------------


def test_a_decoder_is_chosen_by_name_and_first_bytes():
    dictation = ExternalDecoder("*.ds2", ("dss-codec", "{file}"))
    silk = ExternalDecoder("*.amr", ("silk",), b"#!SILK_V3")
    for name, head, wanted in (
        ("a.ds2", b"\3ds2", dictation),
        ("x.wav/A.DS2", b"", dictation),
        ("a.ds2/x.wav", b"", None),
        ("a.amr", b"#!SILK_V3....", silk),
        ("a.amr", b"#!AMR\n", None),
        ("a.slk", b"#!SILK_V3", None),
    ):
        assert choose([dictation, silk], name, head) is wanted
    assert dictation.name == "dss-codec"
    assert ExternalDecoder("talk*", ("x",)).takes("deep/Talk 1.ds2", b"")


def test_a_decoder_has_twice_as_much_time_as_cpu_time():
    assert DecoderLimits.of(3600.0) == DecoderLimits(3600.0, 480.0)
    assert external_decoder.SCRATCH == "external-"
