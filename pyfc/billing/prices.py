"""Price tables: what a unit of use counts in CU, and what a CU costs. Dated TOML files; those that pyfc knows are in
`tables/`.

A table is for a market and holds from a day on, until the same market has a newer one. A discount is the vendor's own,
in force until a day that the table names.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from pyfc.errors import InvalidArgument

DEFAULT_MARKET = "china"
_TABLES = Path(__file__).parent / "tables"
_MOST_BYTES = 1024 * 1024
_MOST = 10**12
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`")
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Factors(_Struct, frozen=True):
    """What is counted for a unit of use."""

    invocations: Decimal
    """Per 10,000 calls."""
    active_vcpu: Decimal
    """Per vCPU*s; so is `idle_vcpu`."""
    memory: Decimal
    """Per GB*s."""
    idle_vcpu: Decimal = Decimal(0)
    disk: Decimal = Decimal(0)
    """Per GB*s, of what is beyond `free_disk_mb`."""
    free_disk_mb: Annotated[int, msgspec.Meta(ge=0)] = 512


class Free(_Struct, frozen=True):
    """What costs an account nothing in each month."""

    invocations: Annotated[int, msgspec.Meta(ge=0)] = 0
    memory: Decimal = Decimal(0)
    """GB*s."""


class Tier(_Struct, frozen=True):
    """What a unit costs, up to so many of the account in a month."""

    list: Decimal
    discount: Decimal | None = None
    up_to: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """None for no end, which the last tier has and no other."""


class Table(_Struct, frozen=True):
    """One price table, as its file has it."""

    market: _Text
    since: date = msgspec.field(name="from")
    source: _Text
    """Where the prices were read, and when."""
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    factors: Factors
    tiers: Annotated[tuple[Tier, ...], msgspec.Meta(min_length=1)]
    unit: _Text = "CU"
    rounding: Literal["function and hour", "none"] = "function and hour"
    """Whether the units of each function and hour are rounded up to a whole one."""
    zone: _Text = "UTC"
    """The time zone that months begin in."""
    discount_until: date | None = None
    """The last day of the discount; None if it does not end."""
    free: Free = Free()
    assumptions: tuple[_Text, ...] = ()
    """What of it could not be verified, for people."""

    def is_discounted(self, day: date) -> bool:
        """Whether the discount is in force."""
        has_any = any(tier.discount is not None for tier in self.tiers)
        return has_any and (self.discount_until is None or day <= self.discount_until)

    def price(self, units: Decimal, *, discounted: bool) -> Decimal:
        """What so many units of one account in one month cost."""
        total, below = Decimal(0), Decimal(0)
        for tier in self.tiers:
            end = units if tier.up_to is None else min(units, Decimal(tier.up_to))
            rate = tier.discount if discounted and tier.discount is not None else tier.list
            total += max(Decimal(0), end - below) * rate
            below = max(below, end)
        return total

    def document(self) -> dict[str, Any]:
        """As JSON, in the words of its file."""
        found: dict[str, Any] = msgspec.to_builtins(self, builtin_types=(Decimal,))
        return {**_plain(found), "from": self.since.isoformat()}


def _plain(value: Any) -> Any:
    """Decimals as numbers."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def read(path: Path) -> Table:
    """A table in a file. Raises InvalidArgument with the file and the field."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidArgument(message=f"{path}: the price table cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidArgument(message=f"{path}: more than {_MOST_BYTES} bytes are no price table")
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Table:
    """A table from the bytes of a file that is called `name`. Raises InvalidArgument with it and the field."""
    try:
        found = tomllib.loads(data.decode(), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"{name}: no TOML: {error}") from None
    return checked(found, name)


def checked(found: object, name: str) -> Table:
    """A table from what a file that is called `name` says. Raises InvalidArgument with it and the field."""
    try:
        table = msgspec.convert(found, Table, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidArgument(message=f"{name}: {_field(str(error))}") from None
    if problem := _problem(table):
        raise InvalidArgument(message=f"{name}: {problem}")
    return table


def _field(message: str) -> str:
    """msgspec's message with the field first: "tiers[0].list: Expected ..."."""
    what, _, where = message.rpartition(" - at `$.") if " - at `$." in message else (message, "", "")
    where = where.rstrip("`")
    if named := _NAMED.fullmatch(what):
        where = f"{where}.{named[2]}".lstrip(".")
        what = "it is missing" if named[1].startswith("missing") else "there is no such field"
    return f"{where or 'the table'}: {what}"


def _problem(table: Table) -> str:
    """What no type can see; '' for nothing."""
    for where, part in (("factors", table.factors), ("free", table.free), *_numbered(table.tiers)):
        if problem := _amounts(part):
            return f"{where}.{problem}"
    try:
        ZoneInfo(table.zone)
    except (ValueError, OSError, KeyError):
        return f"zone: there is no time zone '{table.zone}'"
    return _order([tier.up_to for tier in table.tiers])


def _order(ends: list[int | None]) -> str:
    if ends[-1] is not None or None in ends[:-1]:
        return "tiers: the last one has no `up_to`, every other must have one"
    if any(end <= before for before, end in pairwise(end for end in ends if end is not None)):
        return "tiers: each must end above the one before"
    return ""


def _amounts(part: _Struct) -> str:
    for name in part.__struct_fields__:
        number = getattr(part, name)
        if isinstance(number, Decimal) and not (number.is_finite() and 0 <= number <= _MOST):
            return f"{name}: {number} is no amount"
    return ""


def _numbered(tiers: tuple[Tier, ...]) -> list[tuple[str, _Struct]]:
    return [(f"tiers[{number}]", tier) for number, tier in enumerate(tiers)]


def known() -> list[Table]:
    """Every table that pyfc comes with, by market and day."""
    tables = [read(path) for path in sorted(_TABLES.glob("*.toml"))]
    return sorted(tables, key=lambda table: (table.market, table.since))


def in_force(market: str, day: date) -> Table:
    """The table of a market on a day, or its oldest if it has none that is so old. Raises InvalidArgument for a market
    that there is no table of.
    """
    tables = known()
    found = [table for table in tables if table.market == market]
    if not found:
        names = ", ".join(sorted({table.market for table in tables}))
        raise InvalidArgument(message=f"there are no prices of '{market}': found {names}, or give a file")
    return max((table for table in found if table.since <= day), key=lambda table: table.since, default=found[0])
