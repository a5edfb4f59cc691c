"""Between two watches nobody hears of changes: the second begins with everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.dev import reload
from pyfc.project.load import load
from pyfc.settings import Settings
from support import template

Changes = set[tuple[int, str]]


class Deployments:
    """What was deployed in which watch, the first being 1; None: everything."""

    def __init__(self) -> None:
        self.watch = 0
        self.told: list[tuple[int, frozenset[Path] | None]] = []

    async def deploy(self, _: object, changed: frozenset[Path] | None) -> SimpleNamespace:
        self.told.append((self.watch, changed))
        return SimpleNamespace(changed=[])


def test_a_change_that_comes_while_other_folders_are_looked_for_leaves_the_next_watch_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "template.yml").write_text(template({"one": {}}))
    (tmp_path / "index.py").write_text("def handler(event, context): pass\n")
    deployments = Deployments()
    supervisor = SimpleNamespace(give_up_proofs=lambda: None, table=SimpleNamespace(entries={}))
    app = SimpleNamespace(
        settings=Settings(), data_folder=tmp_path / "data", deployment=deployments, supervisor=supervisor
    )
    console = SimpleNamespace(reloaded=lambda *_: None, warned=lambda *_: None)
    reloader = reload.Reloader(cast("Any", app), load(tmp_path), cast("Any", console))

    async def watch(*_: Path, stop_event: asyncio.Event, **__: object) -> AsyncIterator[Changes]:
        deployments.watch += 1
        if deployments.watch == 1:
            (tmp_path / "package").mkdir()
            yield {(1, str(tmp_path / "package"))}
            yield {(2, str(tmp_path / "index.py"))}  # before the first is served, and with it the watch at its end
        else:
            yield set()
            reloader.stop()
        await stop_event.wait()

    monkeypatch.setattr(reload.watchfiles, "awatch", watch)

    asyncio.run(reloader.run(0.0))

    assert (2, None) in deployments.told
