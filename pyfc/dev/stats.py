"""What calls have cost, as a table with a line for each function that shows how calls were spread over the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyfc.dev.cells import width_of
from pyfc.dev.table import table

_HEADINGS = ("FUNCTION", "CALLS", "FAILED", "COLD", "AVG", "P90", "P99", "MAX", "MEMORY", "CALLS OVER THE TIME")
_LEFT = {_HEADINGS.index(name) for name in ("FUNCTION", "CALLS OVER THE TIME")}
_SPARED = [_HEADINGS.index(name) for name in ("CALLS OVER THE TIME", "AVG", "MAX", "COLD", "P90", "MEMORY")]
"""What narrow terminals do without, in this order."""
_LEVELS = "▁▂▃▄▅▆▇█"
_ERRORS = ("FunctionErrors", "ClientErrors", "ServerErrors", "Throttles", "ResourceThrottles")


def sparkline(numbers: Sequence[float]) -> str:
    """One character for each number: a space for 0, else the higher the more, beside the largest of them."""
    most, highest = max(numbers, default=0), len(_LEVELS) - 1
    return "".join(_LEVELS[round(each / most * highest)] if each > 0 else " " for each in numbers)


def stats_table(found: dict[str, Any], columns: int | None = None) -> str:
    """The table of what the server tells (`Client.metrics`): those that are called most come first. Of a terminal with
    fewer `columns` than it takes some are left out.
    """
    functions: dict[str, dict[str, Any]] = found["functions"]
    rows = [_row(name, each, "Function") for name, each in functions.items()]
    rows.sort(key=lambda row: (-int(row[1]), row[0]))
    if len(rows) > 1 and "region" in found:
        rows.append(_row("all", found["region"], "Region"))
    if not rows:
        return "no calls"
    return _fitting(rows, columns)


def _fitting(rows: list[tuple[str, ...]], columns: int | None) -> str:
    shown = [*range(len(_HEADINGS))]
    for spared in [*_SPARED, None]:
        right = [place for place, number in enumerate(shown) if number not in _LEFT]
        made = table([_HEADINGS[each] for each in shown], [[row[each] for each in shown] for row in rows], right)
        if columns is None or spared is None or max(map(width_of, made.splitlines())) <= columns:
            break
        shown.remove(spared)
    return made


def _row(name: str, found: dict[str, Any], level: str) -> tuple[str, ...]:
    metrics = found["metrics"]
    durations = (_milliseconds(metrics.get(f"{level}{each}Duration")) for each in ("Avg", "P90", "P99", "Max"))
    memory, limit = metrics.get(f"{level}MaxMemoryUsage"), metrics.get(f"{level}MemoryLimitMB")
    most = f"/{limit:.0f}" if limit and level == "Function" else ""
    return (
        name,
        str(metrics.get(f"{level}TotalInvocations", 0)),
        str(sum(metrics.get(f"{level}{each}", 0) for each in _ERRORS)),
        str(found.get("coldStarts", 0)),
        *durations,
        "-" if memory is None else f"{memory:.0f}{most} MB",
        sparkline(found["calls"]),
    )


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.2f} ms"
