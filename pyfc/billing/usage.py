"""What was used, by function and hour, and what of it is counted: units (CU), by FC's factors.

The units of a function and an hour are the sum of five parts, rounded up to a whole one where the price table says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

from pyfc.billing.prices import Table
from pyfc.errors import InvalidArgument

_DIGITS = 6
"""Digits of a unit that count: what sums of binary fractions are off by is no unit more."""
_MB = 1024
_CALLS = 10_000
_MEMORY = range(128, 32769)
_CONCURRENCY = range(1, 201)


class Used(NamedTuple):
    """What one function used in one hour. An instance is on demand, or reserved: then it counts from its start to its
    stop, and its vCPU is active while it runs calls.
    """

    function: str
    """SERVICE/FUNCTION."""
    hour: int
    """Its beginning, in seconds since the epoch."""
    invocations: int
    seconds: float
    """That instances on demand ran calls."""
    vcpu_seconds: float
    """Active vCPU*s of instances on demand."""
    gb_seconds: float
    """Memory of instances on demand."""
    disk_gb_seconds: float = 0.0
    """What of the disk is not free, of instances on demand."""
    call_seconds: float = 0.0
    """The durations of calls on them, each by itself: more than `seconds` where instances run several at once."""
    reserved_seconds: float = 0.0
    """That instances were reserved; their vCPU, memory and disk are below."""
    reserved_active_vcpu_seconds: float = 0.0
    reserved_idle_vcpu_seconds: float = 0.0
    reserved_gb_seconds: float = 0.0
    reserved_disk_gb_seconds: float = 0.0


class Change(NamedTuple):
    """What would be otherwise: the duration of calls is assumed to stay the same."""

    memory: int | None = None
    """MB of an instance: the memory part is scaled."""
    concurrency: int | None = None
    """Calls that run in an instance at once: instances on demand run so much shorter."""

    @classmethod
    def read(cls, words: str) -> Change:
        """From `memory=512,concurrency=10`. Raises InvalidArgument."""
        found: dict[str, int] = {}
        for word in words.split(","):
            name, _, number = word.strip().partition("=")
            if name not in cls._fields or name in found or not number.isascii() or not number.isdigit():
                raise InvalidArgument(message=f"what-if '{word.strip()}' must be like memory=512 or concurrency=10")
            found[name] = int(number[:9])
        return cls(**found).checked()

    def checked(self) -> Change:
        """Itself. Raises InvalidArgument for what FC has not."""
        if self.memory is not None and self.memory not in _MEMORY:
            raise InvalidArgument(message=f"memory={self.memory}: functions have 128 to 32768 MB")
        if self.concurrency is not None and self.concurrency not in _CONCURRENCY:
            raise InvalidArgument(message=f"concurrency={self.concurrency}: instances run 1 to 200 calls at once")
        return self

    def of(self, used: Used) -> Used:
        """What would have been used."""
        if self.concurrency is not None and used.seconds:
            least = (used.call_seconds or used.seconds) / self.concurrency
            share = least / used.seconds
            used = used._replace(
                seconds=least,
                vcpu_seconds=used.vcpu_seconds * share,
                gb_seconds=used.gb_seconds * share,
                disk_gb_seconds=used.disk_gb_seconds * share,
            )
        if self.memory is not None:
            gb = self.memory / _MB
            used = used._replace(gb_seconds=used.seconds * gb, reserved_gb_seconds=used.reserved_seconds * gb)
        return used


class Parts(NamedTuple):
    """Units, by what they are for."""

    invocations: float = 0.0
    vcpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    rounding: float = 0.0
    """What is added to make a whole unit of each function and hour."""

    @property
    def total(self) -> float:
        """All of them."""
        return round(sum(self), _DIGITS)

    def plus(self, other: Parts) -> Parts:
        """Both together."""
        return Parts(*(mine + its for mine, its in zip(self, other, strict=True)))


def parts_of(used: Used, table: Table) -> Parts:
    """The units of one function and hour."""
    factors = table.factors
    found = Parts(
        invocations=used.invocations / _CALLS * float(factors.invocations),
        vcpu=(used.vcpu_seconds + used.reserved_active_vcpu_seconds) * float(factors.active_vcpu)
        + used.reserved_idle_vcpu_seconds * float(factors.idle_vcpu),
        memory=(used.gb_seconds + used.reserved_gb_seconds) * float(factors.memory),
        disk=(used.disk_gb_seconds + used.reserved_disk_gb_seconds) * float(factors.disk),
    )
    if table.rounding == "none":
        return found
    return found._replace(rounding=math.ceil(found.total) - sum(found))


class Sum(NamedTuple):
    """What was used in all, and its units."""

    invocations: int = 0
    gb_seconds: float = 0.0
    vcpu_seconds: float = 0.0
    seconds: float = 0.0
    reserved_seconds: float = 0.0
    parts: Parts = Parts()

    def plus(self, other: Sum) -> Sum:
        """Both together."""
        return Sum(
            self.invocations + other.invocations,
            self.gb_seconds + other.gb_seconds,
            self.vcpu_seconds + other.vcpu_seconds,
            self.seconds + other.seconds,
            self.reserved_seconds + other.reserved_seconds,
            self.parts.plus(other.parts),
        )


def together(sums: Iterable[Sum]) -> Sum:
    """All of them."""
    return reduce(Sum.plus, sums, Sum())


class Tally:
    """Sums by function, of rows that come by and by: a month of many functions is more than should be in memory."""

    def __init__(self, table: Table, change: Change) -> None:
        self.sums: dict[str, Sum] = {}
        """With the change."""
        self.before: dict[str, Sum] = {}
        """Without it."""
        self.first: int | None = None
        """The first hour in which anything was used; None if nothing was."""
        self._table = table
        self._change = change

    def add(self, rows: Iterable[Used]) -> None:
        """Further rows. In all there must be one at most of a function and an hour."""
        is_changed = self._change != Change()
        for used in rows:
            self.first = used.hour if self.first is None else min(self.first, used.hour)
            self._put(self.sums, self._change.of(used))
            if is_changed:
                self._put(self.before, used)

    def _put(self, sums: dict[str, Sum], used: Used) -> None:
        one = Sum(
            used.invocations,
            used.gb_seconds + used.reserved_gb_seconds,
            used.vcpu_seconds + used.reserved_active_vcpu_seconds,
            used.seconds,
            used.reserved_seconds,
            parts_of(used, self._table),
        )
        so_far = sums.get(used.function)
        sums[used.function] = one if so_far is None else so_far.plus(one)
