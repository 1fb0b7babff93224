"""The commands about models: fetch them, verify them, and list those that are here and those that could be.

Knows the models' store and the public models; loads none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transcribed.cli import context
from transcribed.cli.context import DEFAULT_CONFIG, AsJson, Config

if TYPE_CHECKING:
    from transcribed.config.settings import Settings

app = typer.Typer(help="Download, verify and list models.", no_args_is_help=True)

HERE = "here"


@dataclass(frozen=True, slots=True)
class ListedModel:
    name: str
    also: tuple[str, ...]  # other names that it may be called by
    purpose: str
    languages: tuple[str, ...]
    licence: str
    configured: bool
    state: str  # HERE, "" if it was never fetched, or what is wrong with its files
    folder: str


@app.command("pull")
def pull(
    name: Annotated[str | None, typer.Argument()] = None,
    config: Config = DEFAULT_CONFIG,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Take files other than those publicly known under this name.")
    ] = False,
) -> None:
    """Download a model, by its name on ModelScope, Hugging Face or in FunASR, or all that the configuration names.

    Without a network, copy the model's folder from another machine.
    """
    with context.sentences():
        from transcribed.recognition import model_download

        names = [name] if name else context.settings(config).public_models
        for each in names:
            fetched = model_download.pull(each, context.models_dir(config), any_version=any_version)
            typer.echo(f"{each}: downloaded to {fetched.folder}\n  licence: {fetched.licence}")
    if not names:
        typer.echo(f"{config} names no model that has to be downloaded.")


@app.command("verify")
def verify(name: Annotated[str, typer.Argument()] = "demo", config: Config = DEFAULT_CONFIG) -> None:
    """Compare a model's files with the hashes recorded when it was downloaded."""
    with context.sentences():
        from transcribed.recognition import model_files, model_store

        directory = model_store.locate(name, context.models_dir(config))
        model_files.inspect(directory)
        count = model_store.verify(directory)
    without = "is complete; it has no manifest to compare with"
    typer.echo(f"{name}: {count} files are intact" if count else f"{name} {without}")


@app.command("list")
def list_models(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the models that are here, and the public ones that can be fetched."""
    with context.sentences():
        settings = context.settings(config) if config.exists() else None
        found = list(listed(settings, context.models_dir(config)))
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in found], indent=1, ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(_table(found))


def listed(settings: Settings | None, models_dir: Path) -> Iterator[ListedModel]:
    """Yield the shipped models, the public ones, and what else lies in `models_dir`."""
    from transcribed.recognition import model_store, public_models

    named = {public_models.canonical(name) for name in settings.named_models} if settings else set()
    shipped = {
        model_store.DEMO: ("recognizer, detector", ("en", "zh"), model_store.SHIPPED / "sensevoice"),
        model_store.SILERO: ("speech detector", (), model_store.SILERO_FOLDER),
    }
    for name, (purpose, languages, folder) in shipped.items():
        licence = model_store.facts(name, folder).credit
        yield ListedModel(name, (), purpose, languages, licence, name in named, HERE, str(folder))
    for model in public_models.MODELS:
        also = tuple(filter(None, (*model.short_names, model.hugging_face)))
        folder = model_store.folder_of(model.name, models_dir)
        state, known = _state(folder), model.name in named
        yield ListedModel(model.name, also, model.purpose, model.languages, model.licence, known, state, str(folder))
    yield from _others(models_dir, named)


def _others(models_dir: Path, named: set[str]) -> Iterator[ListedModel]:
    from transcribed.recognition import model_files, model_store, public_models

    for config in sorted(models_dir.glob(f"[!.]*/[!.]*/{model_files.CONFIG}")):
        folder = config.parent
        name = str(folder.relative_to(models_dir))
        if public_models.find(name) is None:
            licence = model_store.facts(name, folder).credit
            yield ListedModel(name, (), "", (), licence, name in named, _state(folder), str(folder))


def _state(folder: Path) -> str:
    from transcribed.core.errors import Misconfigured
    from transcribed.recognition import model_files

    if not folder.is_dir():
        return ""
    try:
        model_files.inspect(folder, (model_files.CONFIG,))
    except Misconfigured as error:
        return str(error)
    return HERE


def _table(found: Iterable[ListedModel]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table("", title="* configured", title_justify="left")
    for heading in ("model", "for", "languages", "here", "licence"):
        table.add_column(heading, overflow="fold")  # whole names: they are there to be copied
    for model in found:
        name = "\n  ".join((model.name, *model.also))
        state = "yes" if model.state == HERE else model.state or "no"
        cells = ("*" if model.configured else "", name, model.purpose, " ".join(model.languages), state, model.licence)
        table.add_row(*map(Text, cells))  # no markup in what a stranger has named
    return table
