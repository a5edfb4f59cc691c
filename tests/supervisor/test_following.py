"""What follows the registry may die; then whoever waits for it is told, and so is who looks after the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pyfc.app import App
from pyfc.errors import Unavailable
from pyfc.project.load import load
from pyfc.settings import Settings

ECHO = "def handler(event, context):\n    return event\n"


async def broken(*_: object) -> None:
    raise ZeroDivisionError


def test_who_waits_for_what_will_not_be_served_any_more_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "one.py").write_text(ECHO)

    async def scenario() -> None:
        async with App(Settings(port=0, spare_workers=0, templates="off"), tmp_path / "data") as app:
            await app.deployment.deploy(load(folder))
            assert not app.problems()
            monkeypatch.setattr(app.supervisor, "_take", broken)
            (folder / "two.py").write_text(ECHO)

            for _ in range(2):  # who comes later is told as well
                with pytest.raises(Unavailable, match="serving what the registry says"):
                    await asyncio.wait_for(app.deployment.deploy(load(folder)), 20)

            assert "ZeroDivisionError" in app.problems()[0]

    asyncio.run(scenario())
    assert any("serving what the registry says" in record.getMessage() for record in caplog.records)
