"""What functions cost, for people."""

from __future__ import annotations

from typing import Any

from pyfc.billing.prices import Table
from pyfc.dev.output import first_line, one_line

_WIDTHS = (8, 10, 9, 9, 9, 11, 11)


def tuned_lines(rows: list[dict[str, Any]], table: Table) -> str:
    """The newest row of a comparison of memory sizes; with the first one the headings."""
    headings = ("MEMORY", "COLD START", "P50", "P90", "USED", f"{table.unit}/MILLION", f"{table.currency}/MILLION")
    line = _tuned(rows[-1])
    return f"{_set(headings)}\n{line}" if len(rows) == 1 else line


def _tuned(row: dict[str, Any]) -> str:
    memory = f"{row['memory']} MB"
    cold, used = _time(row["coldStartMs"]), _number(row["memoryUsedMb"], " MB")
    if row["failed"]:
        why = first_line(row["message"])[:200]
        return f"{_set((memory, cold))}  {one_line(row['failed'])}{f': {why}' if why else ''}"
    price = row["pricePerMillion"]
    cells = (memory, cold, _time(row["p50Ms"]), _time(row["p90Ms"]), used, _number(row["cuPerMillion"]), money(price))
    return _set(cells)


def _set(cells: tuple[str, ...]) -> str:
    return "  ".join(one_line(cell).rjust(width) for cell, width in zip(cells, _WIDTHS, strict=False)).rstrip()


def _time(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.0f}{unit}"


def money(value: float | None) -> str:
    """An amount: cents, or what is left of them in four digits."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4g}"


def tuned_notes(rows: list[dict[str, Any]], table: Table) -> list[str]:
    """What was measured how, and what was assumed."""
    calls = max((row["warmCalls"] for row in rows), default=0)
    shares = ", ".join(f"{row['vcpu']:g}" for row in rows)
    return [
        f"p50 and p90 of {calls} warm calls, one after the other; a cold start is without a template",
        f"{table.unit} and price: of a million warm calls, without rounding by hour; "
        f"prices of {table.since} from {table.source}",
        f"assumed: {shares} vCPU, by the memory unless `cpu` is declared; this machine gives as much to all",
        *(f"assumed: {each}" for each in table.assumptions[:1]),
    ]
