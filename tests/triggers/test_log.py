"""Triggers of logstores tell of windows without holes, of real logstores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pyfc.cloud.sls.groups import Labels, Log, write_group
from pyfc.cloud.sls.model import Project, cursor_of
from pyfc.cloud.sls.store import Store
from pyfc.cloud.sls.windows import Windows
from pyfc.errors import Unavailable
from pyfc.model.asynchronous import Policy
from pyfc.model.trigger import Trigger
from pyfc.triggers import log
from pyfc.triggers.interface import Firing, Key
from pyfc.triggers.log import LogSource, policy_of
from support import run_with

KEY = Key("demo", "hello", "logs")
GROUP = write_group(Labels(), [Log(1, 0, [])])


def _trigger(**changed: Any) -> Trigger:
    config = {
        "sourceConfig": {"logstore": "access"}, "jobConfig": {"triggerInterval": 3, "maxRetryTime": 1},
        "functionParameter": {"a": "b"}, "enable": True,
    }  # fmt: skip
    arn = changed.pop("sourceArn", "acs:log:cn-hangzhou:1:project/web")
    return Trigger(service="demo", function="hello", name="logs", type="log", source_arn=arn, config=config | changed)


class Running:
    """A source on a store, and what it has told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told: list[Firing] = []
        self.fails = False
        self.own: tuple[str, str] | None = None
        """Where the function's own logs go."""
        self.others: dict[str, tuple[str, str]] = {}
        """Where those of other functions go."""
        self.source = LogSource(self.emit, Windows(store), "cn-hangzhou", self.filled)

    def filled(self, trigger: Trigger) -> tuple[str, str] | None:
        return self.others.get(trigger.function, self.own)

    async def emit(self, *firings: Firing) -> None:
        if self.fails:
            raise Unavailable(message="the queue is full")
        self.told += firings

    async def put(self, depth: int = 0) -> int:
        return await self.store.put(self.store.logstore("web", "access"), Labels(), 1, GROUP, depth)

    @property
    def windows(self) -> list[tuple[str, str]]:
        sources = [json.loads(each.payload)["source"] for each in self.told]
        return [(each["beginCursor"], each["endCursor"]) for each in sources]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)


def _run(path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Running], Awaitable[None]]) -> None:
    async def whole(store: Store) -> None:
        if not store.projects:
            await store.put_project(Project("web", "", 0, 0), is_new=True)
            await store.create_logstore("web", "access", {"ttl": 1})
        running = Running(store)
        task = asyncio.create_task(running.source.run())
        try:
            await scenario(running)
        finally:
            task.cancel()
            await asyncio.wait({task})

    run_with(lambda: Store(path / "sls.sqlite", 2**30, 7), whole)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> Trigger:
    """A trigger that looks every 20 ms."""
    monkeypatch.setattr(log._Watched, "take", _taken)
    return _trigger()


_TAKE = log._Watched.take


def _taken(self: log._Watched, trigger: Trigger) -> None:
    _TAKE(self, trigger)
    self.interval = 0.02  # type: ignore[assignment]


def test_the_event_is_that_of_sls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger) -> None:
    async def scenario(running: Running) -> None:
        running.source.use({KEY: fast}, {})
        number = await running.put()
        await running.until(lambda: running.told)
        (firing,) = running.told
        event = json.loads(firing.payload)
        received = (await running.store.pull(running.store.logstore("web", "access"), 0, None, 1))[0].received

        assert firing.mark == str(number + 1)
        assert event.pop("taskId")
        assert len(event.pop("jobName")) == 40
        assert event == {
            "parameter": {"a": "b"},
            "source": {
                "endpoint": "http://cn-hangzhou-intranet.log.aliyuncs.com", "projectName": "web",
                "logstoreName": "access", "shardId": 0, "beginCursor": cursor_of(number),
                "endCursor": cursor_of(number + 1),
            },
            "cursorTime": received,
        }  # fmt: skip

    _run(tmp_path, monkeypatch, scenario)


