"""What is saved while a server starts is served as well: nothing waits for the next save."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc.app import App
from pyfc.dev.console import Console
from pyfc.dev.reload import Reloader
from pyfc.dev.watched import look
from pyfc.project.load import load
from pyfc.settings import Settings

ECHO = "def handler(event, context):\n    return event\n"


def saved(folder: Path) -> None:
    (folder / "one.py").write_text(f"{ECHO}# another\n")


def replaced(folder: Path) -> None:
    """As some editors save: another file, with an older time, by the same name."""
    (folder / "new").write_text(f"{ECHO}# another\n")
    os.utime(folder / "new", (1.0, 1.0))
    (folder / "new").replace(folder / "one.py")


def removed(folder: Path) -> None:
    (folder / "one.py").unlink()


@pytest.mark.parametrize("change", [saved, replaced, removed])
def test_what_is_saved_before_the_watch_begins_is_served(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("one.py", "two.py"):
        (folder / name).write_text(ECHO)

    async def scenario() -> None:
        async with App(Settings(port=0, spare_workers=0, templates="off", reload=True), tmp_path / "data") as app:
            began = time.time()
            project = load(folder)
            await app.deployment.deploy(project)
            change(folder)
            lines = io.StringIO()
            reloader = Reloader(app, project, Console(lines, as_json=True))
            task = asyncio.create_task(reloader.run(began))
            end = time.monotonic() + 20
            while not lines.getvalue():
                assert time.monotonic() < end, "it waits for the next save"
                await asyncio.sleep(0.01)
            reloader.stop()
            await task
            assert "default/one" in json.loads(lines.getvalue().splitlines()[0])["reloaded"]

    asyncio.run(scenario())


def test_what_was_saved_before_it_was_read_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ECHO)
    (tmp_path / "__pycache__").mkdir()
    watched = look(load(tmp_path), tmp_path / "data", 100)
    later = max(path.stat().st_ctime for path in (tmp_path, *tmp_path.iterdir())) + 1

    assert watched.saved_since(later - 1, lambda _: True)
    assert not watched.saved_since(later, lambda _: True)
