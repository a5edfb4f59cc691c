"""A server whose functions were locked in well does not go on with less because something failed for a moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from pyfc.errors import HostRefused
from pyfc.host.runtimes import Runtimes
from pyfc.sandbox.sandbox import Sandbox
from pyfc.wire import frames
from pyfc.workers.launchers import fork


class Played:
    """A zygote that has entered the next of `modes`."""

    modes: ClassVar[list[str]] = []
    closed = 0

    def __init__(self, *_: Any) -> None:
        self.ended = False
        self.nested: asyncio.Future[frames.Nested] = asyncio.get_running_loop().create_future()
        told = frames.Nested(self.modes.pop(0), {})
        asyncio.get_running_loop().call_soon(self.nested.set_result, told)

    async def close(self) -> None:
        self.ended = True
        type(self).closed += 1


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox("auto", tmp_path, [], Runtimes())


def test_a_zygote_that_is_weaker_than_those_before_is_refused(sandbox: Sandbox) -> None:
    sandbox.told("user", {})
    sandbox.told("user", {"proc": "EPERM"})

    with pytest.raises(HostRefused, match="less locked in"):
        sandbox.told("plain", {})
    assert sandbox.mode == "user"


def test_it_is_ended_and_the_next_launch_tries_another(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork, "Zygote", Played)
    monkeypatch.setattr(Played, "modes", ["plain", "user"])
    spec: Any = SimpleNamespace(interpreter="python", runtime=SimpleNamespace(zygote=Path("zygote.py")))
    sandbox.told("user", {})

    async def scenario() -> None:
        launcher = fork.ForkLauncher(0, sandbox)
        with pytest.raises(HostRefused):
            await launcher.zygote(spec)
        assert Played.closed == 1
        assert not (await launcher.zygote(spec)).ended

    asyncio.run(scenario())
