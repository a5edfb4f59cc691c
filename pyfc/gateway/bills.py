"""`/pyfc/bill`: what functions would cost in the cloud for what they have used in a month."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool

from pyfc.billing.bill import Month, Order, bill
from pyfc.billing.prices import DEFAULT_MARKET, Table, checked, in_force
from pyfc.billing.usage import Change, Tally, Used
from pyfc.calls import table as calls
from pyfc.errors import NotFound
from pyfc.observe.metrics.metrics import Metrics
from pyfc.observe.metrics.point import Point
from pyfc.observe.metrics.store import Found, Wanted

HOUR = 3600
_AT_ONCE = 6 * HOUR
"""Of a month, so much is in memory."""
_MB = 1024


async def document(
    metrics: Metrics, served: calls.Table, query: dict[str, str], prices: dict[str, Any] | None
) -> dict[str, Any]:
    """The bill. `query`: `month` (this one), `market` and `whatIf` (like memory=512,concurrency=10); `prices`: a table
    to be used instead of the market's. Raises InvalidArgument, NotFound where no metrics are kept.
    """
    if not metrics.is_kept:
        raise NotFound(message="no metrics are kept: the server was started with `observe` off")
    order = _order(query, prices, time.time())
    tally = Tally(order.table, order.change)
    begins, ends = order.month.span(order.table.zone)
    while begins < min(ends, order.now):
        until = min(begins + _AT_ONCE, ends)
        await run_in_threadpool(_add, tally, await metrics.read(Wanted(HOUR, begins, until, has_buckets=False)))
        begins = until
    return bill(tally, order, _assumptions(served, set(tally.sums)))


def _add(tally: Tally, found: list[Found]) -> None:
    tally.add(used(found))


def _order(query: dict[str, str], prices: dict[str, Any] | None, now: float) -> Order:
    change = Change.read(query["whatIf"]) if query.get("whatIf") else Change()
    month = Month.read(query["month"]) if query.get("month") else None
    table: Table
    if prices is not None:
        table = checked(prices, "prices")
    else:
        day = month.first_day if month is not None else datetime.fromtimestamp(now, UTC).date()
        table = in_force(query.get("market") or DEFAULT_MARKET, day)
    return Order(month or Month.of(now, table.zone), table, now, change)


def used(found: Iterable[Found]) -> list[Used]:
    """What functions have used, by hour: of all their versions and aliases together."""
    hours: dict[tuple[str, int], Point] = {}
    for each in found:
        key = (f"{each.series.service}/{each.series.function}", each.time - each.time % HOUR)
        if key in hours:
            hours[key].merge(each.point)
        else:
            hours[key] = each.point
    rows = ((names, point) for names, point in hours.items() if point["invocations"] or point["reserved_ms"])
    return [_used(function, hour, point) for (function, hour), point in rows]


def _used(function: str, hour: int, point: Point) -> Used:
    """Of one function and hour. Initializers of cold starts count as the calls of the same hour do."""
    active = point["active_ms"]
    covered = min(point["covered_ms"] / active, 1.0) if active else 0.0
    more = 1 + round(point["initializer_us"] / 1000) / active if active else 1.0
    share = (1 - covered) * more
    return Used(
        function=function,
        hour=hour,
        invocations=point.runs,
        seconds=active * share / 1000,
        vcpu_seconds=point["vcpu_ms"] * share / 1e6,
        gb_seconds=point["memory_mb_ms"] * share / 1000 / _MB,
        disk_gb_seconds=point["disk_mb_ms"] * share / 1000 / _MB,
        call_seconds=point["billed_ms"] * share / 1000,
        reserved_seconds=point["reserved_ms"] / 1000,
        reserved_active_vcpu_seconds=point["vcpu_ms"] * covered / 1e6,
        reserved_idle_vcpu_seconds=max(point["reserved_vcpu_ms"] - point["vcpu_ms"] * covered, 0) / 1e6,
        reserved_gb_seconds=point["reserved_memory_mb_ms"] / 1000 / _MB,
        reserved_disk_gb_seconds=point["reserved_disk_mb_ms"] / 1000 / _MB,
    )


def _assumptions(served: calls.Table, names: set[str]) -> list[str]:
    entries = [entry.function for entry in calls.newest(served)]
    guessed = [each for each in entries if f"{each.service}/{each.name}" in names and not each.is_vcpu_declared]
    text = "functions that do not declare `cpu` have a vCPU for 2 GB of memory, in steps of 0.05"
    return [text] if guessed else []
