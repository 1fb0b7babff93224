"""A site of one recording, all its shared folders below one, and what must be there once it is transcribed.

Knows what the user asked for; nothing of what went wrong on the way.
"""

import shutil
from pathlib import Path

from tests.support.site import Site
from tests.support.speech import digits

NUMBER, NAME = 472953, "sub/a.wav"
FORMATS = {f"{NAME}.{format}" for format in ("json", "srt", "txt", "vtt")}


def share_site(root: Path, recording: Path, after: str) -> Site:
    """Return a site of one recording with a sidecar, to be kept, moved or deleted `after` success."""
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


def check_once(site: Site, after: str, recording: bytes) -> None:
    """Check that the recording is transcribed, where it belongs, and once."""
    assert site.text(NAME) == digits(NUMBER)
    assert site.outputs() == FORMATS
    share = site.root / "share"
    kept = {str(path.relative_to(share)): path.read_bytes() for path in files_of(share) if ".wav." not in path.name}
    hidden = {path: data for path, data in kept.items() if ".deleted-by-transcribed-" in path}
    visible = {path: data for path, data in kept.items() if path not in hidden}
    where = {"keep": "inbox", "move": "done"}.get(after)
    assert visible == ({f"{where}/{NAME}": recording} if where else {})
    assert all(after == "delete" for _ in hidden)
    assert not [path for path in files_of(share) if path.name.startswith(".transcribed-")]
    assert [path.name for path in (site.state / "spool").iterdir()] == []


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
