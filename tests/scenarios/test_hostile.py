"""The whole hostile corpus through the whole product, once: what comes out for each file, and what must never happen.

The product runs as `transcribed run --once`, in a process of its own, with nothing replaced. One test knows more of its
inside: it traces the system calls of a preparer that still has its network, so that the refusal to follow playlists is
seen to hold without the sandbox. The right words are another test's concern; here most of them must be there.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import hostile
from tests.support.hostile import Case

CASES = hostile.plan()
FORMATS = ("json", "srt", "vtt", "txt")
NOTE = "error.txt"
LONGEST_NAME = 255
REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 240
HASHED_BYTES = 2**30  # larger files are compared by their looks only
MOST_WORDS = 3  # of the five; the demonstration model may mishear what a telephone codec has left
# Control characters, what is invisible, what turns the direction of text, and halves of surrogates.
CONTROL = re.compile("[^\n -~\u00a0-\u1fff\u2030-\u205e\u2070-\ud7ff\uf900-\ufefe\uff00-\uffff\U00010000-\U0010ffff]")

_NOTE_BEGINS = " could not be transcribed.\n"

Looks = dict[str, tuple[object, ...]]


@dataclass(frozen=True)
class Run:
    """What was there before the product ran, and what is there now."""

    root: Path
    code: int
    log: str
    hits: list[str]  # what the HTTP server was asked for
    before: Looks
    after: Looks

    @functools.cached_property
    def outputs(self) -> set[str]:
        """Every name in the outbox that is no folder."""
        outbox = self.root / "outbox"
        return {str(path.relative_to(outbox)) for path in outbox.rglob("*") if not path.is_dir()}

    @functools.cached_property
    def stems(self) -> dict[str, str]:
        """What the transcripts of a source are called, without their suffixes; the JSON says whose it is."""
        names = (output for output in self.outputs if output.endswith(".json"))
        return {self.transcript(name)["source"]["name"]: name.removesuffix(".json") for name in names}

    @functools.cached_property
    def notes(self) -> dict[str, str]:
        """The note of each source; where the name was too long for a note's, the first line says whose it is."""
        by_note = {f"{case.name}.{NOTE}": case.name for case in CASES}
        by_line = {f"{case.name} could not be transcribed.": case.name for case in CASES}
        names = (output for output in self.outputs if output.endswith(f".{NOTE}") and _NOTE_BEGINS in self.read(output))
        return {by_note.get(name) or by_line.get(self.read(name).split("\n")[0], name): name for name in names}

    def outputs_of(self, case: Case) -> dict[str, str]:
        """By suffix, the files of the outbox that belong to a case."""
        found = {NOTE: self.notes[case.name]} if case.name in self.notes else {}
        for suffix in FORMATS if case.name in self.stems else ():
            found.update((suffix, name) for name in self.outputs if self._belongs(name, self.stems[case.name], suffix))
        return found

    def _belongs(self, output: str, stem: str, suffix: str) -> bool:
        """Whether a file is one of the transcripts called `stem`; where names were cut, a hash at the end tells."""
        if len(os.fsencode(os.path.basename(stem))) < LONGEST_NAME - 10:
            return output == f"{stem}.{suffix}"
        return output.startswith(stem[:100]) and output.endswith(f"{stem[-9:]}.{suffix}")

    def read(self, output: str) -> str:
        return (self.root / "outbox" / output).read_text()

    def transcript(self, output: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read(output))
        return document

    def texts(self, folder: str = "") -> dict[str, str]:
        """Every file of the outbox below a folder."""
        return {output: self.read(output) for output in self.outputs if output.startswith(folder)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    root = tmp_path_factory.mktemp("hostile")
    for name in ("inbox", "outbox", "state"):
        (root / name).mkdir()
    hits: list[str] = []
    with _server(root / "outside", hits) as port:
        hostile.build(root / "inbox", port)
        before = _looks(root)
        done = _transcribed(root)
        after = _looks(root)
    yield Run(root, done.returncode, done.stderr, hits, before, after)
    shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _server(folder: Path, hits: list[str]) -> Iterator[int]:
    """An HTTP server of the recordings in `folder`, on the port it yields; it writes down what it is asked for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            hits.append(f"{self.command} {self.path}")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _transcribed(root: Path) -> subprocess.CompletedProcess[str]:
    config = root / "transcribed.toml"
    config.write_text(
        f"""
        state_dir = {json.dumps(str(root / "state"))}

        [[inbox]]
        path = {json.dumps(str(root / "inbox"))}
        outbox = {json.dumps(str(root / "outbox"))}
        quiet_seconds = 0.3

        [prepare]
        processes = 2
        max_hours = {hostile.MAX_SECONDS / 3600}
        """
    )
    command = [sys.executable, "-m", "transcribed", "run", "--once", "--config", str(config)]
    return subprocess.run(
        command,
        cwd=root,
        env=_environment(),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_SECONDS,
    )


def _environment() -> dict[str, str]:
    """Ours, without what a service manager or a user may have told another daemon."""
    others = ("TRANSCRIBED_", "STATE_DIRECTORY", "LOGS_DIRECTORY", "CACHE_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_")
    return {key: value for key, value in os.environ.items() if not key.startswith(others)}


def _looks(root: Path) -> Looks:
    """Everything in the inbox and in the folder beside it: its kind, its numbers and its bytes."""
    places = [root / "inbox", *(root / "inbox").rglob("*"), *(root / "outside").rglob("*")]
    return {os.fspath(path): _looks_of(path) for path in places}


def _looks_of(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    looks = (stat.filemode(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ino, status.st_nlink)
    if stat.S_ISREG(status.st_mode) and status.st_size <= HASHED_BYTES:
        return *looks, hashlib.sha256(path.read_bytes()).hexdigest()
    return looks


# --- what comes out --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name)[1:-1][:60])
def test_a_file_ends_as_its_user_would_want(run: Run, case: Case) -> None:
    outputs = run.outputs_of(case)
    assert set(outputs) == _wanted(case), {name: run.read(name)[:400] for name in outputs.values()}
    if case.outcome == "note":
        assert case.fragment in run.read(outputs[NOTE])
    elif case.outcome != "ignored":
        _check_transcript(case, run.transcript(outputs["json"]), run.read(outputs["txt"]))


def _wanted(case: Case) -> set[str]:
    return {"note": {NOTE}, "ignored": set()}.get(case.outcome, set(FORMATS))


def _check_transcript(case: Case, document: dict[str, Any], text: str) -> None:
    found = (document["partial"], document["no_speech"])
    assert found == (case.outcome == "partial", case.outcome == "silence"), (document["damage"], document["text"])
    assert case.fragment in (document["damage"] or "")
    assert (document["damage"] or "") in text
    if case.outcome != "silence":
        spoken = hostile.BESIDE if case.name.endswith("/beside.wav") else hostile.SPOKEN
        assert len(set(spoken.split()) & set(document["text"].split())) >= MOST_WORDS, document["text"]


def test_nothing_else_is_in_the_outbox(run: Run) -> None:
    assert run.outputs == {output for case in CASES for output in run.outputs_of(case).values()}


def test_the_transcripts_of_a_recording_differ_in_their_suffixes_only(run: Run) -> None:
    outputs = (run.outputs_of(case) for case in CASES if case.outcome in ("transcript", "silence", "partial"))
    stems = [{name.removesuffix(f".{suffix}") for suffix, name in found.items() if suffix != NOTE} for found in outputs]
    assert [sorted(names) for names in stems if len(names) > 1] == []


def test_no_file_is_left_waiting_and_the_spool_is_empty(run: Run) -> None:
    assert run.code == 0, run.log[-3000:]
    assert list((run.root / "state" / "spool").iterdir()) == []


def test_a_transcript_names_the_very_bytes_it_was_made_from(run: Run) -> None:
    wrong = {
        name: stem
        for name, stem in run.stems.items()
        if run.transcript(f"{stem}.json")["source"]["sha256"] != run.before[f"{run.root}/inbox/{name}"][-1]
    }
    assert wrong == {}


def test_times_are_those_of_the_recording_where_the_recording_has_a_hole(run: Run) -> None:
    segments = run.transcript(f"{run.stems[hostile.PAUSED]}.json")["segments"]
    assert segments[-1]["start"] == pytest.approx(hostile.PAUSE_STOP + 0.4, abs=0.5)


# --- what must never happen ------------------------------------------------------------------------------


def test_sources_are_untouched(run: Run) -> None:
    assert run.after == run.before


def test_nothing_is_fetched_from_a_network(run: Run) -> None:
    assert run.hits == []


def test_nothing_outside_the_inbox_is_heard(run: Run) -> None:
    outside = set(hostile.OUTSIDE.split())
    assert {name: text for name, text in run.texts().items() if len(outside & set(text.split())) >= 2} == {}


def test_another_users_recording_is_heard_only_as_their_own(run: Run) -> None:
    beside = set(hostile.BESIDE.split())
    found = {name for name, text in run.texts("playlists/").items() if len(beside & set(re.split(r'[\s"]', text))) >= 2}
    assert {name.rsplit(".", 1)[0] for name in found} == {"playlists/beside.wav"}


def test_no_file_is_half_written(run: Run) -> None:
    assert [output for output in run.outputs if Path(output).name.startswith(".")] == []
    assert [
        output for output in run.outputs if output.endswith((".txt", ".json")) and run.read(output)[-1:] != "\n"
    ] == []


def test_no_note_holds_a_traceback_or_a_name_of_python(run: Run) -> None:
    inside = re.compile(r"Traceback|\.py\b|[a-z]Error\b|Exception|<none>|av\.")
    assert {name: found.group() for name in run.notes.values() if (found := inside.search(run.read(name)))} == {}


def test_no_note_holds_what_could_trick_a_terminal(run: Run) -> None:
    assert {name: found.group() for name in run.notes.values() if (found := CONTROL.search(run.read(name)))} == {}


def test_a_note_has_a_line_for_what_happened_and_a_hint(run: Run) -> None:
    short = {name for name in run.notes.values() if not all(run.read(name).split("\n")[line] for line in (2, 3))}
    assert short == set()


def test_no_name_runs_as_a_command(run: Run) -> None:
    assert [path for path in run.root.rglob("x") if "outbox" not in path.parts and "inbox" not in path.parts] == []


def test_the_command_in_a_note_names_its_file(run: Run) -> None:
    named = _named_by_commands(run)
    assert {name for name in run.notes if _shows(name)} - named == set()


def test_the_command_in_a_note_names_even_a_file_of_unprintable_name(run: Run) -> None:
    named = _named_by_commands(run)
    assert {name for name in run.notes if not _shows(name)} - named == set()


def _shows(name: str) -> bool:
    return not CONTROL.search(name.replace("\n", "\0"))


def _named_by_commands(run: Run) -> set[str]:
    """The files that the last lines of all notes name, as a shell understands them."""
    lines = [run.read(note).rstrip("\n").split("\n")[-1] for note in run.notes.values()]
    script = "\n".join(["transcribed() { printf '%s\\0' \"${@: -1}\"; }", *lines])
    said = subprocess.run(["bash", "-c", script], cwd=run.root / "state", capture_output=True, check=True).stdout
    return {path.removeprefix(f"{run.root}/inbox/") for path in os.fsdecode(said).split("\0")}


def test_the_log_holds_no_traceback_and_nothing_that_could_trick_a_terminal(run: Run) -> None:
    assert "Traceback" not in run.log
    assert {found.group() for line in run.log.split("\n") if (found := CONTROL.search(line))} == set()


def test_every_line_of_the_log_is_one_of_ours(run: Run) -> None:
    assert [line for line in run.log.splitlines() if not re.match(r"<[0-7]>event=", line)] == []


def test_explain_tells_of_a_strange_name_without_tricking_the_terminal(run: Run) -> None:
    (strange,) = (case.name for case in CASES if "]0;owned" in case.name and case.outcome == "note")
    told = _command(run.root, "explain", "--config", str(run.root / "transcribed.toml"), "--", f"inbox/{strange}")
    assert "The transcription failed: The file is text" in told
    assert CONTROL.search(told) is None, told


def test_status_shows_strange_names_without_tricking_the_terminal(run: Run) -> None:
    told = _command(run.root, "status", "--config", str(run.root / "transcribed.toml"))
    assert "failed today" in told
    assert CONTROL.search(told) is None, told


def _command(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "transcribed", *arguments]
    done = subprocess.run(command, cwd=root, env=_environment(), capture_output=True, text=True, errors="replace")
    return done.stdout


# --- playlists, without the sandbox ----------------------------------------------------------------------


def test_a_preparer_opens_only_its_file_even_where_nothing_forbids_it_more(tmp_path: Path) -> None:
    inbox, spool, trace = (tmp_path / name for name in ("inbox", "spool", "trace"))
    inbox.mkdir()
    spool.mkdir()
    hits: list[str] = []
    with _server(tmp_path / "outside", hits) as port:
        hostile.build(inbox, port)
        _traced(trace, f"prepare_playlists({str(inbox)!r}, {str(spool)!r})")
    calls = trace.read_text()
    assert "hls-http.wav" in calls, "the trace shows what was opened"
    assert hits == []
    assert [line for line in calls.splitlines() if "AF_INET" in line or "connect(" in line] == []
    assert [line for line in calls.splitlines() if "/outside/" in line or "secret." in line] == []
    assert calls.count('"beside.wav"') == 1, "it is opened for itself, and for nobody else"


def _traced(trace: Path, statement: str) -> None:
    """Run a function of this module under strace, or skip."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-qq", "-s", "500", "-e", "trace=open,openat,connect,socket", "-o", str(trace)]
    program = f"from tests.scenarios.test_hostile import *; {statement}"
    done = subprocess.run([*command, sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True)
    if "ptrace" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr


def prepare_playlists(inbox: str, spool: str) -> None:
    """What the traced process does: prepare every file of the folder, with its network still there."""
    from transcribed.core.errors import TranscribedError
    from transcribed.core.types import Job
    from transcribed.ingest.preparation.preparer import PreparationLimits, Preparer
    from transcribed.ingest.scanner import source_of

    preparer = Preparer(Path(spool), _Deaf(), PreparationLimits(max_seconds=hostile.MAX_SECONDS))  # type: ignore[arg-type]
    prepared = []
    for number, path in enumerate(sorted(Path(inbox, "playlists").iterdir())):
        job = Job(number, source_of(Path(inbox), path, path.stat()), path.name, 0.0)
        try:
            preparer(job, lambda: None)
            prepared.append(path.name)
        except TranscribedError:
            continue
    assert prepared == ["beside.wav"], prepared


class _Deaf:
    """Hears no speech anywhere: this spares the traced process a model."""

    def detect(self, *_: object) -> list[object]:
        return []
