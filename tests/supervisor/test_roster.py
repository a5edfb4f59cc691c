"""What instances do, and since when."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from pyfc.supervisor.roster import Roster


def instance(died_of: str = "") -> Any:
    fields = {"id": f"c-{died_of}", "created": 1.0, "died_of": died_of, "link": None}
    return type("Instance", (), {**fields, "state": SimpleNamespace(value="ready")})()


def test_one_that_is_idle_again_after_its_hook_is_as_old_as_before() -> None:
    async def scenario() -> None:
        roster = Roster(fills=False)
        old, middle, young = instance(), instance(), instance()
        roster.idle.update({old: 1.0, middle: 2.0, young: 3.0})
        since = roster.idle.pop(middle)

        roster.rest_again(middle, since)

        assert list(roster.idle) == [old, middle, young]
        assert roster.idle_since == 1.0
        assert roster.take_longest_idle() is old
        assert roster.take_longest_idle() is middle

    asyncio.run(scenario())


def test_one_with_slots_left_is_preferred_where_several_calls_share_an_instance() -> None:
    async def scenario() -> None:
        idle, busy = instance(), instance()
        for fills, wanted in ((True, busy), (False, idle)):
            roster = Roster(fills=fills)
            roster.idle[idle] = 1.0
            roster.open[busy] = None

            assert next(reversed(roster.preferred or roster.otherwise)) is wanted

            roster.take_out(wanted)
            assert list(roster.preferred or roster.otherwise) == [idle if wanted is busy else busy]

    asyncio.run(scenario())


def test_the_last_one_that_dies_leaves_it_drained_and_its_cause_counted() -> None:
    async def scenario() -> None:
        roster = Roster(fills=False)
        one, other = instance("exited"), instance()
        for each in (one, other):
            roster.add(each)
        roster.idle[one] = 1.0
        assert not roster.drained.is_set()

        roster.forget(one)
        assert not roster.drained.is_set()
        roster.forget(other)

        assert roster.drained.is_set()
        assert not roster.idle
        assert roster.describe() == {"instances": {}, "deaths": {"exited": 1}}
        assert [(gone.id, gone.created, gone.died > 1.0) for gone in roster.gone] == [
            ("c-exited", 1.0, True),
            ("c-", 1.0, True),
        ]

    asyncio.run(scenario())
