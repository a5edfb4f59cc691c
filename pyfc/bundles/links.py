"""Symbolic links in archives: where they lead, told without following any. Links may lead to what is beside them in the
archive, or by a whole path to /code and /opt, where functions find their code and layers; never out of these.
"""

from __future__ import annotations

from collections.abc import Mapping

Parts = tuple[str, ...]
"""A path from the top of the archive."""
LONGEST = 4096
"""Bytes of what a link leads to."""
_ROOTS: Mapping[str, Parts] = {"/code": (), "/opt": ("/opt",)}
"""What whole paths may be below, and how that is written here."""
_TOPS: tuple[list[str], ...] = ([], ["/opt"])
_MOST = 40
"""Links that one path may go through, as Linux has it."""


def problem_of(path: Parts, links: Mapping[Parts, str]) -> str | None:
    """What is wrong with an entry because of links; `links` has what each leads to, as it is written."""
    if any(path[:length] in links for length in range(1, len(path))):
        return "lies in a link"
    return _problem(path[:-1], links[path], links) if path in links else None


def _problem(above: Parts, text: str, links: Mapping[Parts, str]) -> str | None:
    here, left, count = list(above), _steps(text), 1
    while left:
        part = left.pop()
        if part == "/" or (part == ".." and here in _TOPS):
            return "is a link that leads out of the folder"
        if part in _ROOTS:
            here = list(_ROOTS[part])
        elif part == "..":
            here.pop()
        elif (*here, part) in links:
            left += _steps(links[(*here, part)])
            count += 1
        else:
            here.append(part)
        if count > _MOST:
            return "is a link in a circle"
    return None


def _steps(text: str) -> list[str]:
    """The parts of a path, the first at the end. A whole path begins with what it is below, `/` if that is nothing."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    if text.startswith("/"):
        root = f"/{parts[0]}" if parts else "/"
        parts = [root, *parts[1:]] if root in _ROOTS else ["/"]
    return parts[::-1]
