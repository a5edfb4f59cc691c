"""Who waits for a revision hears when it is served, and whether it could be."""

from __future__ import annotations

import asyncio

import pytest

from pyfc.errors import HostRefused, Internal
from pyfc.registry.registry import Change
from pyfc.supervisor.progress import Progress


def test_a_revision_is_reached_with_that_one_or_a_later_one_and_fails_by_itself_alone() -> None:
    async def scenario() -> None:
        progress = Progress()
        waiting = asyncio.ensure_future(progress.reached(2))
        await progress.move([Change(1, "functions/s/f", None)], set())
        await asyncio.sleep(0)
        assert not waiting.done()

        await progress.move([Change(3, "functions/s/f", None), Change(3, "functions/s/g", None)], {"functions/s/f"})
        await asyncio.wait_for(waiting, 5)

        progress.check(2)
        with pytest.raises(Internal, match=r"functions/s/f can not be served"):
            progress.check(3)
        await progress.move([Change(4, "functions/s/f", None)], set())
        progress.check(3)

    asyncio.run(scenario())


def test_who_waits_for_what_this_host_can_not_serve_is_told_at_once() -> None:
    async def scenario() -> None:
        progress = Progress()
        waiting = asyncio.ensure_future(progress.reached(2))
        await asyncio.sleep(0)

        await progress.refuse(HostRefused(reason="no room"))
        await asyncio.wait_for(waiting, 5)

        with pytest.raises(HostRefused):
            progress.check(2)

    asyncio.run(scenario())
