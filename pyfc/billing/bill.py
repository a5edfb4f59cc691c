"""The bill of a month: units and their price by function, as much again as is to come, and what was assumed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from pyfc.billing.prices import Table
from pyfc.billing.usage import Change, Sum, Tally, together
from pyfc.errors import InvalidArgument

HOUR = 3600
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_PLACES = 10
"""Digits of a price behind the point."""
EQUAL = "duration assumed equal"


class Month(NamedTuple):
    """A month of a calendar."""

    year: int
    month: int

    @classmethod
    def read(cls, text: str) -> Self:
        """From text like 2026-11. Raises InvalidArgument."""
        found = _MONTH.fullmatch(text)
        if found is None or not 1970 <= int(found[1]) < 9999:
            raise InvalidArgument(message=f"'{text}' is no month: write it like 2026-11")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, moment: float, zone: str) -> Self:
        """The month in which a moment (seconds since the epoch) is, by the clocks of a zone."""
        day = datetime.fromtimestamp(moment, ZoneInfo(zone))
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def next(self) -> Self:
        """The month after it."""
        return type(self)(self.year + self.month // 12, self.month % 12 + 1)

    def span(self, zone: str) -> tuple[float, float]:
        """Its beginning and its end, in seconds since the epoch, by the clocks of a zone."""
        begins, ends = (
            datetime(each.year, each.month, 1, tzinfo=ZoneInfo(zone)).timestamp() for each in (self, self.next)
        )
        return begins, ends


class Order(NamedTuple):
    """Which bill is wanted."""

    month: Month
    table: Table
    now: float
    """Seconds since the epoch: the bill is of what was used until then."""
    change: Change = Change()


def bill(tally: Tally, order: Order, assumptions: Iterable[str] = ()) -> dict[str, Any]:
    """The bill as JSON. `tally` of what was used in that month, by the order's table and change."""
    table, (begins, ends) = order.table, order.month.span(order.table.zone)
    growth = _growth(begins if tally.first is None else tally.first, begins, ends, order.now)
    everything = together(tally.sums.values())
    scale = _scale(everything, order, growth)
    return {
        "month": str(order.month),
        "from": _time(begins),
        "until": _time(max(begins, min(ends, order.now))),
        "to": _time(ends),
        "functions": {name: _shown(each, scale) for name, each in sorted(tally.sums.items())},
        "total": _shown(everything, scale),
        "prices": {**table.document(), "inForce": "discount" if _is_discounted(order) else "list"},
        "whatIf": {name: number for name, number in order.change._asdict().items() if number is not None},
        **({"asItWas": _before(tally, order, growth)} if order.change != Change() else {}),
        "assumptions": [*_assumed(order), *table.assumptions, *assumptions],
    }


class _Scale(NamedTuple):
    """What a function's price is a share of: the account's, whose tiers know no functions."""

    units: float
    price: Decimal
    forecast: Decimal
    growth: float


def _is_discounted(order: Order) -> bool:
    return order.table.is_discounted(order.month.first_day)


def _scale(everything: Sum, order: Order, growth: float) -> _Scale:
    price, forecast = (_price(everything, order, factor) for factor in (1.0, growth))
    return _Scale(everything.parts.total, price, forecast, growth)


def _before(tally: Tally, order: Order, growth: float) -> dict[str, Any]:
    """The total without the change."""
    everything = together(tally.before.values())
    return _shown(everything, _scale(everything, order, growth))


def _growth(first: float, begins: float, ends: float, now: float) -> float:
    """How many times as much it will be at the end of the month: at the rate since the first use in it."""
    if now >= ends:
        return 1.0
    since = max(begins, first)
    return max(1.0, (ends - since) / max(now - since, HOUR))


def _price(used: Sum, order: Order, growth: float) -> Decimal:
    """Of the account: `growth` times what was used, less what is free."""
    factors, free = order.table.factors, order.table.free
    units = Decimal(str(used.parts.total)) * Decimal(str(growth))
    calls = min(Decimal(free.invocations), Decimal(used.invocations * growth)) / 10_000 * factors.invocations
    memory = min(free.memory, Decimal(used.gb_seconds * growth)) * factors.memory
    return order.table.price(max(Decimal(0), units - calls - memory), discounted=_is_discounted(order))


def _shown(used: Sum, scale: _Scale) -> dict[str, Any]:
    """One line of the bill."""
    total = used.parts.total
    share = total / scale.units if scale.units else 0.0
    return {
        "invocations": used.invocations,
        "cu": int(total) if total.is_integer() else total,
        "parts": {name: round(number, 6) for name, number in used.parts._asdict().items()},
        "price": round(float(scale.price) * share, _PLACES),
        "forecast": {
            "cu": round(total * scale.growth, 3),
            "price": round(float(scale.forecast) * share, _PLACES),
        },
        "usage": {
            "seconds": round(used.seconds, 6),
            "reservedSeconds": round(used.reserved_seconds, 6),
            "vCPUSeconds": round(used.vcpu_seconds, 6),
            "GBSeconds": round(used.gb_seconds, 6),
        },
    }


def _assumed(order: Order) -> list[str]:
    """What no price table can know."""
    found: list[str] = []
    table, change, first = order.table, order.change, order.month.first_day
    if change.memory is not None:
        found.append(f"what-if memory={change.memory}: {EQUAL}; vCPU stays as it was")
    if change.concurrency is not None:
        found.append(f"what-if concurrency={change.concurrency}: {EQUAL}; calls share instances as well as they can")
    if table.since > first:
        found.append(f"the prices hold from {table.since}; {order.month} is older")
    if table.discount_until is not None and first <= table.discount_until < order.month.next.first_day:
        found.append(f"the discount ends on {table.discount_until}, and counts for the whole month here")
    return found


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
