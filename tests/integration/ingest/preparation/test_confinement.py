"""What an intruder in a preparing process can do, tried from inside one: read recordings, write the spool, no more."""

import errno
import json
import os
import platform
import subprocess
import sys

import pytest

from tests.support.fakes import OPTIONS
from tests.support.site import POWERLESS
from transcribed.config.recording import InboxDefaults
from transcribed.core.errors import SandboxOutdated
from transcribed.ingest.preparation import confinement
from transcribed.system import landlock

INSIDE = '''
import ctypes, json, mmap, os, resource, signal, socket, subprocess, sys
from pathlib import Path
from transcribed.core.types import Options
from transcribed.config.recording import InboxDefaults
from transcribed.ingest.preparation.external_decoder import ExternalDecoder
from transcribed.ingest.preparation.preparer import PreparationLimits, make_preparer
from transcribed.recognition.model_store import SHIPPED

root, decoders = Path(sys.argv[1]), (ExternalDecoder("*.ds2", ("/bin/true",)),) if sys.argv[2] == "decoders" else ()
defaults = {root / "inbox": InboxDefaults(Options("demo"))}
make_preparer(root / "spool", SHIPPED / "vad", PreparationLimits(), defaults, decoders, "prepare:0", lambda: None)
libc = ctypes.CDLL(None, use_errno=True)
daemon = os.getppid()

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

def dies(attempt):
    """The signal that ends whoever tries it."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        finally:
            os._exit(0)
    return signal.Signals(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1).name

def as_i386():
    """socket(2) by its number of 32 bits: mov eax, 359; mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; ret."""
    code = bytes.fromhex("b867010000" "bb02000000" "b901000000" "31d2" "cd80" "c3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()

ATTEMPTS = {
    "read a recording": lambda: (root / "inbox" / "a.wav").read_bytes(),
    "write the spool": lambda: (root / "spool" / "1.pcm").write_bytes(b"x"),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "change a recording": lambda: (root / "inbox" / "a.wav").open("ab"),
    "leave something in the inbox": lambda: (root / "inbox" / "b.wav").write_bytes(b"x"),
    "remove a recording": lambda: (root / "inbox" / "a.wav").unlink(),
    "read the ledger": lambda: (root / "state" / "ledger.db").read_bytes(),
    "write the ledger": lambda: (root / "state" / "ledger.db").open("ab"),
    "read a transcript": lambda: (root / "outbox" / "a.txt").read_text(),
    "forge a transcript": lambda: (root / "outbox" / "b.txt").write_text("x"),
    "rename out of the spool": lambda: os.rename(root / "spool" / "1.pcm", root / "outbox" / "1.txt"),
    "read the users": lambda: Path("/etc/passwd").read_text(),
    "read the daemon's environment": lambda: Path(f"/proc/{daemon}/environ").read_bytes(),
    "read the daemon's memory": lambda: Path(f"/proc/{daemon}/mem").open("rb"),
    "run a program": lambda: subprocess.run(["/bin/true"], check=True),
    "use the network": lambda: socket.socket(),
    "use a local socket": lambda: socket.socket(socket.AF_UNIX),
    "use io_uring": lambda: call(425, 8, ctypes.create_string_buffer(256)),
    "signal the daemon": lambda: os.kill(daemon, 0),
    "signal the daemon by a descriptor": lambda: signal.pidfd_send_signal(os.pidfd_open(daemon), 0),
    "trace the daemon": lambda: call(101 if sys.argv[3] == "x86_64" else 117, 16, daemon, 0, 0),
    "make a namespace": lambda: call(272 if sys.argv[3] == "x86_64" else 97, 0x10000000),
    "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2),
}

def tried(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno
    except ValueError as error:
        return str(error)
    return 0

found = {name: tried(attempt) for name, attempt in ATTEMPTS.items()}
if sys.argv[3] == "x86_64":
    found["socket by its i386 number"] = dies(as_i386)
    found["socket by its x32 number"] = dies(lambda: libc.syscall(0x40000000 | 41, 2, 1, 0))
print(json.dumps(found))
'''
ALLOWED = {"read a recording", "write the spool", "signal itself"}
NEEDS_LANDLOCK = {
    "change a recording", "leave something in the inbox", "remove a recording", "read the ledger", "write the ledger",
    "read a transcript", "forge a transcript", "rename out of the spool", "read the users", "run a program",
    "read the daemon's environment", "read the daemon's memory",
}  # fmt: skip
WITH_DECODERS = {"read the ledger", "read a transcript", "read the users", "run a program"}  # theirs may be anywhere


