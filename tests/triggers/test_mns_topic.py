"""Triggers of topics fire once for each message, in order, whatever fails and whenever the server ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pyfc.cloud.mns.messages import Messages
from pyfc.cloud.mns.model import Draft
from pyfc.cloud.mns.store import Store
from pyfc.cloud.mns.topics import Topics
from pyfc.model.trigger import Trigger
from pyfc.triggers import mns_topic
from pyfc.triggers.interface import Key
from pyfc.triggers.mns_topic import MnsTopic, topic_of
from support import DEADLINE
from triggers.bench import TriggerBench, fires_after_a_mistake, until

ARN = "acs:mns:cn-hangzhou:1:/topics/news"


def _trigger(name: str = "t", arn: str = ARN, **config: Any) -> Trigger:
    return Trigger(service="s", function="f", name=name, type="mns_topic", source_arn=arn, config=config)


class Bench(TriggerBench):
    """A message service and the triggers of its topics."""

    source: MnsTopic

    def __init__(self, folder: Path, marks: dict[Key, str] | None) -> None:
        super().__init__(marks)
        self.store = Store(folder / "mns.sqlite")
        self.topics = Topics(self.store, Messages(self.store), "1")
        self.source = MnsTopic(self.emit, self.topics, "1")

    async def publish(self, *bodies: str, tag: str = "", attributes: dict[str, str] | None = None) -> None:
        for body in bodies:
            await self.topics.publish("news", Draft(body), tag, attributes or {}, 0)

    def fired(self, name: str = "t") -> list[str]:
        return [each.payload.decode() for each in self.told if each.trigger.name == name]

    async def rows(self) -> int:
        ((count,),) = await self.store.read("SELECT count(*) FROM firings", ())
        return int(count)

    async def close(self) -> None:
        await self.topics.close()
        await self.store.close()


def run(
    folder: Path,
    work: Callable[[Bench], Awaitable[None]],
    *triggers: Trigger,
    marks: dict[Key, str] | None = None,
    runs: bool = True,
) -> Bench:
    """`work` with triggers, which run or do not."""

    async def whole() -> Bench:
        bench = Bench(folder, marks)
        bench.use(*(triggers or [_trigger()]))
        try:
            async with bench.running() if runs else nullcontext():
                await work(bench)
        finally:
            await bench.close()
        return bench

    return asyncio.run(whole())


def test_a_trigger_makes_its_topic_and_fires_for_what_is_published_in_order(tmp_path: Path) -> None:
    bodies = [str(number) for number in range(250)]

    async def work(bench: Bench) -> None:
        await bench.publish(*bodies)
        await until(lambda: len(bench.told) == len(bodies))
        assert bench.fired() == bodies
        async with asyncio.timeout(DEADLINE):
            while await bench.rows():
                await asyncio.sleep(0.005)

    run(tmp_path, work)


def test_each_trigger_hears_what_its_tag_says(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.publish("a", tag="wanted")
        await bench.publish("b")
        await until(lambda: len(bench.told) == 3)
        assert (bench.fired("all"), bench.fired("one")) == (["a", "b"], ["a"])

    run(tmp_path, work, _trigger("all"), _trigger("one", filterTag="wanted"))


def test_the_json_format_has_the_keys_that_fc_has(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.publish("hello topic", attributes={"Extend": '{"key": "value"}', "plain": "text"})
        await until(lambda: bench.told)
        event = json.loads(bench.told[0].payload)
        assert (len(event.pop("MessageId")), event.pop("PublishTime") > 1e12) == (32, True)
        assert event == {
            "TopicOwner": "1", "Message": "hello topic", "Subscriber": "1", "SubscriptionName": "t",
            "MessageMD5": "D6206122A430035E4EC1463CDD704B59", "TopicName": "news", "key": "value", "plain": "text",
        }  # fmt: skip

    run(tmp_path, work, _trigger(notifyContentFormat="JSON"))


def test_the_stream_format_has_attributes_beside_the_text(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.publish("hello topic", attributes={"Extend": '{"key":"value"}'})
        await until(lambda: bench.told)
        assert bench.fired() == ['{"body":"hello topic","attrs":{"Extend":"{\\"key\\":\\"value\\"}"}}']

    run(tmp_path, work)


def test_what_was_published_before_a_restart_fires_after_it_and_nothing_twice(tmp_path: Path) -> None:
    marks: dict[Key, str] = {}

    async def before(bench: Bench) -> None:
        await bench.publish("a", "b")
        rows = await bench.topics.notices("s/f/t", 0, 10)
        await bench.emit(bench.source._firing(bench.source._watched[Key("s", "f", "t")], *rows[0]))

    async def after(bench: Bench) -> None:
        await until(lambda: bench.told)
        await bench.publish("c")
        await until(lambda: len(bench.told) == 2)
        assert bench.fired() == ["b", "c"]

    run(tmp_path, before, marks=marks, runs=False)
    run(tmp_path, after, marks=marks)


def test_one_that_can_not_fire_holds_up_no_other_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mns_topic, "back_off", lambda _: 0.01)

    async def work(bench: Bench) -> None:
        bench.failing.add("full")
        await bench.publish("a", "b")
        await until(lambda: bench.fired("other") == ["a", "b"])
        await until(lambda: bench.error("full") == "the queue is full")
        bench.failing.clear()
        await until(lambda: bench.fired("full") == ["a", "b"])
        await until(lambda: not bench.error("full"))

    run(tmp_path, work, _trigger("full"), _trigger("other"))


def test_a_trigger_that_is_gone_is_told_of_nothing_when_it_comes_back(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.publish("old")
        bench.use()
        async with asyncio.timeout(DEADLINE):
            while await bench.rows():
                await asyncio.sleep(0.005)
        await bench.publish("nobody hears")
        bench.marks.clear()
        bench.use(_trigger())
        assert await bench.rows() == 0

    run(tmp_path, work, runs=False)


def test_a_mistake_of_ours_keeps_a_trigger_from_firing_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mns_topic, "back_off", lambda _: 0.01)

    run(tmp_path, lambda bench: fires_after_a_mistake(bench, bench.publish, bench.fired))
    assert "could not fire" in caplog.text


def test_one_whose_topic_was_deleted_says_so_and_fires_when_it_is_made_again(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.topics.ready()
        assert bench.error() == ""
        await bench.store.delete("topics", "news")
        assert bench.error().startswith("topic news is not there")
        await bench.store.have("topics", "news")
        assert bench.error() == ""
        await bench.publish("a")
        await until(lambda: bench.fired() == ["a"])

    run(tmp_path, work)


def test_one_whose_topic_was_deleted_makes_it_when_something_is_deployed(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await bench.topics.ready()
        await bench.store.delete("topics", "news")
        bench.use(_trigger(), _trigger("other"))
        await bench.publish("a")
        await until(lambda: bench.fired() == bench.fired("other") == ["a"])

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("trigger", "topic"),
    [
        (_trigger(), "news"),
        (_trigger(arn="acs:mns:::/topics/news"), "news"),
        (_trigger(arn="acs:mns:::topics/news"), "news"),
        (_trigger(arn="", topicName="other"), "other"),
        (_trigger(arn="", TopicName="other"), "other"),
        (_trigger(arn="acs:mns:::/queues/news"), ""),
        (_trigger(arn=""), ""),
    ],
)
def test_a_topic_is_named_by_an_arn_or_by_its_name(trigger: Trigger, topic: str) -> None:
    assert topic_of(trigger) == topic


@pytest.mark.parametrize(
    ("trigger", "why"),
    [
        (_trigger(arn=""), "names a topic"),
        (_trigger(notifyContentFormat="YAML"), "triggerConfig.notifyContentFormat is 'YAML'"),
        (_trigger(notifyStrategy="NEVER"), "triggerConfig.notifyStrategy is 'NEVER'"),
        (_trigger(filterTag="x" * 17), "triggerConfig.filterTag"),
    ],
)
def test_what_is_wrong_with_a_trigger_is_said(tmp_path: Path, trigger: Trigger, why: str) -> None:
    async def work(bench: Bench) -> None:
        assert why in bench.error()

    run(tmp_path, work, trigger)
