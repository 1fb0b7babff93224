"""Commands on recordings: explain, retry, reprocess, export.

Each imports what it needs when it runs, and asks the daemon by leaving request files (control_files.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribed.cli import context
from transcribed.cli.context import DEFAULT_CONFIG, Config
from transcribed.core.text import printable
from transcribed.state import control_files

if TYPE_CHECKING:
    from transcribed.cli.reprocess import Changed

app = typer.Typer()


@app.command()
def explain(file: Path, config: Config = DEFAULT_CONFIG) -> None:
    """Explain why a file has no transcript yet, or where the transcript is."""
    with context.sentences():
        from transcribed.cli.explain import explain

        settings = context.settings(config)
        for sentence in explain(Path(os.path.abspath(file)), settings, control_files.read_status(settings.state_dir)):
            typer.echo(printable(sentence))


@app.command()
def retry(
    files: Annotated[list[Path] | None, typer.Argument(help="Recordings that failed or are waiting.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed recording.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Retry files now; if the daemon is not running, at its next start."""
    with context.sentences():
        from transcribed.core.types import State
        from transcribed.state.directory import ledger_path
        from transcribed.state.queries import read_only

        settings = context.settings(config)
        ledger = read_only(ledger_path(settings.state_dir))
        wanted = [Path(os.path.abspath(file)) for file in files or ()]
        wanted += [job.source.path for job in ledger.with_state(State.FAILED)] if failed else []
        unknown = [path for path in wanted if not _can_be_retried(ledger.find(path))]
        for path in (path for path in wanted if path not in unknown):
            control_files.leave_request(settings.state_dir, "retry", path)
            typer.echo(f"{printable(str(path))}: will be retried")
    for path in unknown:
        typer.echo(f"{printable(str(path))}: is neither failed nor waiting; see `transcribed explain`", err=True)
    if unknown or not wanted:
        raise typer.Exit(os.EX_USAGE)


@app.command()
def reprocess(
    files: Annotated[list[Path] | None, typer.Argument(help="Recordings to transcribe again.")] = None,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed",
            help="Every recording whose result would differ now, e.g. after new hotwords or another model.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List them only.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Transcribe recordings again and replace their transcripts."""
    with context.sentences():
        from transcribed.cli import reprocess
        from transcribed.cli.reprocess import Changed
        from transcribed.daemon import factories
        from transcribed.state.directory import ledger_path
        from transcribed.state.queries import read_only

        settings = context.settings(config)
        ledger = read_only(ledger_path(settings.state_dir))
        wanted = [Path(os.path.abspath(file)) for file in files or ()]
        unknown = [path for path in wanted if not ledger.find(path)]
        found = [Changed(p, (), reprocess.is_there(ledger.find(p)[0])) for p in wanted if p not in unknown]
        if changed:
            boxes = {inbox.path: inbox for inbox in settings.inbox}
            found += reprocess.changed(ledger, boxes, factories.inbox_defaults(settings))
        for one in found:
            typer.echo(_line_of(one))
            if one.there and not dry_run:
                control_files.leave_request(settings.state_dir, "reprocess", one.path)
    if not (files or changed):
        typer.echo("Name recordings, or use --changed.", err=True)
    typer.echo(f"{sum(one.there for one in found)} {'would' if dry_run else 'will'} be transcribed again.")
    for path in unknown:
        typer.echo(f"{printable(str(path))}: not known to the daemon; see `transcribed explain`", err=True)
    if unknown or not (files or changed):
        raise typer.Exit(os.EX_USAGE)


def _line_of(one: Changed) -> str:
    why = f": {', '.join(one.differences)}" if one.differences else ""
    return f"{printable(str(one.path))}{why}{'' if one.there else '  (no longer in its inbox; drop it in again)'}"


@app.command()
def export(
    named: Annotated[str, typer.Argument(metavar="JOB|FILE", help="A job number, a recording, or a JSON transcript.")],
    format: Annotated[str, typer.Option("--format", "-f", help="html, md, tsv, lrc, srt, vtt, txt or json.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Output file; default: standard output.")
    ] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Write a transcript in another format, without recognizing again."""
    with context.sentences():
        from transcribed.cli.export import export
        from transcribed.output.formats import FORMATS

        if format not in FORMATS:
            typer.echo(f"{format} is not a known format; choose one of {', '.join(FORMATS)}.", err=True)
            raise typer.Exit(os.EX_USAGE)
        beside = Path(os.path.abspath(output)).parent if output else Path.cwd()
        text = export(named, format, beside, context.settings(config))
        data = text.encode("utf-8", "backslashreplace")  # as in the outbox
        if output is None:
            typer.echo(data, nl=False)
            return
        try:
            output.write_bytes(data)
        except OSError as error:
            typer.echo(f"{output} cannot be written: {error.strerror}.", err=True)
            raise typer.Exit(os.EX_CANTCREAT) from error


def _can_be_retried(jobs: list[Any]) -> bool:
    return bool(jobs) and jobs[0].state in ("failed", "queued")
