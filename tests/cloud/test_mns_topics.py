"""What is published to topics reaches each subscription, or is tried again as its strategy says."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cloud.mns_client import fields_of
from pyfc.cloud.mns import pusher
from pyfc.cloud.mns.faults import Fault
from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Draft, settings_of
from pyfc.cloud.mns.notices import Subscription
from pyfc.cloud.mns.pusher import BACKOFF, DECAY, Pusher, pause
from pyfc.cloud.mns.signing import Signing
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics, queue_of
from pyfc.outgoing.client import Outgoing
from servers import serving
from support import DEADLINE

OK, BROKEN = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"
QUEUE = "acs:mns:cn-hangzhou:1:queues/q"


class Bench:
    """A store with the queue q and the topic t, and a pusher that waits only a moment between tries."""

    def __init__(self, path: Path, *allow: str, tries: int = 3) -> None:
        self.store = Store(path / "mns.sqlite")
        self.messages = Messages(self.store)
        self.topics = Topics(self.store, self.messages, "1")
        self.outgoing = Outgoing(allow)
        self.failures: list[int] = []

        def short(_: str, failures: int) -> float | None:
            self.failures.append(failures)
            return 0.01 if failures < tries else None

        self.pusher = Pusher(self.store, self.topics, self.outgoing, Signing(path, lambda: "http://here:1"), "1", short)

    async def make(self, *queues: str) -> None:
        for queue in queues:
            await self.store.have("queues", queue)
        await self.store.have("topics", "t")
        self.pusher.start()

    async def subscribe(self, endpoint: str, form: str = "XML", tag: str = "", name: str = "s") -> None:
        topic = self.store.resource("topics", "t")
        await self.topics.subscribe(topic, Subscription("t", name, endpoint, tag, BACKOFF, form, 0, 0))

    async def publish(self, body: str, tag: str = "") -> str:
        return await self.topics.publish("t", Draft(body), tag, {}, 0)

    async def received(self, queue: str = "q") -> list[str]:
        found = await self.messages.receive(self.store.resource("queues", queue), 16, 0, asyncio.Event().wait)
        return [each.body for each in found]

    async def waiting(self) -> int:
        ((count,),) = await self.store.read("SELECT count(*) FROM deliveries", ())
        return int(count)

    async def close(self) -> None:
        for part in (self.pusher, self.topics, self.outgoing, self.store):
            await part.close()


def run(path: Path, work: Callable[[Bench], Awaitable[None]], *queues: str, **options: Any) -> None:
    async def whole() -> None:
        bench = Bench(path, "127.0.0.1", **options)
        try:
            await bench.make(*queues)
            await work(bench)
        finally:
            await bench.close()

    asyncio.run(whole())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():
            await asyncio.sleep(0.005)


def test_a_queue_gets_only_what_has_its_tag(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.subscribe(QUEUE, "SIMPLIFIED", "wanted", "tagged")
        for body, tag in (("a", ""), ("b", "wanted"), ("c", "other")):
            await bench.publish(body, tag)
        assert await bench.received() == ["b"]
        await bench.subscribe(QUEUE, "SIMPLIFIED", name="all")
        await bench.publish("d", "wanted")
        assert await bench.received() == ["d", "d"]

    run(tmp_path, work, "q")


def test_who_waits_at_a_queue_hears_of_what_is_published(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.subscribe(QUEUE, "SIMPLIFIED")
        queue = bench.store.resource("queues", "q")
        waiting = asyncio.create_task(bench.messages.receive(queue, 1, 20, asyncio.Event().wait))
        await asyncio.sleep(0.05)
        await bench.publish("m")
        assert [each.body for each in await asyncio.wait_for(waiting, 5)] == ["m"]

    run(tmp_path, work, "q")


def test_a_framed_message_says_where_it_comes_from(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.subscribe(QUEUE, "XML", name="x")
        await bench.subscribe(QUEUE, "JSON", name="j")
        number = await bench.publish("hello topic", "tag")
        found = await bench.received()
        told = json.loads(found[0])
        assert told | {"PublishTime": 0} == {
            "TopicOwner": "1", "TopicName": "t", "Subscriber": "1", "SubscriptionName": "j", "MessageId": number,
            "Message": "hello topic", "MessageMD5": "D6206122A430035E4EC1463CDD704B59", "MessageTag": "tag",
            "PublishTime": 0,
        }  # fmt: skip
        framed = fields_of(ElementTree.fromstring(found[1]))
        assert framed == {name: str(value) for name, value in told.items()} | {"SubscriptionName": "x"}

    run(tmp_path, work, "q")


def test_an_http_endpoint_is_told_with_what_it_needs_to_know(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        async with serving(OK) as (port, asked):
            await bench.subscribe(f"http://127.0.0.1:{port}", "SIMPLIFIED", name="plain")
            await bench.subscribe(f"http://127.0.0.1:{port}/x?y=z", "XML", name="framed")
            number = await bench.publish("hello", "tag")
            await until(lambda: _none(bench))
        heads = {each.split(b" ")[1]: each for each in asked}
        assert set(heads) == {b"/notifications", b"/x?y=z"}
        assert heads[b"/notifications"].endswith(b"\r\n\r\nhello")
        for line in (f"x-mns-message-id: {number}", "x-mns-message-tag: tag", "x-mns-topic-name: t",
                     "x-mns-subscription-name: plain", "Content-Type: text/plain;charset=utf-8",
                     "Content-MD5: NWQ0MTQwMmFiYzRiMmE3NmI5NzE5ZDkxMTAxN2M1OTI="):  # fmt: skip
            assert f"\r\n{line}\r\n".encode() in heads[b"/notifications"]
        assert b"<Message>hello</Message>" in heads[b"/x?y=z"]

    run(tmp_path, work)


async def _none(bench: Bench) -> bool:
    return not await bench.waiting()


def test_an_endpoint_that_fails_is_asked_again_and_then_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(bench: Bench) -> None:
        async with serving(BROKEN) as (port, asked):
            await bench.subscribe(f"http://127.0.0.1:{port}/x")
            await bench.publish("m")
            await until(lambda: _none(bench))
        assert len(asked) == 4
        assert bench.failures == [1, 2, 3, 4]

    with caplog.at_level(logging.WARNING):
        run(tmp_path, work, tries=4)
    assert "is dropped for subscription s after 4 tries: 'it answered 500'" in caplog.text


def test_a_mistake_in_sending_uses_up_a_try_as_any_other_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Signing, "signed", fails)

    async def work(bench: Bench) -> None:
        await bench.subscribe("http://127.0.0.1:9/")
        await bench.publish("m")
        await until(lambda: gone(bench))
        assert bench.failures == [1, 2, 3]

    async def gone(bench: Bench) -> bool:
        return await bench.waiting() == 0

    run(tmp_path, work)
    assert "is dropped for subscription s after 3 tries: 'ZeroDivisionError'" in caplog.text


def test_an_address_of_this_machine_is_not_asked_unless_it_is_allowed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def whole() -> list[bytes]:
        bench = Bench(tmp_path, tries=1)
        await bench.make()
        async with serving(OK) as (port, asked):
            await bench.subscribe(f"http://127.0.0.1:{port}/x")
            await bench.publish("m")
            await until(lambda: _none(bench))
        await bench.close()
        return asked

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(whole()) == []
    assert "PYFC_ALLOW_OUTGOING" in caplog.text


def test_a_queue_that_is_made_later_gets_what_was_published_before(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.subscribe(QUEUE, "SIMPLIFIED")
        await bench.publish("early")
        await bench.store.create("queues", "q", settings_of("queues", {}))
        await until(lambda: _none(bench))
        assert await bench.received() == ["early"]

    run(tmp_path, work, tries=10_000)


def test_what_was_not_delivered_is_after_a_restart(tmp_path: Path) -> None:
    async def before(bench: Bench) -> None:
        await bench.subscribe(QUEUE, "SIMPLIFIED")
        await bench.publish("m")

    async def after(bench: Bench) -> None:
        await until(lambda: _none(bench))
        assert await bench.received() == ["m"]

    run(tmp_path, before, tries=10_000)
    run(tmp_path, after, "q")


def test_nothing_is_delivered_for_a_subscription_or_topic_that_is_gone(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        topic = bench.store.resource("topics", "t")
        await bench.subscribe(QUEUE)
        await bench.publish("m")
        await bench.topics.unsubscribe(topic, "s")
        assert await bench.waiting() == 0
        await bench.subscribe(QUEUE)
        await bench.publish("m")
        await bench.store.delete("topics", "t")
        assert await bench.waiting() == 0
        await bench.store.have("topics", "t")
        assert await bench.topics.subscriptions(bench.store.resource("topics", "t")) == []

    run(tmp_path, work, tries=10_000)


def test_the_strategies_wait_as_mns_does() -> None:
    backoff = [pause(BACKOFF, number) for number in range(1, 5)]
    decay = [pause(DECAY, number) for number in range(1, 178)]

    assert all(each is not None and 10 <= each <= 20 for each in backoff[:3])
    assert backoff[3] is None
    assert decay[:11] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512]
    assert decay[175:] == [512, None]
    assert abs(sum(each for each in decay if each is not None) - 86400) < 3600


@pytest.mark.parametrize(
    ("endpoint", "queue"),
    [
        ("acs:mns:cn-hangzhou:1:queues/q", "q"),
        ("acs:mns:cn-hangzhou:1:/queues/q/messages", "q"),
        ("acs:mns:::queues/q", "q"),
        ("acs:mns:cn-hangzhou:1:topics/q", ""),
        ("acs:fc:cn-hangzhou:1:queues/q", ""),
        ("http://queues/q", ""),
    ],
)
def test_a_queue_is_named_by_its_arn(endpoint: str, queue: str) -> None:
    assert queue_of(endpoint) == queue


def test_what_fails_later_is_tried_as_soon_as_what_failed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []

    def recorded(failures: int) -> float:
        pauses.append(failures)
        return 0.001

    monkeypatch.setattr(pusher, "back_off", recorded)

    async def work(bench: Bench) -> None:
        read, broken, looked = bench.store.read, 0, 0

        async def reads(query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
            nonlocal broken, looked
            if broken and query == pusher._DUE:
                broken -= 1
                raise Fault("ServiceUnavailable", "the disk is gone")
            looked += query == pusher._DUE
            return await read(query, values)

        monkeypatch.setattr(bench.store, "read", reads)
        for count in (2, 1):
            broken, before = count, looked
            bench.topics.arrived.set()
            async with asyncio.timeout(DEADLINE):
                while looked == before:
                    await asyncio.sleep(0.001)

    run(tmp_path, work)
    assert pauses == [1, 2, 1]


def test_a_subscription_that_takes_nothing_is_named_in_the_log_once_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(bench: Bench) -> None:
        await bench.subscribe("http://127.0.0.1:1/", name="refused")
        await bench.publish("a")
        await bench.publish("b")
        await until(lambda: _none(bench))

    async def _none(bench: Bench) -> bool:
        return await bench.waiting() == 0

    async def whole() -> None:
        bench = Bench(tmp_path)  # whose rules allow no address of this machine
        try:
            await bench.make()
            await work(bench)
        finally:
            await bench.close()

    asyncio.run(whole())
    told = [each.getMessage() for each in caplog.records if "takes no messages" in each.getMessage()]
    assert len(told) == 1
    assert "subscription refused of topic t takes no messages" in told[0]
    assert "PYFC_ALLOW_OUTGOING" in told[0]
