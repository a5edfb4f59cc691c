"""Price tables: what pyfc knows, which one counts, and what a mistaken file is told."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pyfc.billing import prices
from pyfc.errors import InvalidArgument

GOOD = """
market = "mine"
from = 2026-01-01
source = "a contract"
currency = "EUR"
[factors]
invocations = 75
active_vcpu = 1
memory = 0.15
[[tiers]]
up_to = 100
list = 0.5
[[tiers]]
list = 0.25
"""


def test_every_table_that_is_shipped_says_from_when_it_holds_where_it_was_read_and_in_which_currency() -> None:
    tables = prices.known()

    assert {(each.market, each.currency) for each in tables} == {
        ("china", "CNY"),
        ("international", "USD"),
        ("2020", "CNY"),
    }
    assert all(each.source and each.since and each.assumptions for each in tables)


@pytest.mark.parametrize(
    ("market", "day", "units", "price"),
    [
        ("china", date(2026, 11, 1), 0, "0"),
        ("china", date(2026, 11, 1), 217_500, "23.925"),  # the vendor's example, 217,500 x 0.00011
        ("china", date(2026, 11, 1), 200_000_000, "22000"),
        ("china", date(2026, 11, 1), 1_200_000_000, "120000"),  # 22,000 + 80,000 + 18,000
        ("china", date(2026, 8, 27), 217_500, "19.14"),  # the last day of the discount, 217,500 x 0.000088
        ("china", date(2026, 8, 28), 217_500, "23.925"),
        ("international", date(2026, 11, 1), 600_000_000, "10200"),  # 2,000 + 6,800 + 1,400
        ("international", date(2025, 8, 1), 600_000_000, "8160"),  # 1,600 + 5,440 + 1,120
    ],
)
def test_a_month_of_an_account_costs_by_tiers(market: str, day: date, units: int, price: str) -> None:
    table = prices.in_force(market, day)

    assert table.price(Decimal(units), discounted=table.is_discounted(day)) == Decimal(price)


def test_the_newest_table_that_holds_already_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-06-01"):
        (tmp_path / f"mine-{day}.toml").write_text(GOOD.replace("2026-01-01", day))
    monkeypatch.setattr(prices, "_TABLES", tmp_path)

    days = [date(2025, 1, 1), date(2026, 5, 31), date(2026, 6, 1)]
    found = [prices.in_force("mine", day).since for day in days]

    assert found == [date(2026, 1, 1), date(2026, 1, 1), date(2026, 6, 1)]


def test_a_market_that_is_not_known_is_told_which_are() -> None:
    with pytest.raises(InvalidArgument, match="'mars': found 2020, china, international"):
        prices.in_force("mars", date(2026, 1, 1))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('market = "mine"', "market = 3", "market: Expected `str`"),
        ('market = "mine"', "", "market: it is missing"),
        ("from = 2026-01-01", 'from = "soon"', "from: Invalid"),
        ('currency = "EUR"', 'currency = "euros"', "currency: "),
        ("memory = 0.15", "memory = -0.15", "factors.memory: -0.15 is no amount"),
        ("memory = 0.15", "memory = nan", "factors.memory: NaN is no amount"),
        ("memory = 0.15", "memory = 1e400000", "factors.memory: .* is no amount"),
        ("memory = 0.15", 'memory = "much"', "factors.memory: "),
        ("memory = 0.15", "memory = 1\nmemmory = 1", "factors.memmory: there is no such field"),
        ("up_to = 100", "up_to = 0", r"tiers\[0\].up_to: "),
        ("up_to = 100", "", "tiers: the last one has no `up_to`"),
        ("list = 0.25", "list = 0.25\nup_to = 50", "tiers: the last one has no `up_to`"),
        ("list = 0.25", "list = 0.25\nup_to = 50\n[[tiers]]\nlist = 1", "tiers: each must end above"),
        ("list = 0.25", "list = true", r"tiers\[1\].list: "),
        ("[factors]", 'zone = "Moon/Mare"\n[factors]', "zone: there is no time zone"),
        ("[factors]", 'zone = "../../etc/passwd"\n[factors]', "zone: there is no time zone"),
        ("[factors]", "[factors", "no TOML: .*line 6"),
    ],
)
def test_a_mistaken_file_is_told_with_its_name_and_the_field(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(before, after))

    with pytest.raises(InvalidArgument, match=f"^{file}: {told}"):
        prices.read(file)


def test_a_file_that_is_none_is_told() -> None:
    with pytest.raises(InvalidArgument, match=r"no/where.toml: the price table cannot be read: No such file"):
        prices.read(Path("no/where.toml"))


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(InvalidArgument, match="/dev/zero: more than"):
        prices.read(Path("/dev/zero"))


def test_a_table_is_the_same_after_a_way_through_json() -> None:
    for table in prices.known():
        assert prices.checked(table.document(), "x") == table
