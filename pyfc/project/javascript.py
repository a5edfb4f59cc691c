"""What a JavaScript module exports, as far as that can be read without running it."""

from __future__ import annotations

import re
from bisect import bisect_left

_EXPORTS = (
    re.compile(r"^[ \t]*(?:module\.)?exports\.(?P<name>[A-Za-z_$][\w$]*)\s*=\s*(?P<rest>.*)", re.MULTILINE),
    re.compile(r"^[ \t]*export\s+(?:const|let|var)\s+(?P<name>[A-Za-z_$][\w$]*)\s*=\s*(?P<rest>.*)", re.MULTILINE),
    re.compile(
        r"^[ \t]*export\s+(?:async\s+)?function\s*\*?\s*(?P<name>[A-Za-z_$][\w$]*)\s*(?P<rest>.*)", re.MULTILINE
    ),
)
_TOGETHER = re.compile(r"(?:module\.exports\s*=\s*|export\s*)\{(?P<names>[^{}]*)\}")
_HTTP = re.compile(r"(?:async\s*)?(?:function\s*\w*\s*)?\(\s*(?:req|request)\s*,")


def exported(text: str) -> dict[str, tuple[int, bool]]:
    """The names that a module exports at its top level: line, and whether it looks like an HTTP handler."""
    found: dict[str, tuple[int, bool]] = {}
    ends = [match.start() for match in re.finditer("\n", text)]
    for pattern in _EXPORTS:
        for match in pattern.finditer(text):
            line = bisect_left(ends, match.start("name")) + 1
            found[match["name"]] = line, _HTTP.match(match["rest"]) is not None
    for match in _TOGETHER.finditer(text):
        line = bisect_left(ends, match.start()) + 1
        for part in match["names"].split(","):
            name = part.split(":")[0].split(" as ")[-1].strip()
            if name:
                found.setdefault(name, (line, False))
    return found
