"""Import only those parts of FunASR that a model needs.

`import funasr` imports all of its 400 modules, and with them transformers, numba and others: 3 s and 170 MiB in every
process that loads a model.  A model's classes are looked up by name in FunASR's registry, so the modules that register
the names in its config.yaml are enough; if these are ambiguous, all are imported.  Knows the text of a config.yaml;
nothing of weights or devices.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

_REGISTERED = re.compile(r"""^@tables\.register\(\s*["']\w+["']\s*,\s*["']([^"']+)["']""", re.M)
_NAME = re.compile(r"[\w./-]+")
_COMPONENT = re.compile(r"""(?:^|[{,])[ \t]*["']?(\w+)["']?:[ \t]*["']?(?!null\b)(\w[\w./-]*)""", re.M)  # JSON's, too
_CLUSTERING = "funasr.models.campplus.utils"

Homes = Mapping[str, Mapping[str, str]]  # by name of a class: the modules that register it, and their texts


def provide(config: str) -> None:
    """Import FunASR and the classes that a config.yaml names; all its modules if these are ambiguous or not enough."""
    modules = needed(config, homes())
    if modules is not None:
        with _none_to_walk():
            import funasr  # noqa: F401
        for module in modules:
            with contextlib.suppress(Exception):  # as FunASR does; missing classes are found below
                importlib.import_module(module)
    if modules is None or lacking(config):
        provide_all()


def provide_all() -> None:
    """Import all of FunASR's modules, as `import funasr` does, which records those that fail."""
    begun = "funasr" in sys.modules
    import funasr

    if begun:
        funasr.import_submodules("funasr")


def needed(config: str, homes: Homes) -> list[str] | None:
    """Return the modules that register the names in a config.yaml; None if modules with different texts register one.

    Then the module that FunASR imports last counts, and only importing them all shows which.  If the texts are the same
    (ParaformerSANMDecoder in FunASR 1.4.5 to 1.4.16), any of them will do.
    """
    named = [homes[name] for name in _NAME.findall(config) if name in homes]
    if any(len(set(modules.values())) > 1 for modules in named):
        return None
    return sorted({min(modules) for modules in named})


def components(config: str) -> list[tuple[str, str]]:
    """Return the components of a model (`encoder: NAME`), except the `dataset`, which only training uses."""
    return [(kind, name) for kind, name in _COMPONENT.findall(config) if kind != "dataset"]


def lacking(config: str) -> list[str]:
    """Return the components for which FunASR has a table without such a class."""
    from funasr.register import tables

    return [name for kind, name in components(config) if name not in getattr(tables, f"{kind}_classes", {name})]


def missing(config: str) -> list[str]:
    """Return the lacking components, each with its module's import error, if any; call once all were imported."""
    import funasr

    errors, known = funasr.get_import_errors(), homes()
    reasons = {name: [errors[m] for m in known.get(name, ()) if m in errors] for name in lacking(config)}
    return [f"{name} ({reason[0]})" if reason else name for name, reason in reasons.items()]


def homes() -> Homes:
    """Find out which modules register which class, from FunASR's sources: 0.03 s, while importing them takes 3 s."""
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
def no_programs() -> Iterator[None]:
    """Let no program be found for the duration: while it is imported, FunASR runs `ffmpeg -version`, which we have no
    need of, and which a confined process may not do.
    """
    usual = os.environ.get("PATH")
    os.environ["PATH"] = "/nonexistent"
    try:
        yield
    finally:
        del os.environ["PATH"]
        os.environ.update({} if usual is None else {"PATH": usual})


@contextlib.contextmanager
def no_clustering() -> Iterator[None]:
    """Let FunASR find nothing that tells speakers apart while its AutoModel is imported.

    It offers to cluster them, and does without if it cannot.  Only for that it imports scikit-learn and SciPy's
    statistics: 85 MiB and a third of the start in every process that loads a model.
    """
    known = sys.modules.get(_CLUSTERING)
    sys.modules[_CLUSTERING] = None  # type: ignore[assignment]  # as the import system defines: it cannot be imported
    try:
        yield
    finally:
        del sys.modules[_CLUSTERING]
        sys.modules.update({_CLUSTERING: known} if known else {})


@contextlib.contextmanager
def _none_to_walk() -> Iterator[None]:
    """Hide all modules from pkgutil for the duration: FunASR cannot be imported without all of them in any other way.

    Nothing else is imported meanwhile: FunASR's own first module needs only the standard library.
    """
    walk = pkgutil.walk_packages
    pkgutil.walk_packages = lambda *_, **__: iter(())
    try:
        yield
    finally:
        pkgutil.walk_packages = walk
