"""Plant faults in the modules that keep the promises, one at a time, and see whether the tests notice.

    python -m tests.tools.planted_faults --seed 12 --count 40      # drawn by machine
    python -m tests.tools.planted_faults --subtle                  # those of subtle_faults.py, made by hand

Each fault is planted in a copy of the repository.  First the tests of its room run, then, if none fails, the whole
default suite.  A survivor is listed: it changes nothing that anybody sees, or a test is missing.  Knows Python's syntax
and pytest's exit codes; nothing of what the modules do.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.tools.subtle_faults import SUBTLE

ROOT = Path(__file__).parents[2]
PACKAGE = Path("daemon/transcribed")
KEEPERS = (
    *("state/ledger.py", "state/queries.py", "state/schema.py", "state/spool.py", "state/checkpoint.py"),
    *(
        "output/outbox.py",
        "output/source_actions.py",
        "output/delivery.py",
        "output/coverage.py",
        "system/safe_open.py",
    ),
    *("pipeline/pipeline.py", "pipeline/intake.py", "pipeline/deliveries.py"),
    *("pipeline/source_cleanup.py", "pipeline/retry_policy.py", "pipeline/active_job.py", "pipeline/held_events.py"),
    *("ingest/watcher.py", "ingest/stability.py", "ingest/scanner.py", "ingest/reported_files.py"),
    *(
        "ingest/preparation/source_file.py",
        "pipeline/scheduling/batcher.py",
        "pipeline/scheduling/dispatcher.py",
        "core/mailbox.py",
    ),
)
QUICK = ("not slow and not gpu and not systemd and not alone",)
_SWAPPED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Add, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of one module: a text, and what replaces it."""

    module: str  # below the package
    old: str
    new: str

    def plant(self, root: Path) -> None:
        path = root / PACKAGE / self.module
        text = path.read_text()
        assert text.count(self.old) >= 1, f"{self.module} no longer holds {self.old!r}"
        path.write_text(text.replace(self.old, self.new, 1))

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.old.split())[:70]!r} -> {' '.join(self.new.split())[:70]!r}"


def drawn(seed: int, count: int) -> list[Fault]:
    """Return faults drawn from all that can be planted by machine, a module at most three times."""
    dice = random.Random(seed)
    every = [list(_of_module(module)) for module in KEEPERS]
    some = [fault for faults in every for fault in dice.sample(faults, min(3, len(faults)))]
    return dice.sample(some, min(count, len(some)))


def _of_module(module: str) -> Iterator[Fault]:
    """Yield every fault of a module: a statement with an operator swapped, a condition turned, or a call gone."""
    text = (ROOT / PACKAGE / module).read_text()
    tree = ast.parse(text)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef):
                old = ast.get_source_segment(text, node)
                if old and text.count(old) == 1:
                    yield from (Fault(module, old, new) for new in _changed(node, old) if new != old)


def _changed(statement: ast.stmt, old: str) -> Iterator[str]:
    indent = " " * statement.col_offset
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield "pass"
    if isinstance(statement, ast.If):
        other = copy.deepcopy(statement)
        other.test = ast.UnaryOp(ast.Not(), other.test)
        yield _source(other, indent)
    if isinstance(statement, ast.Return | ast.Assign | ast.If | ast.Expr) and not _is_docstring(statement):
        for number, node in enumerate(_own_nodes(statement)):
            if _swap(node) is not None:
                other = copy.deepcopy(statement)
                _apply(list(_own_nodes(other))[number])
                yield _source(other, indent)
                return


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement itself, not those of the blocks below it."""
    value = statement.test if isinstance(statement, ast.If) else getattr(statement, "value", None)
    yield from ast.walk(value) if value is not None else ()


def _swap(node: ast.AST) -> type[ast.AST] | None:
    operator = node.ops[0] if isinstance(node, ast.Compare) else getattr(node, "op", None)
    return _SWAPPED.get(type(operator))  # type: ignore[call-overload, no-any-return]


def _apply(node: ast.AST) -> None:
    swapped = _swap(node)
    assert swapped is not None
    if isinstance(node, ast.Compare):
        node.ops[0] = swapped()  # type: ignore[call-overload]
    else:
        node.op = swapped()  # type: ignore[attr-defined]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _source(statement: ast.stmt, indent: str) -> str:
    return ast.unparse(ast.fix_missing_locations(statement)).replace("\n", f"\n{indent}")


def is_caught(fault: Fault, whole: bool) -> str | None:
    """Return which run of tests failed; None if none did."""
    with tempfile.TemporaryDirectory() as copied:
        root = Path(copied) / "repository"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".venv", ".git", "build", "__pycache__", ".*_cache"))
        fault.plant(root)
        room = Path(fault.module).parts[0]
        first = [path for path in (f"tests/unit/{room}", f"tests/integration/{room}") if (root / path).exists()]
        for tests in (first, ["tests"])[: 2 if whole else 1]:
            if _fails(root, tests):
                return " ".join(tests)
    return None


def _fails(root: Path, tests: list[str]) -> bool:
    environment = os.environ | {"PYTHONPATH": str(root / "daemon"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "--dist", "loadfile", "-m", *QUICK, *tests]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1, 2), done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--subtle", action="store_true", help="those made by hand instead")
    parser.add_argument("--rooms-only", action="store_true", help="do not run the whole suite for what survives")
    parser.add_argument("--list", action="store_true", help="print them and plant nothing")
    wanted = parser.parse_args()
    faults = [Fault(*one) for one in SUBTLE] if wanted.subtle else drawn(wanted.seed, wanted.count)
    survivors = []
    for number, fault in enumerate(faults, 1):
        by = "listed" if wanted.list else is_caught(fault, whole=not wanted.rooms_only)
        print(f"{number:3} {'caught by ' + by if by else 'SURVIVED'}  {fault}", flush=True)
        survivors += [] if by else [fault]
    print(f"{len(faults)} faults, {len(survivors)} survived")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
