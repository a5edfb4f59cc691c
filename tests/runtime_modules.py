"""Modules of the runtimes, for tests: they are loaded by path and share their names with each other's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

from pyfc.host.runtimes import ROOT


def load(folder: str, *names: str) -> list[ModuleType]:
    """Modules of one runtime, as its workers import them; nobody else's import finds them afterwards."""
    places = [str(ROOT / folder), str(ROOT / "python"), str(ROOT.parent / "pyfc" / "sandbox" / "inside")]
    shared = {path.stem for place in places for path in Path(place).glob("*.py")}
    others = {name: sys.modules.pop(name) for name in shared & set(sys.modules)}
    with mock.patch.object(sys, "path", [*places, *sys.path]):
        try:
            return [importlib.import_module(name) for name in names]
        finally:
            for name in shared & set(sys.modules):
                del sys.modules[name]
            sys.modules.update(others)
