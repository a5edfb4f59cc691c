"""Tasks beside the calls, and who waits for them."""

from __future__ import annotations

import asyncio

import pytest

from pyfc.errors import Unavailable
from pyfc.tasks import Tasks, while_alive


async def dies() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def lasts() -> None:
    await asyncio.Event().wait()


def test_what_a_task_dies_of_is_in_the_log_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[BaseException] = []

    async def scenario() -> None:
        tasks = Tasks()
        task = tasks.begin("sweeping the yard", dies(), heard.append)

        await asyncio.wait({task})
        await asyncio.sleep(0)

        assert not tasks

    asyncio.run(scenario())
    [record] = caplog.records
    assert "sweeping the yard" in record.getMessage()
    assert record.exc_info
    assert [type(each) for each in heard] == [ZeroDivisionError]


def test_who_waits_for_a_task_hears_of_its_death() -> None:
    async def scenario() -> None:
        task = Tasks().begin("sweeping the yard", dies())

        with pytest.raises(Unavailable, match=r"sweeping the yard.*ZeroDivisionError"):
            await asyncio.wait_for(while_alive(task, asyncio.Event().wait()), 5)
        with pytest.raises(Unavailable, match="sweeping the yard"):  # the same for who comes later
            await asyncio.wait_for(while_alive(task, asyncio.Event().wait()), 5)

    asyncio.run(scenario())


def test_who_waits_for_a_task_gets_what_it_brings_about() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        task = tasks.begin("sweeping the yard", lasts())

        assert await while_alive(task, asyncio.sleep(0, "swept")) == "swept"

        await tasks.close()
        assert task.cancelled()

    asyncio.run(scenario())


def test_tasks_that_are_ended_leave_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        tasks = Tasks()
        for _ in range(3):
            tasks.begin("sweeping the yard", lasts())

        await tasks.close()

        assert not tasks

    asyncio.run(scenario())
    assert not caplog.records
