"""Finds `runtimes/*/runtime.toml` and answers: how is a function of this runtime started?

Nothing else in pyfc knows a language. The folder is found by path, never by import: an editable install, a wheel and
a plain checkout keep it in different places.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
ROOT = _PACKAGE / "_runtimes" if (_PACKAGE / "_runtimes").is_dir() else _PACKAGE.parent / "runtimes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One folder under `runtimes/`."""

    folder: Path
    names: tuple[str, ...]
    """FC's runtime names that it serves, its own generic name first."""
    start: str
    """The launcher: the name of a file in `host/launchers/`."""
    zygote: str
    """With start = fork: the program of the zygote, in the folder."""
    marks: bool
    """Whether its workers take one frame per read and end each call's output with a mark: what calls that are sent
    ahead need."""
    templates: bool
    """Whether its workers can be templates, which have imported their function and make copies of themselves."""
    refused: Mapping[str, str]
    """Names it knows and will not run, with the reason and what to do."""

    @property
    def name(self) -> str:
        """The language: the folder's name."""
        return self.folder.name


def found(root: Path = ROOT) -> Iterator[Runtime]:
    """Every runtime there is, by name."""
    for path in sorted(root.glob("*/runtime.toml")):
        yield _read(path)


def _read(path: Path) -> Runtime:
    table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return Runtime(
        folder=path.parent,
        names=tuple(table["names"]),
        start=table["start"],
        zygote=table.get("zygote", ""),
        marks=table.get("marks", False),
        templates=table.get("templates", False),
        refused=table.get("refused", {}),
    )


class Runtimes:
    """The runtimes of one server, by the names that functions use."""

    def __init__(self, root: Path = ROOT) -> None:
        self.all = list(found(root))
        self._by_name = {name: runtime for runtime in self.all for name in runtime.names}
        self._refused = {name: reason for runtime in self.all for name, reason in runtime.refused.items()}

    def get(self, name: str) -> Runtime | None:
        """The runtime that runs functions declared with `name`, if there is one."""
        return self._by_name.get(name)

    def why_not(self, name: str) -> str:
        """What to tell the author of a function whose runtime is not here."""
        served = ", ".join(runtime.names[0] for runtime in self.all)
        return self._refused.get(name, f"this pyfc serves {served}")
