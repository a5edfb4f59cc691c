"""What every installer needs: consent, the last lines of a command, its fault, text that strangers wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pyfc import nofollow
from pyfc.build.builtins import are_known
from pyfc.build.consent import Answer, Ask, Consents, Script
from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, ProjectError, ScriptRefused

_KEPT_LINES = 30
_FAULTS = (
    re.compile(r"No matching distribution found for (?P<name>\S+)"),
    re.compile(r"Could not find a version that satisfies the requirement (?P<name>\S+)"),
    re.compile(r"Because (?P<name>\S+) was not found"),
    re.compile(r"404\s+'?(?P<name>[^\s'@]+)@?[^']*'? is not in this registry"),
    re.compile(r"No matching version found for (?P<name>\S+?)\.?$"),
    re.compile(r"Failed (?:to build|building wheel for) (?P<name>\S+)"),
    re.compile(r"request to \S+/(?P<name>[^/\s]+) failed"),
)
_LARGEST = 1024 * 1024
"""Of a package's description of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whom an installer asks before code of packages runs."""

    consents: Consents
    ask: Ask

    async def to(self, manifest: Manifest, scripts: list[Script], shop: Workshop) -> Answer:
        """What the user says; what belongs to FC's own modules needs no leave. Raises ScriptRefused if that is no."""
        if are_known(manifest, (script.package for script in scripts)):
            return Answer.YES
        answer = await self.consents.answer(manifest, scripts, shop.cage.weakness, self.ask)
        if answer is Answer.NO:
            where = str(manifest.folder / manifest.source)
            raise ScriptRefused(where=where, package=scripts[0].package, line=scripts[0].line)
        return answer


class Output:
    """What a command has said lately."""

    def __init__(self, progress: Hear) -> None:
        self._progress = progress
        self.lines: list[str] = []

    def hear(self, line: str) -> None:
        """Keep a line, and pass it on."""
        self.lines = [*self.lines[-_KEPT_LINES:], line]
        self._progress(line)


def text_in(root: Path, folder: str, name: str) -> str:
    """The beginning of a file in a folder that strangers have written; '' if it is none."""
    try:
        with open(nofollow.open_below(root, Path(folder, name)), "rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except (OSError, InvalidArgument):
        return ""


def fault_of(manifest: Manifest, lines: list[str], tool: str) -> ProjectError:
    """What a tool has failed at, by its last lines."""
    text = "\n".join(lines)
    message = f"{tool} failed:\n{_tail(lines)}"
    for pattern in _FAULTS:
        found = pattern.search(text)
        if found is not None:
            message = f"{tool} can not install '{found['name'].strip(chr(39))}':\n{_tail(lines)}"
            break
    return ProjectError(where=str(manifest.folder / manifest.source), message=message)


def _tail(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines[-6:])