def test_windows_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger) -> None:
    async def scenario(running: Running) -> None:
        await running.put()
        begin = running.store.newest + 1
        running.source.use({KEY: fast}, {})
        for count in range(1, 6):
            await running.put()
            await running.until(lambda count=count: len(running.told) == count)
        ends = [begin, *(int(each.mark) for each in running.told)]

        assert running.windows == [(cursor_of(a), cursor_of(b)) for a, b in pairwise(ends)]
        assert ends[-1] == running.store.newest + 1

    _run(tmp_path, monkeypatch, scenario)


def test_what_could_not_be_told_is_in_the_next_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        running.source.use({KEY: fast}, {})
        running.fails = True
        first = await running.put()
        await running.until(lambda: running.source.state(KEY).error)
        last = await running.put()
        assert "queue is full" in running.source.state(KEY).error
        running.fails = False
        await running.until(lambda: running.told and running.told[-1].mark == str(last + 1))

        assert running.windows[0][0] == cursor_of(first)
        await running.until(lambda: not running.source.state(KEY).error)

    _run(tmp_path, monkeypatch, scenario)


def test_a_window_tells_how_many_calls_have_led_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        running.source.use({KEY: fast}, {})
        for count, depth in enumerate((0, 3, 1, 0), 1):
            await running.put(depth)
            await running.until(lambda count=count: len(running.told) == count)
        running.fails = True
        await running.put(5)
        await running.put(2)
        running.fails = False
        last = await running.put()
        await running.until(lambda: running.told[-1].mark == str(last + 1))

        assert [each.depth for each in running.told[:4]] == [0, 3, 1, 0]
        assert max(each.depth for each in running.told[4:]) == 5

    _run(tmp_path, monkeypatch, scenario)


def test_a_trigger_does_not_read_what_its_own_function_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        running.own = ("web", "access")
        other = KEY._replace(name="other")
        elsewhere = _trigger(sourceConfig={"logstore": "elsewhere"})
        running.source.use({KEY: fast, other: elsewhere}, {})
        await running.until(lambda: ("web", "elsewhere") in running.store.logstores)
        first = await running.put()
        await running.store.put(running.store.logstore("web", "elsewhere"), Labels(), 1, GROUP)
        await running.until(lambda: running.told)
        state = running.source.state(KEY)

        assert {each.trigger.name for each in running.told} == {"logs"}
        assert json.loads(running.told[0].payload)["source"]["logstoreName"] == "elsewhere"
        assert "change logConfig" in state.error
        running.own = ("web", "another")
        await running.until(lambda: running.told[-1].mark == str(first + 1) or len(running.told) > 1)
        assert running.windows[-1][0] == cursor_of(first)
        assert not running.source.state(KEY).error

    _run(tmp_path, monkeypatch, scenario)


def test_triggers_in_a_circle_of_logstores_do_not_fire_and_say_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        keys = {name: KEY._replace(function=name) for name in ("a", "b", "reader")}
        read = {"a": "access", "b": "second", "reader": "second"}
        triggers = {
            key: replace(_trigger(sourceConfig={"logstore": read[name]}), function=name) for name, key in keys.items()
        }
        running.others = {"a": ("web", "second"), "b": ("web", "access"), "reader": ("web", "nobody")}
        running.source.use(triggers, {})
        await running.until(lambda: ("web", "second") in running.store.logstores)
        for logstore in ("access", "second"):
            await running.store.put(running.store.logstore("web", logstore), Labels(), 1, GROUP)
        await running.until(lambda: running.told)

        assert {each.trigger.function for each in running.told} == {"reader"}
        assert running.source.state(keys["a"]).error.startswith(
            "the logs of demo/a go to logstore second of project web, which call demo/b, whose logs go to"
        )
        assert "the logs of demo/b go to logstore access" in running.source.state(keys["b"]).error
        assert not running.source.state(keys["reader"]).error
        running.source.use({key: triggers[key] for key in (keys["a"], keys["reader"])}, {})
        await running.until(lambda: {each.trigger.function for each in running.told} == {"a", "reader"})

    _run(tmp_path, monkeypatch, scenario)


