"""Plain tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pyfc.dev.cells import left as flush_left
from pyfc.dev.cells import right as flush_right
from pyfc.dev.cells import width_of
from pyfc.dev.output import one_line
from pyfc.model.hosts import own_url


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell, two spaces apart; those numbered in `right` are set flush right. A cell is
    one line, whatever it holds.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(width_of(cell) for cell in column) for column in zip(headings, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        placed = [
            flush_right(cell, width) if number in right else flush_left(cell, width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    return "\n".join([line(headings), *(line(row) for row in rows)])


def _url(function: dict[str, object], endpoint: str) -> str:
    """Where a function is called; custom runtimes at their own address, which leads to the paths they have."""
    is_program = str(function["runtime"]).startswith("custom")
    own = own_url(endpoint, str(function["host"])) if is_program and "host" in function else ""
    return own or f"{endpoint}{function['url']}"


def function_rows(functions: Sequence[dict[str, object]], endpoint: str) -> str:
    """The table of functions that `serve` and `list` show, from the index's descriptions."""
    headings = ("FUNCTION", "RUNTIME", "MEMORY", "TIMEOUT", "CONCURRENCY", "TRIGGERS", "URL")
    rows = [
        (
            f"{each['service']}/{each['function']}",
            str(each["runtime"]),
            f"{each['memorySize']} MB",
            f"{each['timeout']} s",
            str(each["instanceConcurrency"]),
            ", ".join(map(str, triggers)) if isinstance(triggers := each["triggers"], list) and triggers else "-",
            _url(each, endpoint) if each["served"] else "(not supported yet)",
        )
        for each in functions
    ]
    return table(headings, rows, right=(2, 3, 4))
