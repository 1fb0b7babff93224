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
from transcribed.cli import context, recordings
from transcribed.cli.context import DEFAULT_CONFIG, AsJson, Config
from transcribed.core.text import printable
from transcribed.state import control_files

if TYPE_CHECKING:
    from transcribed.config.settings import Settings

app = typer.Typer(
    help="Turn audio dropped in folders into transcripts.", no_args_is_help=True, pretty_exceptions_enable=False
)
models = typer.Typer(help="Fetch and check models.", no_args_is_help=True)
app.add_typer(models, name="models")
app.add_typer(recordings.app)


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Work until nothing is left, then exit.")] = False,
) -> None:
    """Watch the inboxes and transcribe, in the foreground."""
    try:
        left = _run(config, once=once)
        code = os.EX_TEMPFAIL if left else os.EX_OK
    except typer.Exit as error:
        left, code = 0, error.exit_code
    if left:
        typer.echo(f"{left} files still wait; see `transcribed status`.", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a share that hangs may hold a thread for ever


def _run(config: Path, *, once: bool) -> int:
    """How many files still wait, where it was to run once."""
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
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders, to look around.")] = False,
) -> None:
    """Transcribe the shipped recordings in a temporary inbox; succeeds only if every word is right."""
    with context.sentences():
        from transcribed.cli.demo import demonstrate

        wrong = demonstrate(keep)
    if wrong:
        raise typer.Exit(os.EX_SOFTWARE)


@app.command()
def status(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it, with a bar of the backlog.")] = False,
) -> None:
    """How the daemon is, what it does, what waits and what failed."""
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
    """How much audio each device takes now, how fast it is, and when the backlog is done."""
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
    everything: Annotated[bool, typer.Option("--all", help="All that was ever told and is kept.")] = False,
) -> None:
    """Which alerts are active, and what was told of late."""
    from transcribed.cli import terminal
    from transcribed.operations.alerts import alert_log

    state = control_files.read_alerts(context.state_dir(config))
    if state is None:
        typer.echo(f"No daemon has ever looked for alerts with {context.state_dir(config)}.", err=True)
        raise typer.Exit(os.EX_UNAVAILABLE)
    log = Path(state["log"]) if state["log"] else None
    records = [] if log is None else alert_log.everything(log) if everything else alert_log.last(log, 10)
    active = [entry for entry in state["entries"] if entry["active"]]
    document = {"at": state["at"], "active": active, "channels": state["channels"], "told": records}
    for line in [json.dumps(document, indent=1)] if as_json else terminal.alert_lines(state, records):
        typer.echo(line)


@app.command("test-alert")
def test_alert(config: Config = DEFAULT_CONFIG) -> None:  # noqa: PT028  no test of pytest's
    """Send a test through every alert channel, and say of each whether it was taken.

    The running service sends it, as it would an alert; if it is down, this command does.
    """
    with context.sentences():
        from transcribed.operations.alerts import notifier

        settings = context.settings(config)
        if not (settings.alerts.urls or settings.alerts.credentials):
            typer.echo(f"{config} names no channel: set `urls` or `credentials` in [alerts].", err=True)
            raise typer.Exit(os.EX_CONFIG)
        if (control_files.read_status(settings.state_dir) or {}).get("alive"):
            results = notifier.ask_test(settings.state_dir)
        else:
            typer.echo("The service is not running: sent from here, which may reach what the service does not.")
            results = notifier.deliver(notifier.channels(settings.alerts), notifier.TEST)
    for result in results:
        typer.echo(
            f"{result.channel}: {'taken' if result.reason is None else 'NOT taken: ' + printable(result.reason)}"
        )
    if not results or any(result.reason for result in results):
        raise typer.Exit(os.EX_UNAVAILABLE)


@app.command("check-config")
def check_config(
    config: Config = DEFAULT_CONFIG,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing if all is well.")] = False,
) -> None:
    """Check the configuration, the folders and the models it names; every fault at once."""
    with context.sentences():
        from transcribed.ingest.preparation.overrides import hotword_file_error

        settings = context.checked(config)
        if not quiet:
            for inbox in settings.inbox:
                missing = "" if all(map(os.path.isdir, (inbox.path, inbox.outbox))) else "  (not there now)"
                typer.echo(f"{inbox.path} -> {inbox.outbox}  {inbox.model}, {', '.join(inbox.formats)}{missing}")
                if fault := hotword_file_error(inbox.path, inbox.hotwords_file):
                    typer.echo(f"  Its recordings would wait: {printable(fault)}", err=True)
            typer.echo(f"{config} is good.")


@app.command()
def doctor(
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option("--quick", help="Load neither PyTorch nor a model.")] = False,
    write_drop_in: Annotated[
        bool, typer.Option("--write-drop-in", help="Open the unit's sandbox for the configured folders, and exit.")
    ] = False,
    unit: Annotated[str, typer.Option("--unit", help="The unit that runs the daemon.")] = "transcribed.service",
) -> None:
    """Look at everything the service needs, and say what to do about what is amiss.

    Exits with 0 if nothing keeps recordings from being transcribed, 69 if something does, 78 for a bad configuration.
    """
    with context.sentences():
        from transcribed.cli import terminal
        from transcribed.config.loader import read
        from transcribed.doctor import runner as doctors
        from transcribed.doctor.unit_file import find
        from transcribed.system import log

        log.set_up("error", None)  # what workers warn of is found, too
        settings, its_unit = read(config), find(unit)
        if write_drop_in:
            typer.echo(f"Wrote {doctors.write_drop_in(settings, config, its_unit)}.")
            typer.echo(f"To apply it: systemctl daemon-reload && systemctl restart {unit.removesuffix('.service')}")
            return
        sections = doctors.examine(doctors.checks(settings, its_unit, quick=quick))
        found = [*(sections if as_json else terminal.doctor_lines(sections))]
    faults = doctors.faults(found)
    typer.echo(json.dumps(doctors.document(found), indent=1) if as_json else terminal.verdict(faults))
    sys.stdout.flush()
    os._exit(os.EX_UNAVAILABLE if faults else os.EX_OK)  # a process that hangs in the kernel is not waited for


@app.command("example-config")
def example_config() -> None:
    """Print a configuration with every key and its meaning."""
    from transcribed.config.example import example

    typer.echo(example(), nl=False)


@models.command("pull")
def pull(name: str, config: Config = DEFAULT_CONFIG) -> None:
    """Fetch a model such as iic/SenseVoiceSmall, and record what its files hash to."""
    with context.sentences():
        from transcribed.recognition.model_store import pull

        typer.echo(f"fetched to {pull(name, context.models_dir(config))}")


@models.command("verify")
def verify(name: Annotated[str, typer.Argument()] = "demo", config: Config = DEFAULT_CONFIG) -> None:
    """Compare a model's files with what was recorded when it was fetched."""
    with context.sentences():
        from transcribed.recognition.model_store import locate, verify

        count = verify(locate(name, context.models_dir(config)))
    typer.echo(f"{name}: {count} files are whole" if count else f"{name} has no manifest to compare with")


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Turn audio dropped in folders into transcripts."""
    if version:
        typer.echo(f"transcribed {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    sys.exit(app())
