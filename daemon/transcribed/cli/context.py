"""Shared parts of the commands: find the configuration and the daemon's state, print errors as sentences.

Imports lazily, so that `transcribed status` answers at once.  Exit codes are those of sysexits.h.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribed.state import control_files

if TYPE_CHECKING:
    from transcribed.config.settings import Settings
    from transcribed.state.status_document import StatusDocument

DEFAULT_CONFIG = Path("/etc/transcribed/transcribed.toml")

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="TRANSCRIBED_CONFIG", help="The configuration file.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn an expected error into a sentence and an exit code, never a traceback."""
    from transcribed.core.errors import Misconfigured, TranscribedError

    try:
        yield
    except TranscribedError as error:
        typer.echo(str(error), err=True)
        if error.hint:
            typer.echo(error.hint, err=True)
        raise typer.Exit(os.EX_CONFIG if isinstance(error, Misconfigured) else os.EX_TEMPFAIL) from error


def settings(config: Path) -> Settings:
    """Read the configuration.  Raise Misconfigured."""
    from transcribed.config.loader import read

    return read(config)


def checked(config: Path, *, strict: bool = True) -> Settings:
    """Return the settings after checking folders and models; permissions too if `strict`.  Raise Misconfigured."""
    from transcribed.config.loader import load
    from transcribed.daemon import factories

    found = load(config, strict=strict)
    factories.check_models(found)
    return found


def models_dir(config: Path) -> Path:
    """Return the configured folder of models, or the default one without a configuration."""
    from transcribed.config.settings import Settings

    return settings(config).models_dir if config.exists() else Settings().models_dir


def state_dir(config: Path) -> Path:
    """Return the configured state directory, without the cost of checking the whole configuration."""
    named = os.environ.get("TRANSCRIBED_STATE_DIR")
    if not named and config.is_file():
        try:
            named = tomllib.loads(config.read_text()).get("state_dir")
        except (OSError, ValueError, RecursionError) as error:
            typer.echo(f"{config}: {error}", err=True)
            raise typer.Exit(os.EX_CONFIG) from error
    configured = named if isinstance(named, str) else ""
    return Path(configured or os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/transcribed")


def status(config: Path) -> StatusDocument:
    """Return the daemon's status document; exit the command if there is none, or it cannot be read."""
    found = control_files.read_status(folder := state_dir(config))
    if found is not None:
        return found
    if os.path.lexists(folder / control_files.STATUS):
        typer.echo(f"The status in {folder} is damaged, or of another version: restart the daemon.", err=True)
    else:
        typer.echo(f"No daemon has ever run with {folder}.", err=True)
    raise typer.Exit(os.EX_UNAVAILABLE)
