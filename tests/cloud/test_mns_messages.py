"""Queues without HTTP: what is hidden stays hidden, over restarts of the server too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from pyfc.cloud.mns.asked import Environment
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Draft, Resource, settings_of
from pyfc.cloud.mns.pulling import Queues
from pyfc.cloud.mns.signing import Signing
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.outgoing.client import Outgoing
from pyfc.triggers.interface import Key
from pyfc.triggers.pulling import MnsQueue, MnsSession, Pullers, Received
from support import DEADLINE, run_with


async def never() -> None:
    await asyncio.Event().wait()


def run(path: Path, scenario: Callable[[Messages, Resource], Awaitable[None]], **settings: str) -> None:
    async def whole(store: Store) -> None:
        await store.create("queues", "q", settings_of("queues", settings))
        await scenario(Messages(store), store.resource("queues", "q"))

    run_with(lambda: Store(path), whole)


def test_what_was_received_stays_hidden_over_a_restart_and_its_handle_good(tmp_path: Path) -> None:
    handles = []

    async def receives(messages: Messages, queue: Resource) -> None:
        await messages.send(queue, [Draft("m"), Draft("later", delay=100), Draft("left")])
        handles.extend(each.handle for each in await messages.receive(queue, 1, 0, never))

    async def goes_on(messages: Messages, queue: Resource) -> None:
        assert await messages.counts(queue) == (1, 1, 1)
        assert [each.body for each in await messages.receive(queue, 16, 0, never)] == ["left"]
        assert await messages.delete(queue, handles) == {}
        assert await messages.counts(queue) == (0, 1, 1)

    run(tmp_path / "mns.sqlite", receives)
    run(tmp_path / "mns.sqlite", goes_on)


def test_nobody_who_moves_the_clock_makes_hidden_messages_come_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def receives(messages: Messages, queue: Resource) -> None:
        await messages.send(queue, [Draft("m")])
        assert len(await messages.receive(queue, 1, 0, never)) == 1

    async def looks(messages: Messages, queue: Resource) -> None:
        assert await messages.receive(queue, 1, 0, never) == []

    run(tmp_path / "mns.sqlite", receives)
    monkeypatch.setattr("pyfc.queues.steady.time.time", lambda: 4e9)
    run(tmp_path / "mns.sqlite", looks)


def test_of_many_who_receive_at_once_each_gets_another_message(tmp_path: Path) -> None:
    async def scenario(messages: Messages, queue: Resource) -> None:
        waiting = [asyncio.create_task(messages.receive(queue, 1, 20, never)) for _ in range(40)]
        await asyncio.gather(*(messages.send(queue, [Draft(str(number))]) for number in range(40)))
        found = [each.body for one in await asyncio.gather(*waiting) for each in one]
        assert sorted(found, key=int) == [str(number) for number in range(40)]

    run(tmp_path / "mns.sqlite", scenario)


def test_many_who_wait_all_get_what_becomes_visible_at_one_moment(tmp_path: Path) -> None:
    async def scenario(messages: Messages, queue: Resource) -> None:
        waiting = [asyncio.create_task(messages.receive(queue, 1, 20, never)) for _ in range(5)]
        await messages.send(queue, [Draft(str(number), delay=1) for number in range(5)])
        assert all(await asyncio.wait_for(asyncio.gather(*waiting), 10))

    run(tmp_path / "mns.sqlite", scenario)


def test_what_nobody_has_deleted_in_its_time_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "mns.sqlite"

    async def sends(messages: Messages, queue: Resource) -> None:
        await messages.send(queue, [Draft("old"), Draft("new")])

    async def looks(messages: Messages, queue: Resource) -> None:
        assert await messages.counts(queue) == (1, 0, 0)
        assert [each.body for each in await messages.peek(queue, 16)] == ["new"]
        assert [each.body for each in await messages.receive(queue, 16, 0, never)] == ["new"]

    run(path, sends)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE messages SET expires = enqueued - 1 WHERE body = 'old'")
    run(path, looks)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT body FROM messages").fetchall() == [("new",)]


def test_nothing_is_sent_to_a_queue_that_was_deleted_meanwhile_nor_found_in_a_new_one(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        messages = Messages(store)
        await store.create("queues", "q", settings_of("queues", {}))
        before = store.resource("queues", "q")
        await messages.send(before, [Draft("m")])
        await store.delete("queues", "q")
        await store.create("queues", "q", settings_of("queues", {}))
        with pytest.raises(Fault) as caught:
            await messages.send(before, [Draft("m")])
        assert caught.value.code == "QueueNotExist"
        assert await messages.counts(store.resource("queues", "q")) == (0, 0, 0)

    run_with(lambda: Store(tmp_path / "mns.sqlite"), scenario)


@pytest.mark.parametrize("is_made_again", [False, True])
def test_who_waits_at_a_queue_that_is_deleted_hears_it_at_once(tmp_path: Path, *, is_made_again: bool) -> None:
    async def waits(messages: Messages, queue: Resource) -> None:
        waiting = [asyncio.create_task(messages.receive(queue, 1, 30, never)) for _ in range(3)]
        while len(messages.arrivals._waiting[queue.number]) < len(waiting):
            await asyncio.sleep(0.001)
        await messages.delete_queue("q")
        if is_made_again:
            await messages._store.create("queues", "q", settings_of("queues", {}))
        async with asyncio.timeout(5):
            found = await asyncio.gather(*waiting, return_exceptions=True)

        assert [each.code for each in found if isinstance(each, Fault)] == ["QueueNotExist"] * 3
        assert not messages.arrivals._waiting

    run(tmp_path / "mns.sqlite", waits)


def test_a_queue_that_was_deleted_is_pulled_when_it_is_made_again(tmp_path: Path) -> None:
    key, told = Key("s", "f", "t"), list[str]()

    async def tell(_: Key, received: Received) -> None:
        told.extend(each["data"]["messageBody"] for each in received.events)

    async def scenario(messages: Messages, queue: Resource) -> None:
        store = messages._store
        where = Environment(
            store,
            messages,
            Topics(store, messages, "1"),
            "1",
            "cn-hangzhou",
            lambda _: 0,
            Signing(Path(), str),
            Outgoing(),
        )
        queues = Queues(where)
        session = MnsSession(queues, MnsQueue("new", is_decoded=False), "bus", "cn-hangzhou:1")
        pullers: Pullers[str] = Pullers(lambda *_: nullcontext(session), tell)
        pullers.use({key: "new"})
        assert not queues.is_deleted("new"), "it is on its way"
        running = asyncio.create_task(pullers.run())
        made = await store.there("queues", "new")
        await messages.send(made, [Draft("a")])
        async with asyncio.timeout(DEADLINE):
            while told != ["a"]:
                await asyncio.sleep(0.001)
            await messages.delete_queue("new")
            assert queues.is_deleted("new")
            await store.have("queues", "new")
            assert not queues.is_deleted("new")
            await messages.send(store.resource("queues", "new"), [Draft("b")])
            while told != ["a", "b"]:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(tmp_path / "mns.sqlite", scenario)
