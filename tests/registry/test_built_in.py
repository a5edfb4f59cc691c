"""FC's built-in modules of functions that clients make."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import pytest

from pyfc.blobs.disk import DiskBlobs
from pyfc.build.builder import Builder
from pyfc.build.consent import Consents
from pyfc.bundles.bundle import Bundles
from pyfc.bundles.copying import CodeLimits
from pyfc.errors import InvalidArgument
from pyfc.host.runtimes import Runtimes
from pyfc.model.function import Function
from pyfc.registry.built_in import Added, BuiltIn
from pyfc.sandbox.cage import Cage


def test_code_that_cannot_be_looked_through_is_code_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidArgument(message="the code has more than 100000 files and folders")

    monkeypatch.setattr("pyfc.registry.built_in.builtins_of", refuse)
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("index.py", "import oss2")
    bundles = Bundles(tmp_path / "data", DiskBlobs(tmp_path / "data" / "blobs"), CodeLimits(10_000, 50))
    builder = Builder(tmp_path / "cache", Cage(is_required=False), Consents(tmp_path / "consents"))

    async def scenario() -> None:
        code = await bundles.put(tmp_path / "code.zip")
        function = Function(service="s", name="f", runtime="python3", handler="index.handler")
        assert await BuiltIn(builder, bundles, Runtimes(), installs=True).of(function, code) == Added()

    asyncio.run(scenario())
    assert "more than 100000 files" in caplog.text
