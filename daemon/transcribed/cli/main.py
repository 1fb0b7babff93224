"""The command line.  Each command imports what it needs when it runs, so that `status` answers at once.

Exit codes are those of sysexits.h: 64 usage, 65 bad data, 69 unavailable, 75 try later, 78 configuration.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribed import __version__
from transcribed.cli import context, models, recordings
from transcribed.cli.context import DEFAULT_CONFIG, AsJson, Config
from transcribed.core.text import printable
from transcribed.state import control_files

if TYPE_CHECKING:
    from transcribed.config.settings import Settings

UMASK = 0o027  # our group may read what we write, others nothing; what is not for the group is made so where it is made

app = typer.Typer(
    help="Turn audio dropped into folders into transcripts.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(models.app, name="models")
app.add_typer(recordings.app)


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Process everything that is waiting, then exit.")] = False,
) -> None:
    """Watch the inboxes and transcribe recordings, in the foreground."""
    try:
        left = _run(config, once=once)
        code = os.EX_TEMPFAIL if left else os.EX_OK
    except typer.Exit as error:
        left, code = 0, error.exit_code
    if left:
        typer.echo(f"Files still waiting: {left}; see `transcribed status`.", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a hung share may block a thread forever


def _run(config: Path, *, once: bool) -> int:
    """Run the daemon.  Return the number of files still waiting after `--once`, else 0."""
    os.umask(UMASK)
    with context.sentences():
        from transcribed.cli import terminal
        from transcribed.config.settings import log_folder
        from transcribed.daemon.daemon import Daemon
        from transcribed.daemon.supervisor import Supervisor
        from transcribed.system import log

        def made(settings: Settings, **options: Any) -> Daemon:
            log.set_up(settings.log.level, log_folder(settings), settings.log.rotated)
            return Daemon(settings, **options)

        log.set_up("info", None)
        if once:
            with terminal.Bar() if sys.stderr.isatty() else contextlib.nullcontext() as bar:
                return made(context.checked(config), once=True, observers=(bar,) if bar else ()).run()
        Supervisor(lambda strict: context.checked(config, strict=strict), made).run()
        return 0


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders for inspection.")] = False,
) -> None:
    """Transcribe the shipped recordings in a temporary inbox; succeed only if every word is right."""
    with context.sentences():
        from transcribed.cli.demo import demonstrate

        wrong = demonstrate(keep)
    if wrong:
        raise typer.Exit(os.EX_SOFTWARE)


@app.command()
def status(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep the display up to date, with a progress bar.")
    ] = False,
) -> None:
    """Show the state of the daemon: work in progress, waiting and failed files."""
    from transcribed.cli import terminal

    found = context.status(config)
    for line in [json.dumps(found, indent=1)] if as_json else terminal.status_lines(found) if not watch else ():
        typer.echo(line)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            terminal.watch(lambda: control_files.read_status(context.state_dir(config)))
    if not found["alive"]:
        raise typer.Exit(os.EX_UNAVAILABLE)


@app.command()
def capacity(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show the audio that fits on each device now, its speed, and when the backlog will be done."""
    from rich.console import Console

    from transcribed.cli import terminal

    found = context.status(config)
    if as_json:
        typer.echo(json.dumps({key: found[key] for key in ("slots", "backlog")}, indent=1))
    else:
        Console().print(terminal.capacity(found))
    if not found["alive"]:
        raise typer.Exit(os.EX_UNAVAILABLE)


@app.command()
def alerts(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every alert still in the log.")] = False,
) -> None:
    """Show active and recent alerts."""
    from transcribed.cli import terminal
    from transcribed.operations.alerts import alert_log

    state = control_files.read_alerts(context.state_dir(config))
    if state is None:
        typer.echo(f"No daemon has checked for alerts yet with {context.state_dir(config)}.", err=True)
        raise typer.Exit(os.EX_UNAVAILABLE)
    log = Path(state["log"]) if state["log"] else None
    records = [] if log is None else alert_log.everything(log) if everything else alert_log.last(log, 10)
    active = [entry for entry in state["entries"] if entry["active"]]
    document = {"at": state["at"], "active": active, "channels": state["channels"], "told": records}
    for line in [json.dumps(document, indent=1)] if as_json else terminal.alert_lines(state, records):
        typer.echo(line)


