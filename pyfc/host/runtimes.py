"""Finds `runtimes/*/runtime.toml` and answers: how is a function of this runtime started?

Nothing else in pyfc knows a language. The folder is found by path, never by import: an editable install, a wheel and
a plain checkout keep it in different places.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyfc.host.interpreters import OWN, Interpreter, candidates, choose

_PACKAGE = Path(__file__).resolve().parents[1]
ROOT = _PACKAGE / "_runtimes" if (_PACKAGE / "_runtimes").is_dir() else _PACKAGE.parent / "runtimes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One folder under `runtimes/`."""

    folder: Path
    names: tuple[str, ...]
    """FC's runtime names that it serves, its own generic name first."""
    title: str
    """The language as people write it."""
    start: str
    """The launcher: the name of a file in `workers/launchers/`."""
    zygote: Path
    """The program of the zygote that its workers are forks of, or are started by."""
    interpreter: tuple[str, ...]
    """Names of programs that run it, the first that is found counts; {version} stands for the version in the name."""
    oldest: str
    """Version of the interpreter below which it does not work."""
    install: str
    """What to do when there is no interpreter."""
    argv: tuple[str, ...]
    """With start = exec: the command, with {interpreter}, {root} (the folder) and {memory} (MB of the function)."""
    early: tuple[str, ...]
    """With start = exec: environment variables that count when a program starts, so that a function which declares one
    cannot have a worker that was started before.
    """
    exhausted: str
    """What a worker writes before it aborts for want of memory."""
    marks: bool
    """Whether its workers take one frame per read and end each call's output with a mark: what calls that are sent
    ahead need."""
    templates: bool
    """Whether its workers can be templates, which have imported their function and make copies of themselves."""
    compiles: bool
    """Whether a worker with an empty handler compiles the code into the cache."""
    debuggers: Mapping[str, str]
    """The ways of debugging its functions, each with the Python module that it needs; '' for none."""
    profiler: str
    """What looks into its workers while they run: `py-spy`, a program; `own`, a socket of theirs; '' for nothing."""
    serves: bool
    """Whether its workers start the user's own server (FC's custom runtime)."""
    pulls: tuple[str, ...]
    """Those of its names whose programs ask for their calls instead of listening."""
    is_required: bool
    """Whether a machine on which pyfc is tested must have its interpreter."""
    lacks: Mapping[str, str]
    """Cases of the conformance kit that it does not pass, with the reason."""
    reserved: Mapping[str, str]
    """Cases of the conformance kit whose names are words of the language, with those of their handlers."""
    commands: tuple[str, ...]
    """Names by which programs of custom runtimes find its interpreter."""
    ended: Mapping[str, str]
    """Names of versions that this one stands in for, with what to tell about that."""
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
    folder = path.parent
    return Runtime(
        folder=folder,
        names=tuple(table["names"]),
        title=table["title"],
        start=table["start"],
        zygote=(folder / table.get("zygote", "../python/zygote.py")).resolve(),
        interpreter=tuple(table.get("interpreter", [OWN])),
        oldest=table.get("oldest", "0"),
        install=table.get("install", ""),
        argv=tuple(table.get("argv", [])),
        early=tuple(table.get("early", [])),
        exhausted=table.get("exhausted", ""),
        marks=table.get("marks", False),
        templates=table.get("templates", False),
        compiles=table.get("compiles", False),
        debuggers=table.get("debuggers", {}),
        profiler=table.get("profiler", ""),
        serves=table.get("serves", False),
        pulls=tuple(table.get("pulls", [])),
        is_required=table.get("required", True),
        lacks=table.get("lacks", {}),
        reserved=table.get("reserved", {}),
        commands=tuple(table.get("commands", [])),
        ended=table.get("ended", {}),
        refused=table.get("refused", {}),
    )


_OF_FC = ("python", "nodejs", "java", "php", "dotnetcore", "go1", "custom")
"""What the names of FC's runtimes begin with."""


class Runtimes:
    """The runtimes of one server, by the names that functions use."""

    def __init__(self, root: Path = ROOT) -> None:
        self.all = list(found(root))
        self._by_name = {name: runtime for runtime in self.all for name in (*runtime.names, *runtime.ended)}
        self._refused = {name: reason for runtime in self.all for name, reason in runtime.refused.items()}
        self._interpreters: dict[str, Interpreter | None] = {}
        self.base = self._by_name["python3"]
        """The one in whose language pyfc is written: its zygote also starts the programs of the others."""

    def get(self, name: str) -> Runtime | None:
        """The runtime that runs functions declared with `name`, if there is one that can be run here."""
        runtime = self._by_name.get(name)
        return runtime if runtime is not None and self.interpreter(name) is not None else None

    def interpreter(self, name: str) -> Interpreter | None:
        """The program for functions declared with `name`, the name of a runtime that there is."""
        if name not in self._interpreters:
            runtime = self._by_name[name]
            wanted = runtime.names[0] if name in runtime.ended else name
            self._interpreters[name] = choose(wanted, runtime.interpreter, runtime.names, runtime.oldest)
        return self._interpreters[name]

    def programs(self) -> list[str]:
        """The interpreters that may be started as programs, whichever is chosen."""
        return [
            path
            for runtime in self.all
            if runtime.start == "exec"
            for path in candidates(runtime.interpreter, runtime.names)
        ]

    def commands(self) -> dict[str, str]:
        """The interpreters that programs of custom runtimes find by name."""
        found: dict[str, str] = {}
        for runtime in self.all:
            paths = candidates(runtime.interpreter, runtime.names) if runtime.commands else []
            found.update((name, os.path.realpath(paths[0])) for name in runtime.commands if paths)
        return found

    def note(self, names: Iterable[str]) -> str:
        """Which interpreters run functions with these runtimes: a line for a person; '' if there is nothing to tell."""
        texts = []
        for name in names:
            interpreter = self._interpreters.get(name)
            runtime = self._by_name.get(name)
            if interpreter is not None and runtime is not None and not runtime.serves:
                nearest = "" if interpreter.is_exact else ", the nearest here"
                ended = f"; {runtime.ended[name]}" if name in runtime.ended else ""
                texts.append(f"{name} is {runtime.title} {interpreter.version} ({interpreter.path}{nearest}{ended})")
        return "; ".join(texts)

    def is_known(self, name: str) -> bool:
        """Whether FC has such a runtime, be it run here or not."""
        return name in self._by_name or name in self._refused or name.startswith(_OF_FC)

    def why_not(self, name: str) -> str:
        """What to tell the author of a function whose runtime is not here."""
        runtime = self._by_name.get(name)
        if runtime is not None:
            return f"{runtime.title} is not on this machine: {runtime.install}"
        served = ", ".join(runtime.names[0] for runtime in self.all)
        return self._refused.get(name, f"this pyfc serves {served}")
