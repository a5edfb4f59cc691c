"""What the user has allowed packages to run while they are installed, kept in a file by what it was that was allowed.

A consent belongs to the text of the manifests and lock files, the packages and their command lines. If any of that
changes it is asked for again; where nobody can be asked the answer is no.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pyfc.build.manifest import Manifest
from pyfc.settings import state_folder

_MOST = 2000
"""Consents that are kept, the newest."""


class Script(NamedTuple):
    """Code of a package that wants to run while it is installed. Text of strangers."""

    package: str
    """Name and version."""
    line: str
    """What runs: a command line, setup.py, or the name of a build backend."""


class Answer(Enum):
    """What the user says to it."""

    NO = "no"
    YES = "yes"
    NETWORK = "network"
    """Yes, and it may use the network."""


class Question(NamedTuple):
    """What the user is asked."""

    where: str
    """The manifest."""
    scripts: tuple[Script, ...]
    weakness: str
    """What does not hold here while they run; '' if everything does."""


Ask = Callable[[Question], Awaitable[Answer]]


async def refuse(_: Question) -> Answer:
    """Nobody is there to be asked."""
    return Answer.NO


class Always:
    """The answer of who has been asked already, whatever was said before."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, _: Question) -> Answer:
        """See Ask."""
        return self._answer


def consents_file() -> Path:
    """Where consents are kept: with the data folders."""
    return state_folder() / "consents.json"


class Consents:
    """The file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def answer(self, manifest: Manifest, scripts: Sequence[Script], weakness: str, ask: Ask) -> Answer:
        """What the user says, or has said, to these scripts. A no is not kept."""
        key = _digest(manifest, scripts)
        given = self._read()
        if key in given and not isinstance(ask, Always):
            return Answer(given[key])
        said = await ask(Question(str(manifest.folder / manifest.source), tuple(scripts), weakness))
        if said is not Answer.NO and given.get(key) != said.value:
            self._write({**self._read(), key: said.value})
        return said

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        known = {answer.value for answer in Answer}
        return {key: value for key, value in found.items() if value in known} if isinstance(found, dict) else {}

    def _write(self, given: dict[str, str]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        new.write_text(json.dumps(dict(list(given.items())[-_MOST:]), indent=1), encoding="utf-8")
        new.chmod(0o600)
        new.replace(self._path)


def _digest(manifest: Manifest, scripts: Sequence[Script]) -> str:
    text = json.dumps([manifest.digest(), *sorted(scripts)])
    return hashlib.sha256(text.encode()).hexdigest()
