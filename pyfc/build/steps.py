"""What every installer needs: consent, the last lines of a command, its fault, text that strangers wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pyfc import nofollow
from pyfc.build.consent import Answer, Ask, Consents, Script
from pyfc.build.job import Hear
from pyfc.build.manifest import Manifest, name_of
from pyfc.build.workshop import Workshop
from pyfc.errors import InvalidArgument, NotInstalled, ScriptRefused

_KEPT_LINES = 30
_FAULTS = (
    re.compile(r"No matching distribution found for (?P<name>\S+)(?: \(from (?P<by>[^\s()]+))?"),
    re.compile(
        r"Could not find a version that satisfies the requirement (?P<name>\S+)(?: \(from (?P<by>[^\s():]+)\))?"
    ),
    re.compile(r"Because (?P<name>\S+) was not found"),
    re.compile(r"404\s+'?(?P<name>[^\s']+)' is not in this registry"),
    re.compile(r"requested resource '(?P<name>[^\s']+)' could not be found"),
    re.compile(r"No matching version found for (?P<name>\S+?)\.?$", re.MULTILINE),
    re.compile(r"Failed (?:to build|building wheel for) '?(?P<name>[^\s']+)"),
    re.compile(r"request to \S+/(?P<name>[^/\s]+) failed"),
    re.compile(r"npm error path \S*/node_modules/(?P<name>(?:@[^/\s]+/)?[^/\s]+)$", re.MULTILINE),
)
_UNREACHABLE = re.compile(
    r"\b(?:ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT)\b"
    r"|after connection broken by|Max retries exceeded|Could not resolve host|Failed to connect to"
)
_LARGEST = 1024 * 1024
"""Of a package's description of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whom an installer asks before code of packages runs."""

    consents: Consents
    ask: Ask

    async def to(self, manifest: Manifest, scripts: list[Script], shop: Workshop) -> Answer:
        """What the user says. Raises ScriptRefused if that is no."""
        answer = await self.consents.answer(manifest, scripts, shop.cage.weakness, self.ask)
        if answer is Answer.NO:
            where = str(manifest.folder / manifest.source)
            names = [script.package.partition(" ")[0] for script in scripts]
            raise ScriptRefused(where=where, package=scripts[0].package, line=scripts[0].line, names=names)
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


def fault_of(manifest: Manifest, lines: list[str], tool: str) -> NotInstalled:
    """What a tool has failed at, by its last lines."""
    text = "\n".join(lines)
    found = [match for pattern in _FAULTS for match in pattern.finditer(text)]
    names = [unquote(each) for match in found for each in match.groups() if each]
    what = f"can not install '{names[0]}'" if names else "failed"
    return NotInstalled(
        where=str(manifest.folder / manifest.source), message=f"{tool} {what}:\n{_tail(lines)}",
        names=[name_of(name) for name in names], is_unreachable=_UNREACHABLE.search(text) is not None,
    )  # fmt: skip


def _tail(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines[-6:])
