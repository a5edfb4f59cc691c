"""Reserved instances are looked after, whatever one look at them fails by."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.model.function import Provision
from pyfc.supervisor import reserve
from pyfc.supervisor.reserve import Reserve


def test_a_look_that_fails_is_not_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "_INTERVAL", 0.005)

    async def scenario() -> None:
        looked, third = 0, asyncio.Event()

        def start_reserved() -> bool:
            nonlocal looked
            looked += 1
            if looked == 3:
                third.set()
            raise RuntimeError("a bug")

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        roster = SimpleNamespace(instances=set(), by_link={}, busy=0)
        pool = SimpleNamespace(
            roster=roster, size=0, draining=False, limit=5, concurrency=1, reserve_one=start_reserved
        )
        kept = Reserve(cast("Any", pool), Provision(target=1))
        with pytest.raises(RuntimeError):
            kept.look()
        async with asyncio.timeout(10):
            await third.wait()
        pool.draining = True

    asyncio.run(scenario())
