"""What calls of a function cost with another memory size, from what a trial has measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pyfc.billing.prices import Table
from pyfc.billing.usage import Used, parts_of

MILLION = 1_000_000
_MB = 1024
_FAULTS = {
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "timed out",
    "EXITED": "its process exited",
    "INIT_FAILED": "does not start",
}


def tuned(trial: dict[str, Any], table: Table, day: date) -> dict[str, Any]:
    """One line of a comparison: times in ms, memory in MB, units and price of a million warm calls. What could not be
    measured, since a call failed before, is None. Raises KeyError, TypeError for what is no trial.
    """
    calls: list[dict[str, Any]] = trial["calls"]
    failure = _failure(calls)
    warm = sorted(float(call["durationMs"]) for call in calls if not (call["cold"] or call["fault"]))
    units = _units(warm, trial, table) if warm and not failure["failed"] else None
    return {
        "memory": trial["memory"],
        **_cold(calls),
        "p50Ms": _rank(warm, 0.5),
        "p90Ms": _rank(warm, 0.9),
        "memoryUsedMb": max((float(call["memoryMb"]) for call in calls), default=None),
        "cuPerMillion": units,
        "pricePerMillion": None if units is None else _price(units, table, day),
        "warmCalls": len(warm),
        "vcpu": float(trial["vcpu"]),
        **failure,
    }


def _failure(calls: Sequence[dict[str, Any]]) -> dict[str, str]:
    failed = next((call for call in calls if call["fault"]), None)
    if failed is None:
        return {"failed": "", "message": ""}
    return {"failed": _FAULTS.get(str(failed["fault"]), "fails"), "message": str(failed["message"])}


def _cold(calls: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    cold = next((call for call in calls if call["cold"] and call["coldStartMs"] is not None), None)
    if cold is None:
        return {"coldStartMs": None, "firstMs": None}
    return {"coldStartMs": float(cold["coldStartMs"]), "firstMs": float(cold["durationMs"])}


def _price(units: float, table: Table, day: date) -> float:
    return float(table.price(Decimal(str(units)), discounted=table.is_discounted(day)))


def _units(warm: Sequence[float], trial: dict[str, Any], table: Table) -> float:
    """Of a million calls, without what is added to make a whole unit of each hour."""
    seconds = sum(math.ceil(each) for each in warm) / 1000 / len(warm) * MILLION
    used = Used(
        function="",
        hour=0,
        invocations=MILLION,
        seconds=seconds,
        vcpu_seconds=seconds * trial["vcpu"],
        gb_seconds=seconds * trial["memory"] / _MB,
        disk_gb_seconds=seconds * max(trial["disk"] - table.factors.free_disk_mb, 0) / _MB,
    )
    return round(sum(parts_of(used, table)[:4]), 3)


def _rank(ordered: Sequence[float], share: float) -> float | None:
    """By nearest rank."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
