"""What functions cost, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pyfc.billing.prices import Table
from pyfc.dev.output import first_line, one_line
from pyfc.dev.table import table

_PARTS = {"invocations": "CALLS", "vcpu": "VCPU", "memory": "MEMORY", "disk": "DISK", "rounding": "ROUNDING"}
_LARGE = ("vcpu", "memory")
_WIDTHS = (8, 10, 9, 9, 9, 11, 11)


def bill_table(found: dict[str, Any], columns: int) -> str:
    """The bill as a table that is at most so many columns wide, if that can be: parts that are 0 everywhere, and where
    there is no room all the small ones, have no column of their own.
    """
    lines = [*found["functions"].items(), ("total", found["total"])]
    parts = {name: heading for name, heading in _PARTS.items() if any(line["parts"][name] for _, line in lines)}
    prices = found["prices"]
    whole = _bill(lines, parts, prices)
    if max(map(len, whole.splitlines())) <= columns:
        return whole
    large = {name: heading for name, heading in parts.items() if name in _LARGE}
    return _bill(lines, {**large, "": "OTHER"}, prices)


def _bill(lines: list[tuple[str, dict[str, Any]]], parts: dict[str, str], prices: dict[str, Any]) -> str:
    """`parts`: their headings; '' for what the others leave."""
    unit, *others = f"{prices['unit']}:", *parts.values()
    named_parts = [f"{unit} {others[0]}", *others[1:]] if others else []
    headings = ("FUNCTION", "INVOCATIONS", *named_parts, f"= {prices['unit']}", str(prices["currency"]), "FORECAST")
    rows = []
    for name, line in lines:
        named = {part: line["parts"][part] for part in parts if part}
        rest = sum(line["parts"].values()) - sum(named.values())
        cells = [_units(named.get(part, rest)) for part in parts]
        price, forecast = money(line["price"]), money(line["forecast"]["price"])
        rows.append((name, f"{line['invocations']:,}", *cells, _units(line["cu"]), price, forecast))
    return table(headings, rows, right=range(1, len(headings)))


def _units(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"


def bill_notes(found: dict[str, Any]) -> list[str]:
    """From when to when, by which prices, and what was assumed."""
    prices, forecast, before = found["prices"], found["total"]["forecast"], found.get("asItWas")
    unit, currency = prices["unit"], prices["currency"]
    force = "discounted prices" if prices["inForce"] == "discount" else "list prices"
    changes = ", ".join(f"{name}={number}" for name, number in found["whatIf"].items())
    is_over = found["until"] == found["to"]
    at_this_rate = f"; at this rate {_amount(forecast, unit, currency)} by {found['to']}"
    return [
        *([f"What if {changes}: as it was, {_amount(before, unit, currency)}."] if before else []),
        f"{found['month']}: from {found['from']} until {found['until']}{'' if is_over else at_this_rate}.",
        f"By {force} of {prices['from']} ({prices['market']}: {prices['source']}).",
        "Assumed:",
        *(f"* {each}" for each in found["assumptions"]),
    ]


def wrapped(notes: Iterable[str], columns: int) -> str:
    """Notes as lines that are no longer than that; an address stays whole."""
    return "\n".join(
        textwrap.fill(one_line(note), columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for note in notes
    )


def _amount(line: dict[str, Any], unit: str, currency: str) -> str:
    return f"{_units(line['cu'])} {unit}, {money(line['price'])} {currency}"


def tuned_lines(rows: list[dict[str, Any]], prices: Table) -> str:
    """The newest row of a comparison of memory sizes; with the first one the headings."""
    headings = ("MEMORY", "COLD START", "P50", "P90", "USED", f"{prices.unit}/MILLION", f"{prices.currency}/MILLION")
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
    """An amount: with cents; what is less than one in three digits."""
    if value is None:
        return "-"
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{Decimal(f'{value:.3g}'):f}"


def tuned_notes(rows: list[dict[str, Any]], prices: Table) -> list[str]:
    """What was measured how, and what was assumed."""
    calls = max((row["warmCalls"] for row in rows), default=0)
    shares = ", ".join(f"{row['vcpu']:g}" for row in rows)
    return [
        f"p50 and p90 of {calls} warm calls, one after the other; a cold start is without a template",
        f"{prices.unit} and price: of a million warm calls, without rounding by hour",
        f"prices of {prices.since} ({prices.market}: {prices.source})",
        f"assumed: {shares} vCPU, by the memory unless `cpu` is declared; this machine gives as much to all",
        *(f"assumed: {each}" for each in prices.assumptions[:1]),
    ]
