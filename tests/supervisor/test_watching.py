"""Which calls are looked at: by how old they are, on a clock that the tests move."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.errors import HostRefused
from pyfc.model.function import Function, Limits
from pyfc.model.invocation import Invocation, Kind
from pyfc.model.names import Target, request_id
from pyfc.observe.profiles.bounds import Bounds
from pyfc.observe.profiles.shelf import Shelf
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.profiles import Profiling, Watch
from pyfc.workers import profiling as workers_profiling
from pyfc.workers.flight import Flight
from pyfc.workers.interface import Calls
from pyfc.workers.profiling import Taken
from support import DEADLINE

DOCUMENT = json.dumps(
    {"shared": {"frames": [{"name": "slow_part"}]}, "profiles": [{"name": "x", "samples": [[0]], "weights": [1]}]}
).encode()


class Bound(Bounds):
    """1 second, by what the tests say."""

    seconds: float | None = 1.0

    def of(self, function: Function, now: float) -> float | None:
        return self.seconds


class Scene:
    """A function, its workers, and a profiler that looks until it is told that it is enough."""

    def __init__(
        self,
        folder: Path,
        taken: Taken | None = None,
        *,
        profile: str = "slow",
        concurrency: int = 1,
        fails: Exception | None = None,
    ) -> None:
        limits = Limits(instance_concurrency=concurrency)
        self.function = Function(
            service="shop", name="pay", runtime="python3", handler="index.handler", profile=profile, limits=limits
        )
        self.bounds = Bound()
        self.shelf = Shelf(folder / "profiles", 60, 100_000)
        self.looked_at: list[Calls] = []
        self.fails = fails
        self.taken = taken or Taken(DOCUMENT, "", 0.0)
        sandbox = SimpleNamespace(mode="root", has_namespaces=True)
        self.profiling = Profiling(cast("Any", sandbox), self.bounds, self.shelf, self._take)
        self.birth = cast("Birth", SimpleNamespace(spec=SimpleNamespace(runtime=runtime("py-spy"))))

    async def _take(self, link: Calls, _birth: Birth, _profiler: str, enough: asyncio.Event) -> Taken:
        self.looked_at.append(link)
        if self.fails is not None:
            raise self.fails
        if self.taken.data:
            await enough.wait()
        return self.taken

    def watch(self) -> Watch:
        return Watch(self.profiling, self.function, self.birth)


def runtime(profiler: str) -> Any:
    return SimpleNamespace(profiler=profiler, title="Python")


class Link(SimpleNamespace):
    """It is itself and nobody else."""

    __hash__ = object.__hash__


def worker(*ages: float) -> Any:
    """A link whose calls are so old at 1,000."""
    flights = {}
    for number, age in enumerate(ages):
        call = Invocation(request_id=request_id(), target=Target("shop", "pay"), kind=Kind.EVENT, body=b"")
        flights[number] = Flight(call, cast("Any", None), 60.0, 1000.0 - age, 1e9)
    return Link(in_flight=flights, discipline=SimpleNamespace(begun=lambda: list(flights.items())))


def call_of(link: Any) -> str:
    name: str = link.in_flight[0].call.request_id
    return name


async def until(condition: Callable[[], Any]) -> None:
    """Return when it holds; threads work meanwhile."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.001)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast("Any", scenario()))


def test_a_call_is_looked_at_once_and_not_before_it_is_older_than_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        watch, link = scene.watch(), worker(0.9)

        watch.look_at([link], 1000.0)
        await asyncio.sleep(0)
        assert scene.looked_at == []

        for _ in range(3):
            watch.look_at([link], 1000.2)
            await asyncio.sleep(0)
        assert scene.looked_at == [link]
        await scene.profiling.close()
        assert call_of(link) in scene.shelf

    run(scenario)