def inside(root, decoders):
    """What each attempt ended with: 0 if it succeeded, else an error's number, its words, or a signal."""
    for folder in ("inbox", "outbox", "spool", "state"):
        (root / folder).mkdir()
    for path in ("inbox/a.wav", "outbox/a.txt", "state/ledger.db"):
        (root / path).write_text("words")
    as_service = POWERLESS if os.getuid() == 0 else ()
    command = [*as_service, sys.executable, "-c", INSIDE, root, "decoders" if decoders else "none", platform.machine()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("decoders", [False, True], ids=["", "with decoders of the operator's"])
def test_a_preparing_process_reads_recordings_and_writes_the_spool_and_no_more(tmp_path, decoders):
    found = inside(tmp_path, decoders)
    confined, offered = set(found) - ALLOWED, landlock.version()
    if not offered:
        confined -= NEEDS_LANDLOCK
    if decoders:
        confined -= WITH_DECODERS
    if decoders and offered < landlock.SIGNALS_SINCE:
        confined -= {"signal the daemon", "signal the daemon by a descriptor"}
    assert {name for name in ALLOWED if found[name] != 0} == set()
    assert {name for name in confined if found[name] == 0} == set()
    assert found["use the network"] == errno.EACCES
    assert found.get("socket by its i386 number", "SIGSYS") in ("SIGSYS", "SIGSEGV")  # a kernel without 32 bits
    assert found.get("socket by its x32 number", "SIGSYS") == "SIGSYS"


OUTSIDE = """
import os, sys
from pathlib import Path
from transcribed.ingest.preparation import confinement
sys.path.append(sys.argv[1])
sys.path.append(os.getcwd())
spool = Path(sys.argv[2])
confinement.confine(spool, spool, {}, ())
import of_a_package
try:
    import of_this_folder
except (ImportError, PermissionError):
    print("confined")
"""


@pytest.mark.skipif(landlock.version() == 0, reason="the kernel has no Landlock")
def test_packages_are_found_wherever_they_are_installed_but_not_in_the_current_folder(tmp_path):
    for folder, name in (("packages", "of_a_package"), ("here", "of_this_folder"), ("spool", "none")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text("")
    command = [sys.executable, "-P", "-c", OUTSIDE, tmp_path / "packages", tmp_path / "spool"]
    done = subprocess.run(command, cwd=tmp_path / "here", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "confined\n"), done.stderr


def test_an_inbox_that_is_mounted_later_is_left_to_the_next_process(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    found = inbox.stat()
    now = (found.st_dev, found.st_ino)
    none = InboxDefaults(OPTIONS)
    confinement.require_current(inbox, none, {inbox: now})
    confinement.require_current(inbox, none, {})
    for before in (None, (now[0] + 1, now[1])):
        with pytest.raises(SandboxOutdated) as raised:
            confinement.require_current(inbox, none, {inbox: before})
        assert raised.value.ends_process


def test_a_hotword_file_that_an_editor_has_replaced_is_left_to_the_next_process(tmp_path):
    path = tmp_path / "hotwords.txt"
    path.write_text("one")
    defaults = InboxDefaults(OPTIONS, hotwords_file=path)
    before = {path: (path.stat().st_dev, path.stat().st_ino)}
    confinement.require_current(tmp_path, defaults, before)
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").rename(path)
    with pytest.raises(SandboxOutdated):
        confinement.require_current(tmp_path, defaults, before)
