"""Triggers of buckets fire once for each change, in order, whatever fails and whenever the server ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pyfc.cloud.oss.model import Cause, Description, Place
from pyfc.cloud.oss.store import Store
from pyfc.errors import InvalidArgument, Unavailable
from pyfc.model import bucket
from pyfc.model.bucket import Rule, events_of
from pyfc.model.trigger import Trigger
from pyfc.triggers import oss
from pyfc.triggers.interface import Key
from support import DEADLINE
from triggers.bench import TriggerBench, fires_after_a_mistake, until

BY = Cause(bucket.PUT, "REQUEST", "127.0.0.1")


def _trigger(name: str = "t", prefix: str = "", suffix: str = "", events: object = ("oss:ObjectCreated:*",)) -> Trigger:
    config = {"bucketName": "bkt", "events": list(events), "filter": {"key": {"prefix": prefix, "suffix": suffix}}}  # type: ignore[call-overload]
    return Trigger(service="s", function="f", name=name, type="oss", config=config)


class Bench(TriggerBench):
    """A store and the triggers of its buckets."""

    source: oss.Oss

    def __init__(self, folder: Path, marks: dict[Key, str] | None = None) -> None:
        super().__init__(dict(marks or {}))
        self.store = Store(folder / "buckets", folder / "oss.sqlite")
        self.source = oss.Oss(self.emit, self.store.index.outbox, self.store, "1", "cn-hangzhou")

    async def put(self, *keys: str, content: bytes = b"x") -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        for key in keys:
            await self.store.put(Place("bkt", key), pieces(), Description(), cause=BY)

    def fired(self, name: str = "t") -> list[str]:
        found = [json.loads(each.payload)["events"][0] for each in self.told if each.trigger.name == name]
        return [each["oss"]["object"]["key"] for each in found]

    async def rows(self) -> list[str]:
        return [happened.key for _, happened in await self.store.index.outbox.rows(0, 1000)]


def run(folder: Path, work: Callable[[Bench], Awaitable[None]], marks: dict[Key, str] | None = None) -> Bench:
    """`work` with triggers that run."""

    async def whole() -> Bench:
        bench = Bench(folder, marks)
        bench.use(_trigger())
        try:
            async with bench.running():
                await work(bench)
        finally:
            await bench.store.close()
        return bench

    return asyncio.run(whole())


def test_what_happens_is_told_in_the_order_of_the_commits_and_then_forgotten(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await asyncio.gather(*(bench.put(*[f"{each}/{number}" for number in range(20)]) for each in range(5)))
        await until(lambda: len(bench.told) == 100)
        for each in range(5):
            assert [key for key in bench.fired() if key.startswith(f"{each}/")] == [f"{each}/{n}" for n in range(20)]
        marks = [int(each.mark.split()[0]) for each in bench.told]
        assert marks == sorted(set(marks))
        assert len({each.identity for each in bench.told}) == 100
        while await bench.rows():
            await asyncio.sleep(0.01)

    run(tmp_path, lambda bench: asyncio.wait_for(work(bench), DEADLINE))


def test_there_is_no_row_for_what_no_trigger_is_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.use(_trigger(prefix="in/", events=("oss:ObjectCreated:PutObject",)))
        await bench.put("in/a", "out/a")
        await bench.store.delete("bkt", "in/a", Cause(bucket.DELETE))
        assert await bench.rows() == ["in/a"]
        await bench.store.close()

    asyncio.run(scenario())


def test_a_refused_write_tells_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path)
        bench.use(_trigger())

        async def pieces() -> AsyncIterator[bytes]:
            yield b"x"

        await bench.put("a")
        with pytest.raises(Exception, match="already exists"):
            await bench.store.put(Place("bkt", "a"), pieces(), Description(), cause=BY, may_replace=False)
        assert await bench.rows() == ["a"]
        await bench.store.close()

    asyncio.run(scenario())


def test_what_was_not_told_before_the_end_is_told_after_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        await bench.put("a", "b")
        await until(lambda: len(bench.told) == 2)

    before = run(tmp_path, first)

    async def untold() -> None:
        bench = Bench(tmp_path, before.marks)
        bench.use(_trigger())  # nobody runs: the server dies before
        await bench.put("c", "d")
        await bench.store.close()

    asyncio.run(untold())

    async def after(bench: Bench) -> None:
        await until(lambda: len(bench.told) >= 2)
        await bench.put("e")
        await until(lambda: len(bench.told) >= 3)

    assert run(tmp_path, after, before.marks).fired() == ["c", "d", "e"]


def test_a_trigger_that_cannot_fire_catches_up_in_order_while_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oss, "back_off", lambda _: 0.01)
    monkeypatch.setattr(oss, "_BATCH", 3)

    async def work(bench: Bench) -> None:
        bench.use(_trigger("t", prefix="a"), _trigger("u", prefix="b"))
        bench.failing.add("t")
        keys = [f"{letter}{number}" for number in range(10) for letter in "ab"]
        await bench.put(*keys)
        await until(lambda: len(bench.fired("u")) == 10)
        assert bench.fired("t") == []
        assert bench.error() == "the queue is full"
        assert await bench.rows(), "what one trigger has not fired for stays"
        bench.failing.clear()
        await bench.put("a10")
        await until(lambda: len(bench.fired("t")) == 11)
        assert bench.fired("t") == [f"a{number}" for number in range(11)]
        await until(lambda: not bench.error())
        await bench.put("a11")
        await until(lambda: bench.fired("t")[-1] == "a11")
        assert len(bench.fired("t")) == 12

    run(tmp_path, work)


def test_a_trigger_that_is_made_later_fires_for_what_comes_after_it(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.failing |= {"t", "u"}
        await bench.put("before")
        bench.use(_trigger(), _trigger("u", events=("oss:ObjectRemoved:*",)))
        await bench.store.delete("bkt", "before", Cause(bucket.DELETE))
        bench.failing.clear()
        await until(lambda: len(bench.told) == 2)
        assert (bench.fired("t"), bench.fired("u")) == (["before"], ["before"])

    run(tmp_path, work)


def test_a_trigger_whose_function_is_repaired_fires_for_what_came_before_and_meanwhile_though_others_went_on(
    tmp_path: Path,
) -> None:
    async def first(bench: Bench) -> None:
        bench.use(_trigger(prefix="a"), _trigger("u", prefix="b"))
        bench.failing |= {"t", "u"}
        await bench.put("a1", "b1")

    before = run(tmp_path, first)

    async def after() -> None:
        bench = Bench(tmp_path, before.marks)
        bench.use(_trigger("u", prefix="b"))  # the function of the other one is mistaken at the start
        async with bench.running():
            await bench.put("a2", "b2")
            await until(lambda: bench.fired("u") == ["b1", "b2"])
            await until(lambda: bench.source._tidying is not None and bench.source._tidying.done())
            bench.use(_trigger(prefix="a"), _trigger("u", prefix="b"))
            await bench.put("a3", "b3")
            await until(lambda: len(bench.told) == 6)
            assert (bench.fired("t"), bench.fired("u")) == (["a1", "a2", "a3"], ["b1", "b2", "b3"])
            while await bench.rows():
                await asyncio.sleep(0.01)
        await bench.store.close()

    asyncio.run(asyncio.wait_for(after(), DEADLINE))


def test_a_trigger_that_cannot_be_for_a_while_goes_on_where_it_was(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        bench.use(_trigger(prefix="a"), _trigger("u", prefix="b"))
        bench.use(_trigger(prefix="a", events=("oss:Nothing:*",)), _trigger("u", prefix="b"))
        await bench.put("a1", "b1")
        await until(lambda: bench.fired("u") == ["b1"])
        bench.use(_trigger(prefix="a"), _trigger("u", prefix="b"))
        await until(lambda: bench.fired("t") == ["a1"])

    run(tmp_path, work)


def test_for_a_trigger_that_does_not_come_back_nothing_is_kept_for_more_than_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def first(bench: Bench) -> None:
        bench.use(_trigger(prefix="a"))
        bench.failing.add("t")
        await bench.put("a1")

    before = run(tmp_path, first)
    monkeypatch.setattr(oss, "_ABSENT", 0.0)

    async def after() -> None:
        bench = Bench(tmp_path, before.marks)
        bench.use(_trigger("u", prefix="b"))
        async with bench.running():
            await bench.put("a2", "b2")
            while await bench.rows():
                await asyncio.sleep(0.01)
            await bench.put("a3")
            assert await bench.rows() == []
        await bench.store.close()

    asyncio.run(asyncio.wait_for(after(), DEADLINE))


def asked_of(bench: Bench, fault: Unavailable | None = None) -> list[int]:
    """After which rows the outbox is asked for more, from now on. `fault`: what the first time raises."""
    outbox = bench.store.index.outbox
    rows, asked = outbox.rows, list[int]()

    async def noted(after: int, limit: int) -> object:
        asked.append(after)
        if fault is not None and len(asked) == 1:
            raise fault
        return await rows(after, limit)

    outbox.rows = noted  # type: ignore[method-assign,assignment]
    return asked


def test_what_nobody_is_told_of_is_not_looked_for(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        asked = asked_of(bench)
        bench.use(_trigger(prefix="a"))
        for number in range(50):
            await bench.put(f"b{number}")
        assert len(asked) <= 1  # at the start
        await bench.put("a")
        await until(lambda: bench.fired() == ["a"])

    run(tmp_path, work)


def test_a_failure_of_the_store_is_over_when_the_source_runs_again(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        asked_of(bench, Unavailable(message="the disk is gone"))
        await bench.put("a")
        with pytest.raises(Unavailable):
            await bench.source.run()
        async with bench.running():
            await until(lambda: bench.fired() == ["a"])

    async def whole() -> None:
        bench = Bench(tmp_path)
        bench.use(_trigger())
        try:
            await work(bench)
        finally:
            await bench.store.close()

    asyncio.run(whole())


def test_a_mistake_of_ours_keeps_a_trigger_from_firing_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(oss, "back_off", lambda _: 0.01)

    run(tmp_path, lambda bench: fires_after_a_mistake(bench, bench.put, bench.fired))
    assert "could not fire" in caplog.text


def test_one_whose_bucket_was_deleted_says_so_and_fires_when_it_is_made_again(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        assert bench.error() == ""
        await bench.store.delete_bucket(bench.store.bucket("bkt"))
        assert bench.error().startswith("bucket bkt is not there")
        await bench.store.create("bkt")
        assert bench.error() == ""
        await bench.put("a")
        await until(lambda: bench.fired() == ["a"])

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (("", ""), ("", ""), True),
        (("a/", ""), ("a/b/", ""), True),
        (("a/", ""), ("b/", ""), False),
        (("", ".png"), ("", ".jpg"), False),
        (("", ".png"), ("", "x.png"), True),
        (("a/", ".png"), ("a/", ".jpg"), False),
        (("a/", ""), ("", ".jpg"), True),
    ],
)
def test_two_triggers_overlap_when_one_object_could_fire_both(
    one: tuple[str, str], other: tuple[str, str], clash: bool
) -> None:
    created, removed = events_of(["oss:ObjectCreated:*"]), events_of(["oss:ObjectRemoved:*"])
    first, second = Rule("bkt", created, *one), Rule("bkt", created, *other)

    assert (first.overlaps(second), second.overlaps(first)) == (clash, clash)
    assert not first.overlaps(second._replace(events=removed))
    assert not first.overlaps(second._replace(bucket="other"))


def test_a_trigger_is_beside_those_that_fire() -> None:
    def one(name: str, prefix: str, **more: object) -> Trigger:
        config = {"bucketName": "b", "events": ["oss:ObjectCreated:*"], "filter": {"key": {"prefix": prefix}}, **more}
        return Trigger(service="s", function="f", name=name, type="oss", config=config)

    beside = oss.Beside()
    beside.add(one("first", "a/"))
    with pytest.raises(InvalidArgument, match="s/f:first"):
        beside.add(one("second", "a/b/"))
    beside.add(one("off", "c/", enable=False))

    assert beside.add(one("third", "c/")).prefix == "c/"  # neither one that does not fire nor one that is off counts


@pytest.mark.parametrize(
    ("names", "count"),
    [(["oss:ObjectCreated:PutObject"], 1), (["oss:ObjectCreated:*"], 9), (["oss:ObjectRemoved:*"], 3),
     (["oss:ObjectReplication:*", "oss:ObjectModified:*"], 4)],
)  # fmt: skip
def test_a_star_means_all_events_of_its_kind(names: list[str], count: int) -> None:
    assert len(events_of(names)) == count


@pytest.mark.parametrize(
    "name", ["ObjectCreated:PutObject", "oss:*", "oss:ObjectCreated", "oss:ObjectCreated:Put*", ""]
)
def test_what_oss_does_not_have_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"triggerConfig\.events"):
        oss.rule_of(_trigger(events=(name,)))


def test_the_bucket_comes_from_the_configuration_or_from_the_arn() -> None:
    plain = Trigger(service="s", function="f", name="t", type="oss", config={"EVENTS": ["oss:ObjectCreated:*"]})
    for arn, name in (
        ("acs:oss:cn-hangzhou:1:bkt", "bkt"),
        ("acs:oss:*:*:bkt", "bkt"),
        ("acs:log:r:1:bkt", ""),
        ("x", ""),
    ):
        trigger = Trigger(service="s", function="f", name="t", type="oss", config=plain.config, source_arn=arn)
        assert oss.rule_of(trigger).bucket == name
