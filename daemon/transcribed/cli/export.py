"""Write an existing transcript in another format, without recognizing again.

Knows where transcripts are and how a person may name them; nothing of a running daemon.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from transcribed.config.inbox import Inbox
from transcribed.config.settings import Settings
from transcribed.core.errors import Permanent
from transcribed.output.formats import Format, json_reader, render
from transcribed.output.layout import PLAIN
from transcribed.output.renderer import file_name
from transcribed.output.source_actions import KEEP, SourceAction, recording_url
from transcribed.state.directory import ledger_path
from transcribed.state.queries import read_only


def export(named: str, format: Format, beside: Path, settings: Settings) -> str:
    """Return the text of a transcript in a format.

    `named` is the number of a job, a recording, or a JSON transcript.  `beside` is the folder of the new file, from
    which links lead to its recording.  Raise Permanent if there is no such transcript, Unavailable without a ledger.
    """
    path = Path(named) if named.endswith(".json") and Path(named).is_file() else _json_of(named, settings)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{path} cannot be read.", _NEEDED) from error
    if format == "json":
        return text
    made = json_reader.read(text)
    inbox = next((box for box in settings.inbox if box.path == made.job.source.inbox), None)
    action = SourceAction(inbox.after_success, inbox.move_to) if inbox else KEEP
    recording = recording_url(made.job.source, action, beside)
    return render(made, format, replace(inbox.style if inbox else PLAIN, recording=recording))


def _json_of(named: str, settings: Settings) -> Path:
    ledger = read_only(ledger_path(settings.state_dir))
    try:
        jobs = ledger.find(Path(os.path.abspath(named))) or (ledger.by_id(int(named)) if named.isdecimal() else [])
    finally:
        ledger.close()
    boxes: dict[Path, Inbox] = {inbox.path: inbox for inbox in settings.inbox}
    if not jobs or jobs[0].source.inbox not in boxes:
        raise Permanent(f"{named} is neither a job, nor a recording in an inbox, nor a JSON transcript.", _NEEDED)
    return boxes[jobs[0].source.inbox].outbox / file_name(jobs[0].output, "json")


_NEEDED = "Export needs the JSON transcript; `transcribed explain FILE` shows which files exist."
