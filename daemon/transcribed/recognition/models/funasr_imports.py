"""Import of FunASR no more than a model is made of.

`import funasr` imports all of its 400 modules, and with them transformers, numba and others: 3 s and 170 MiB in every
process that loads a model.  A model's classes are found by their names in FunASR's registry, so the modules that
register what its config.yaml names are enough; where it is not plain which these are, all are imported.  Knows the
text of a config.yaml; nothing of weights or devices.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"""^@tables\.register\(\s*["']\w+["']\s*,\s*["']([^"']+)["']""", re.M)
_NAME = re.compile(r"[\w./-]+")
_COMPONENT = re.compile(r"""(?:^|[{,])[ \t]*["']?(\w+)["']?:[ \t]*["']?(?!null\b)(\w[\w./-]*)""", re.M)  # JSON's, too

Homes = Mapping[str, Mapping[str, str]]  # by name of a class: the modules that register it, and their texts


def provide(config: str) -> None:
    """Import FunASR and the classes that a config.yaml names; all that it has, where that leaves a doubt."""
    modules = needed(config, homes())
    if modules is not None:
        with _none_to_walk():
            import funasr  # noqa: F401
        for module in modules:
            with contextlib.suppress(Exception):  # as FunASR does; what is not there then is seen below
                importlib.import_module(module)
    if modules is None or lacking(config):
        provide_all()


def provide_all() -> None:
    """Import all of FunASR's modules, as `import funasr` does; those that fail, it keeps in mind."""
    begun = "funasr" in sys.modules
    import funasr

    if begun:
        funasr.import_submodules("funasr")


def needed(config: str, homes: Homes) -> list[str] | None:
    """The modules that register what a config.yaml names; None if several register one name with other texts.

    Of those the one that FunASR imports last counts, and only importing them all tells which.  Where the texts are the
    same (ParaformerSANMDecoder in FunASR 1.4.5 to 1.4.16), any will do.
    """
    named = [homes[name] for name in _NAME.findall(config) if name in homes]
    if any(len(set(modules.values())) > 1 for modules in named):
        return None
    return sorted({min(modules) for modules in named})


def components(config: str) -> list[tuple[str, str]]:
    """What a model is made of (`encoder: NAME`), but for the `dataset`, which only training uses."""
    return [(kind, name) for kind, name in _COMPONENT.findall(config) if kind != "dataset"]


def lacking(config: str) -> list[str]:
    """The components that FunASR has a table for, but no such class in it."""
    from funasr.register import tables

    return [name for kind, name in components(config) if name not in getattr(tables, f"{kind}_classes", {name})]


def missing(config: str) -> list[str]:
    """What is lacking, each with the reason if its module is there and fails; known once all were imported."""
    import funasr

    errors, known = funasr.get_import_errors(), homes()
    reasons = {name: [errors[m] for m in known.get(name, ()) if m in errors] for name in lacking(config)}
    return [f"{name} ({reason[0]})" if reason else name for name, reason in reasons.items()]


def homes() -> Homes:
    """Which modules register which class, read from FunASR's sources: 0.03 s, where importing them takes 3 s."""
    found: dict[str, dict[str, str]] = {}
    spec = find_spec("funasr")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            module = ".".join(("funasr", *path.relative_to(folder).with_suffix("").parts))
            for name in _REGISTERED.findall(text):
                found.setdefault(name, {})[module] = text
    return found


@contextlib.contextmanager
def _none_to_walk() -> Iterator[None]:
    """For as long as this lasts, pkgutil finds no modules to walk: FunASR has no other way to be imported without all.

    Nothing else is imported meanwhile: FunASR's own first module needs only what Python comes with.
    """
    walk = pkgutil.walk_packages
    pkgutil.walk_packages = lambda *_, **__: iter(())
    try:
        yield
    finally:
        pkgutil.walk_packages = walk
