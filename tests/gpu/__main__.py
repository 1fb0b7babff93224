"""Measure, print a table, and write the figures as JSON; see the package's first lines."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.gpu.findings import Finding

if TYPE_CHECKING:  # workers import this module, and are to choose their card before PyTorch is there
    from tests.gpu.place import Place

PARTS = ("speed", "idle", "sticky", "busy", "memory", "hog", "kills")


def main() -> int:
    from tests.gpu.place import Place, lacking

    wanted = _arguments()
    place = Place(wanted.device, wanted.folder, wanted.rounds, wanted.seconds)
    if place.is_card and (reason := lacking()):
        sys.exit(reason)
    found = {}
    for name in wanted.part or PARTS:
        started = time.monotonic()
        found[name] = _measured(name, place)
        print(f"\n{name} ({time.monotonic() - started:.0f} s)", *found[name], sep="\n  ", flush=True)
        if wanted.json:
            wanted.json.write_text(
                json.dumps({part: list(map(asdict, some)) for part, some in found.items()}, indent=1)
            )
    return int(not all(finding.holds for some in found.values() for finding in some))


def _measured(name: str, place: Place) -> list[Finding]:
    """A part that fails does not keep the others from being measured."""
    try:
        return import_module(f"tests.gpu.{name}").measure(place)
    except Exception as error:
        traceback.print_exc()
        return [Finding("it ended with an error", f"{type(error).__name__}: {error}"[:500], "none", holds=False)]


def _arguments() -> argparse.Namespace:
    from tests.gpu.place import FOLDER

    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be given again")
    parser.add_argument("--device", default="cuda:0", help='the slot, "cpu:0" for a rehearsal')
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for models and sound; kept")
    parser.add_argument("--rounds", type=int, default=50, help="of kills, robberies; times four, of batches")
    parser.add_argument("--seconds", type=float, default=480.0, help="after which a part begins nothing new")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