@app.command("test-alert")
def test_alert(config: Config = DEFAULT_CONFIG) -> None:  # noqa: PT028  no test of pytest's
    """Send a test message through every alert channel, and report for each whether it was sent.

    The running service sends the message, as it would an alert.  If the service is down, this command sends it.
    """
    with context.sentences():
        from transcribed.operations.alerts import notifier

        settings = context.settings(config)
        if not (settings.alerts.urls or settings.alerts.credentials):
            typer.echo(f"{config} has no alert channel; set `urls` or `credentials` in [alerts].", err=True)
            raise typer.Exit(os.EX_CONFIG)
        if (status := control_files.read_status(settings.state_dir)) and status["alive"]:
            results = notifier.ask_test(settings.state_dir)
        else:
            typer.echo(
                "The service is not running; this command sends the test and may reach hosts the service cannot."
            )
            results = notifier.deliver(notifier.channels(settings.alerts), notifier.TEST)
    for result in results:
        typer.echo(f"{result.channel}: {'sent' if result.reason is None else 'NOT sent: ' + printable(result.reason)}")
    if not results or any(result.reason for result in results):
        raise typer.Exit(os.EX_UNAVAILABLE)


@app.command("check-config")
def check_config(
    config: Config = DEFAULT_CONFIG,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing if the configuration is valid.")] = False,
) -> None:
    """Check the configuration, its folders and its models, and report all faults at once."""
    with context.sentences():
        from transcribed.daemon import factories
        from transcribed.ingest.preparation.overrides import hotword_faults

        settings = context.checked(config)
        if not quiet:
            for inbox in settings.inbox:
                missing = "" if all(map(os.path.isdir, (inbox.path, inbox.outbox))) else "  (not available now)"
                typer.echo(f"{inbox.path} -> {inbox.outbox}  {inbox.model}, {', '.join(inbox.formats)}{missing}")
                for fault in hotword_faults(inbox.path, inbox.hotwords_file):
                    typer.echo(f"  Passed over in the hotwords: {printable(fault)}", err=True)
            for caution in factories.cautions(settings):
                typer.echo(caution)
            typer.echo(f"{config} is valid.")


@app.command()
def doctor(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not load PyTorch or a model.")] = False,
    write_drop_in: Annotated[
        bool, typer.Option("--write-drop-in", help="Open the unit's sandbox for the configured folders, then exit.")
    ] = False,
    unit: Annotated[str, typer.Option("--unit", help="The unit that runs the daemon.")] = "transcribed.service",
) -> None:
    """Check everything the service needs, and suggest a fix for each problem.

    Exit with 0 if recordings can be transcribed, 69 if something prevents it, 78 for an invalid configuration.
    """
    with context.sentences():
        from transcribed.cli import terminal
        from transcribed.config.loader import read
        from transcribed.doctor import runner as doctors
        from transcribed.doctor.unit_file import find
        from transcribed.system import log

        log.set_up("error", None)  # findings repeat what workers would warn about
        settings, its_unit = read(config), find(unit)
        if write_drop_in:
            typer.echo(f"Wrote {doctors.write_drop_in(settings, config, its_unit)}.")
            typer.echo(f"To apply: systemctl daemon-reload && systemctl restart {unit.removesuffix('.service')}")
            return
        sections = doctors.examine(doctors.checks(settings, its_unit, quick=quick))
        found = [*(sections if as_json else terminal.doctor_lines(sections))]
    faults = doctors.faults(found)
    typer.echo(json.dumps(doctors.document(found), indent=1) if as_json else terminal.verdict(faults))
    sys.stdout.flush()
    os._exit(os.EX_UNAVAILABLE if faults else os.EX_OK)  # do not wait for a process stuck in the kernel


@app.command("example-config")
def example_config() -> None:
    """Print a configuration with every key, its meaning and its default."""
    from transcribed.config.example import example

    typer.echo(example(), nl=False)


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Turn audio dropped into folders into transcripts."""
    os.environ["PYTHONSAFEPATH"] = "1"  # else children import what lies in the current folder: perhaps an inbox
    if version:
        typer.echo(f"transcribed {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    sys.exit(app())
