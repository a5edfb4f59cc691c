"""One package that cannot be had keeps no other away: it is left out, and the rest is installed.

1. What the installer names, and the manifest asks for, is left out; then the rest is tried again.
2. If it names nothing of that kind, or only the network is gone, each package is tried by itself.
3. If nothing can be had, or all can but not together, the first failure is that of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pyfc.build.manifest import canonical, name_of, statements
from pyfc.errors import NotInstalled

Attempt = Callable[[frozenset[str], bool], Awaitable[NotInstalled | None]]
"""Installs all but these names, as far as the second argument says whether the result is kept."""
_MOST = 50
"""Packages that are tried by themselves."""
_SIGNS = 3
"""Packages that cannot be reached, and none before them that can: the network is gone."""


async def install_what_can_be_had(names: Sequence[str], attempt: Attempt) -> dict[str, str]:
    """Install these packages. Those that were left out, each with the reason. Raises NotInstalled."""
    left_out: dict[str, str] = {}
    first: NotInstalled | None = None
    while (failure := await attempt(frozenset(left_out), True)) is not None:
        first = first or failure
        rest = [name for name in names if name not in left_out]
        found = _named(failure, rest) or await _alone(names, rest, attempt)
        if not found or len(found) == len(rest):
            raise first
        left_out |= found
    return left_out


def _named(failure: NotInstalled, names: Iterable[str]) -> dict[str, str]:
    """What of these a failure names."""
    named = {canonical(name) for name in failure.names}
    return {name: str(failure) for name in names if canonical(name) in named and not failure.is_unreachable}


async def _alone(names: Sequence[str], rest: Sequence[str], attempt: Attempt) -> dict[str, str]:
    """Those that cannot be had even by themselves."""
    found: dict[str, str] = {}
    if len(rest) > _MOST or len(rest) < 2:
        return found
    for count, name in enumerate(rest, 1):
        failure = await attempt(frozenset(names) - {name}, False)
        if failure is not None:
            found[name] = str(failure)
        if failure is not None and failure.is_unreachable and len(found) == count >= _SIGNS:
            return dict.fromkeys(rest, "")
    return found


def reduced(file: str, text: str, without: Iterable[str]) -> str:
    """The text of a requirements file or package.json without these packages."""
    left_out = {canonical(name) for name in without}
    if not file.endswith(".json"):
        return "".join(each for each in statements(text) if canonical(name_of(each.strip())) not in left_out)
    document = json.loads(text)
    needed = {name: each for name, each in document["dependencies"].items() if canonical(name) not in left_out}
    return json.dumps({**document, "dependencies": needed}, indent=2)


def gist(reason: str) -> str:
    """What a reason says before the installer's own lines."""
    return reason.splitlines()[0].rstrip(":")
