"""Kill the daemon before each single call by which it delivers, tidies or records: the next run finishes the work once.

A library preloaded into it kills at the n-th call of a kind (tests/support/failing_calls).  Both runs are `run --once`.
"""

import itertools
import shutil

import pytest

from tests.support import failing_calls
from tests.support.failing_calls import KILL, Script
from tests.support.site import ONE_THREAD, Site
from tests.support.speech import digits

NUMBER, NAME = 472953, "sub/a.wav"
FORMATS = {f"{NAME}.{format}" for format in ("json", "srt", "txt", "vtt")}
KINDS = ("rename", "fsync", "unlink", "link", "mkdir", "mode", "write")
MOST = 40  # calls of one kind; there are fewer


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return failing_calls.build(tmp_path_factory.mktemp("library"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", ["keep", "move", "delete"])
def test_a_kill_before_any_call_on_inbox_or_outbox_loses_and_doubles_nothing(tmp_path, spoken, library, after, kind):
    for passing in range(MOST):
        site = _site(tmp_path / str(passing), spoken(NUMBER), after)
        met = _killed(site, library, kind, site.root / "share", passing)
        site.once()
        _check(site, after, spoken(NUMBER).read_bytes())
        if not met:
            break
        print(f"{after}: killed before {kind} number {passing + 1}")
    assert passing < MOST - 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "fsync", "truncate"])
def test_a_kill_before_any_call_on_the_state_loses_and_doubles_nothing(tmp_path, spoken, library, kind):
    for passing in itertools.count(0, 7):
        site = _site(tmp_path / str(passing), spoken(NUMBER), "move")
        met = _killed(site, library, kind, site.state, passing)
        site.once()
        _check(site, "move", spoken(NUMBER).read_bytes())
        if not met:
            break
        print(f"killed before {kind} number {passing + 1} on the state")


def _site(root, recording, after):
    """A site of one recording with a sidecar, all shared folders below one."""
    site = Site(root)
    share = root / "share"
    for name in ("inbox", "outbox", "done"):
        (share / name).mkdir(parents=True)
    keys = {"path": str(share / "inbox"), "outbox": str(share / "outbox"), "after_success": after}
    site.configure(**keys, **({"move_to": str(share / "done")} if after == "move" else {}))
    site.inbox, site.outbox = share / "inbox", share / "outbox"
    (site.inbox / "sub").mkdir()
    shutil.copy(recording, site.inbox / NAME)
    (site.inbox / f"{NAME}.transcribe.toml").write_text('title = "A title"\n')
    return site


def _killed(site, library, kind, folder, passing):
    """Run with a kill before one call; return whether it came to that."""
    script = Script(site.root / "script")
    script.fail(kind, KILL, folder, passing)
    environment = script.environment(library) | ONE_THREAD
    site.process("run", "--once", env=environment)
    return script.stop() > 0


def _check(site, after, recording):
    assert site.text(NAME) == digits(NUMBER)
    assert site.outputs() == FORMATS
    share = site.root / "share"
    kept = {str(path.relative_to(share)): path.read_bytes() for path in _files(share) if ".wav." not in path.name}
    hidden = {path: data for path, data in kept.items() if ".deleted-by-transcribed-" in path}
    visible = {path: data for path, data in kept.items() if path not in hidden}
    where = {"keep": "inbox", "move": "done"}.get(after)
    assert visible == ({f"{where}/{NAME}": recording} if where else {})
    assert all(after == "delete" for _ in hidden)
    assert not [path for path in _files(share) if path.name.startswith(".transcribed-")]
    assert [path.name for path in (site.state / "spool").iterdir()] == []


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]
