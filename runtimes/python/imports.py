"""How long each import takes, as a tree: for a worker that is started only to find that out. What is made of it
is the server's business.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

_SHOWN = 0.0005
"""Seconds below which an import is not worth a line."""


class Trace:
    """Times every import from `start` on."""

    def __init__(self) -> None:
        self._stack: list[list[Any]] = [["", 0.0, []]]
        self._library: Any = importlib._bootstrap
        self._find = self._library._find_and_load

    def start(self) -> None:
        """From here on."""
        self._library._find_and_load = self._timed

    def stop(self) -> list[Any]:
        """[name, seconds, [the same of what it imported, ...]] of each module that was imported."""
        self._library._find_and_load = self._find
        return _pruned(self._stack[0][2])

    def _timed(self, name: str, *arguments: Any) -> Any:
        node: list[Any] = [name, 0.0, []]
        self._stack[-1][2].append(node)
        self._stack.append(node)
        began = time.perf_counter()
        try:
            return self._find(name, *arguments)
        finally:
            node[1] = time.perf_counter() - began
            self._stack.pop()


def _pruned(nodes: list[Any]) -> list[Any]:
    return [[name, seconds, _pruned(inner)] for name, seconds, inner in nodes if seconds >= _SHOWN]
