"""What is written can be read again; what can not be read stops nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pyfc.errors import InvalidArgument
from pyfc.model.function import Code, Function, Service
from pyfc.model.resources import Alias, Config, Domain, Layer, Route, Version
from pyfc.model.trigger import Trigger
from pyfc.registry.registry import Declared, Registry, key_of
from pyfc.stores.sqlite import SqliteStore

WRONG: Any = "x"
SERVICE = Service(name="s")
FUNCTION = Function(service="s", name="f", runtime="python3", handler="index.handler")
CODE = Code(digest="d", kind="zip", checksum="", size=1)
OF_EVERY_KIND: list[Declared] = [
    Service(name="s", tags=WRONG),
    Function(service="s", name="f", runtime="python3", handler="h", environment_variables=WRONG),
    Version(service="s", scope="-", number=1, description="", of=WRONG, functions=()),
    Alias(service="s", scope="-", name="a", version_id="1", route_policy=WRONG),
    Config(kind="k", service="s", function="f", document=WRONG),
    Trigger(service="s", function="f", name="t", type="http", config=WRONG),
    Layer(name="l", number=1, code=WRONG),
    Domain(name="d.example.com", routes=WRONG),
]


def with_registry(scenario: Callable[[Registry, SqliteStore], Awaitable[None]]) -> None:
    async def whole(folder: str) -> None:
        store = SqliteStore(Path(folder) / "store.sqlite")
        await scenario(Registry(store), store)
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(whole(folder))


@pytest.mark.parametrize("value", OF_EVERY_KIND, ids=lambda value: type(value).__name__)
def test_what_could_not_be_read_again_is_not_written(value: Declared) -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        with pytest.raises(InvalidArgument, match=key_of(value)):
            await registry.write([SERVICE, value] if key_of(value) != "services/s" else [value])

        assert not await store.list("")

    with_registry(scenario)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_text_that_is_no_unicode_is_not_written(text: str) -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        for value in (Service(name="s", description=text), Service(name="s", extras={text: 1})):
            with pytest.raises(InvalidArgument, match="services/s"):
                await registry.write([value])

        assert not await store.list("")

    with_registry(scenario)


def test_a_name_can_not_reach_another_record() -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        with pytest.raises(InvalidArgument, match="a/b"):
            await registry.write([Config(kind="k", service="s", function="f", qualifier="a/b")])
        with pytest.raises(InvalidArgument):
            await registry.get(Domain, "a/b")

        assert not await store.list("")

    with_registry(scenario)


@pytest.mark.parametrize("data", [b"no JSON", b"", b"[]", b'{"value":{"name":"s"}}', b'{"value":{"name":[]}}'])
def test_a_record_that_can_not_be_read_is_set_aside_and_the_rest_is_served(data: bytes) -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        await registry.write([SERVICE, FUNCTION])
        good = await store.list("")
        await store.write({"services/bad": data})

        [found] = await registry.set_aside()

        assert (found.key, bool(found.reason)) == ("services/bad", True)
        assert [record.value for record in await registry.all(Service)] == [SERVICE]
        assert [change.value for change in await anext(registry.changes())] == [SERVICE, FUNCTION]
        assert [entry for entry in await store.list("") if not entry.key.startswith("aside/")] == good
        assert [each.key for each in await registry.set_aside()] == ["services/bad"]  # it is told at every start
        await registry.write([Service(name="bad")])  # and its name can be used

    with_registry(scenario)


def test_a_record_that_can_be_read_again_comes_back_unless_there_is_a_newer_one() -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        await registry.write([SERVICE, Service(name="t")])
        one, other = await store.list("services/")
        await store.write({one.key: None, f"aside/{one.key}": one.value, f"aside/{other.key}": one.value})

        assert [each.key for each in await registry.set_aside()] == ["services/t"]  # it is another's record

        assert [record.value.name for record in await registry.all(Service)] == ["s", "t"]
        assert [entry.key for entry in await store.list("aside/")] == ["aside/services/t"]

    with_registry(scenario)


def test_a_change_that_can_not_be_read_is_told_as_a_deletion_and_ends_nobody_who_follows() -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        batches = registry.changes()
        assert await anext(batches) == []
        await store.write({"services/bad": b"no JSON", "nothing/known": b"{}"})
        await registry.write([SERVICE])

        changes = await anext(batches)

        assert [(change.key, change.value) for change in changes] == [
            ("services/bad", None), ("nothing/known", None), ("services/s", SERVICE),
        ]  # fmt: skip

    with_registry(scenario)


@pytest.mark.parametrize("moment", range(1, 9))
def test_what_is_written_while_all_is_read_comes_with_what_it_needs(
    moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        read, reads = store.list, 0

        async def reads_slowly(prefix: str, **given: Any) -> Any:
            nonlocal reads
            found = await read(prefix, **given)
            reads += 1
            if reads == moment:
                await registry.write([SERVICE, FUNCTION])
            return found

        monkeypatch.setattr(store, "list", reads_slowly)
        values = [change.value for change in await anext(registry.changes())]
        assert FUNCTION not in values or SERVICE in values

    with_registry(scenario)


def test_a_route_is_a_part_of_its_domain() -> None:
    async def scenario(registry: Registry, store: SqliteStore) -> None:
        domain = Domain(name="d.example.com", routes=(Route(path="/*", service="s", function="f"),))
        await registry.write([domain])

        record = await registry.get(Domain, "d.example.com")

        assert record is not None
        assert record.value == domain

    with_registry(scenario)


def test_a_write_while_everything_is_read_is_reached_only_with_its_whole_batch() -> None:
    async def scenario(registry: Registry, _store: SqliteStore) -> None:
        batches = registry.changes()
        revision = await registry.write([SERVICE, FUNCTION])

        everything, written = await anext(batches), await anext(batches)

        assert {change.revision for change in everything} == {0}
        assert {change.revision for change in written} == {revision}

    with_registry(scenario)