def test_nothing_is_looked_at_while_too_few_calls_are_known(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.bounds.seconds = None
        scene.watch().look_at([worker(500.0)], 1000.0)
        await asyncio.sleep(0)
        assert scene.looked_at == []

    run(scenario)


def test_the_two_oldest_of_all_functions_are_looked_at_and_the_next_when_one_has_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        first, second = scene.watch(), scene.watch()
        oldest, old, young, other = worker(9.0), worker(5.0), worker(2.0), worker(8.0)

        first.look_at([young, old, oldest], 1000.0)
        second.look_at([other], 1000.0)
        await asyncio.sleep(0)
        assert scene.looked_at == [oldest, old]

        scene.bounds.ended(call_of(oldest))
        await until(lambda: scene.profiling.has_room)
        second.look_at([other], 1000.0)
        await asyncio.sleep(0)
        assert scene.looked_at == [oldest, old, other]
        await scene.profiling.close()

    run(scenario)


def test_a_function_has_a_pause_after_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("pyfc.supervisor.profiles.time", SimpleNamespace(monotonic=lambda: 1000.0))
        scene = Scene(tmp_path)
        watch, link, other = scene.watch(), worker(9.0), worker(9.0)
        watch.look_at([link], 1000.0)
        scene.bounds.ended(call_of(link))
        await until(lambda: scene.profiling.has_room and scene.looked_at)
        await asyncio.sleep(0)

        watch.look_at([other], 1000.9)
        await asyncio.sleep(0)
        assert scene.looked_at == [link]
        watch.look_at([other], 1001.1)
        await asyncio.sleep(0)
        assert scene.looked_at == [link, other]
        await scene.profiling.close()

    run(scenario)


def test_a_worker_with_several_calls_is_looked_at_once_and_the_head_says_whose_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, concurrency=10)
        link = worker(3.0, 5.0)
        scene.watch().look_at([link], 1000.0)
        await asyncio.sleep(0)
        assert scene.looked_at == [link]
        await scene.profiling.close()

        oldest = link.in_flight[1].call.request_id
        head = json.loads(scene.shelf.get(oldest) or b"")["name"]
        assert head.startswith(f"shop/pay {oldest}: from ")
        assert head.endswith(", all calls of its instance")

    run(scenario)


@pytest.mark.parametrize("data", [b"{}", b"\xff", b'{"shared": {"frames": []}, "profiles": 1}'])
def test_what_a_profiler_tells_that_is_none_is_lost_and_said_once(
    data: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, taken=Taken(data, "", 0.0))
        scene.watch().look_at([worker(9.0), worker(8.0)], 1000.0)
        await scene.profiling.close()
        assert list(tmp_path.glob("profiles/*")) == []
        assert scene.profiling.has_room

    run(scenario)
    assert len([each for each in caplog.messages if "is lost" in each]) == 1


def test_why_a_profiler_has_told_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, taken=Taken(b"", "Permission denied"))
        scene.watch().look_at([worker(9.0), worker(8.0)], 1000.0)
        await until(lambda: scene.profiling.has_room and scene.looked_at)

    run(scenario)
    assert len([each for each in caplog.messages if "Permission denied" in each]) == 1


@pytest.mark.parametrize("error", [HostRefused(reason="no room"), OSError(24, "too many files")])
def test_a_profile_that_cannot_begin_is_told_and_makes_room(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, fails=error)
        scene.watch().look_at([worker(9.0), worker(8.0)], 1000.0)
        await until(lambda: scene.profiling.has_room and len(scene.looked_at) == 2)
        await scene.profiling.close()

    run(scenario)
    assert [each.split(": ")[0] for each in caplog.messages] == ["no profile of a call of shop/pay"]


@pytest.mark.parametrize(
    ("profiler", "py_spy", "namespaces", "yama", "told"),
    [
        ("py-spy", "", True, "0", "pip install 'pyfc[profile]'"),
        ("py-spy", "/bin/py-spy", False, "0", "no namespaces of their own"),
        ("py-spy", "/bin/py-spy", True, "3", "lets nobody look into a process"),
        ("own", "", False, "0", "no namespaces of their own"),
        ("", "/bin/py-spy", True, "0", "there is no profiler for Python"),
    ],
)
def test_what_is_missing_is_said_once_and_nothing_is_watched(
    profiler: str,
    py_spy: str,
    namespaces: bool,
    yama: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(workers_profiling, "py_spy", lambda: py_spy)
    monkeypatch.setattr(workers_profiling, "_YAMA", tmp_path / "scope")
    (tmp_path / "scope").write_text(f"{yama}\n")
    scene = Scene(tmp_path)
    sandbox = SimpleNamespace(mode="plain", has_namespaces=namespaces)
    profiling = Profiling(cast("Any", sandbox), scene.bounds, scene.shelf)
    birth = cast("Birth", SimpleNamespace(spec=SimpleNamespace(runtime=runtime(profiler))))

    with caplog.at_level(logging.WARNING):
        assert [profiling.watch(scene.function, birth) for _ in range(2)] == [None, None]

    assert len(caplog.messages) == 1
    assert "shop/pay" in caplog.messages[0]
    assert told in caplog.messages[0]


def test_a_function_that_does_not_ask_is_not_watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(tmp_path, profile="")
    assert scene.profiling.watch(scene.function, scene.birth) is None
    assert caplog.messages == []