@pytest.mark.parametrize(("said", "retries"), [({"maxRetryTime": 0}, 0), ({"maxRetryTime": 7}, 7), ({}, 3)])
def test_a_window_is_tried_again_as_often_as_the_trigger_says(said: dict[str, int], retries: int) -> None:
    assert policy_of({"jobConfig": {"triggerInterval": 3, **said}}) == Policy(retries=retries)


def test_a_trigger_goes_on_where_it_was_before_the_server_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    marks: list[int] = []

    async def before(running: Running) -> None:
        marks.append(int(running.source.use({KEY: fast}, {})[KEY]))

    async def missed(running: Running) -> None:
        await running.put()

    async def after(running: Running) -> None:
        assert running.source.use({KEY: fast}, {KEY: str(marks[0])}) == {}
        await running.until(lambda: running.told)
        assert running.windows == [(cursor_of(marks[0]), cursor_of(marks[0] + 1))]

    for scenario in (before, missed, after):
        _run(tmp_path, monkeypatch, scenario)


def test_a_project_and_a_logstore_that_are_missing_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        arn = "acs:log:cn-hangzhou:1:project/new"
        running.source.use({KEY: fast, **{KEY._replace(name=f"t{n}"): _trigger(sourceArn=arn) for n in range(3)}}, {})
        await running.until(lambda: ("new", "access") in running.store.logstores)

        assert running.store.projects.keys() == {"web", "new"}
        await running.store.put(running.store.logstore("new", "access"), Labels(), 1, GROUP)
        await running.until(lambda: len(running.told) == 3)

    _run(tmp_path, monkeypatch, scenario)


def test_one_whose_logstore_was_deleted_says_so_and_fires_when_it_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        running.source.use({KEY: fast}, {})
        await running.put()
        await running.until(lambda: len(running.told) == 1)
        await running.store.delete_logstore(running.store.logstore("web", "access"))
        assert running.source.state(KEY).error.startswith("logstore access of project web is not there")
        await running.store.have("web", "access", "again")
        assert running.source.state(KEY).error == ""
        await running.put()
        await running.until(lambda: len(running.told) == 2)

    _run(tmp_path, monkeypatch, scenario)


def test_no_logs_make_no_call_and_a_logstore_that_can_be_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: Trigger
) -> None:
    async def scenario(running: Running) -> None:
        other = KEY._replace(name="other")
        missing = _trigger(sourceConfig={"logstore": "NOPE"})
        running.source.use({KEY: fast, other: missing}, {})
        await running.until(lambda: running.source.state(other).error)

        assert "NOPE" in running.source.state(other).error
        assert (running.source.state(KEY).error, running.told) == ("", [])

    _run(tmp_path, monkeypatch, scenario)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"jobConfig": {"triggerInterval": 700}}, "3 to 600"),
        ({"jobConfig": {"triggerInterval": "x"}}, "3 to 600"),
        ({"jobConfig": {"maxRetryTime": 101}}, "0 to 100"),
        ({"jobConfig": {"maxRetryTime": "often"}}, "0 to 100"),
        ({"sourceConfig": {}}, "logstore"),
        ({"sourceArn": ""}, "names a project"),
    ],
)
def test_a_configuration_that_is_wrong_is_told(tmp_path: Path, changed: dict[str, Any], error: str) -> None:
    async def scenario(store: Store) -> None:
        running = Running(store)
        running.source.use({KEY: _trigger(**changed)}, {})
        assert error in running.source.state(KEY).error

    run_with(lambda: Store(tmp_path / "sls.sqlite", 2**30, 7), scenario)


def test_one_that_is_switched_off_does_not_fire(tmp_path: Path) -> None:
    async def scenario(store: Store) -> None:
        running = Running(store)
        assert running.source.use({KEY: _trigger(enable=False)}, {}) == {}
        assert not running.source.state(KEY).is_enabled

    run_with(lambda: Store(tmp_path / "sls.sqlite", 2**30, 7), scenario)
