"""FC's built-in modules are found in what code says, and nobody has to be asked for what they run while installed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from pyfc.boundary import Boundary
from pyfc.build.builtins import SOURCE, are_known, builtins_of
from pyfc.build.consent import Answer, Consents, Question, Script
from pyfc.build.manifest import Manifest
from pyfc.build.steps import Consent
from pyfc.build.workshop import Workshop
from pyfc.errors import ScriptRefused


def names(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.tool, each.names) for each in builtins_of(path, Boundary(path.parent))]


@pytest.mark.parametrize("text", [
    "import json, fc2", "import fc2 as fc, json", "import os.path , fc2.client", "from fc2 import Client",
    "def f():\n    import json,fc2\n", "import\tfc2",
])  # fmt: skip
def test_a_module_is_found_wherever_an_import_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text(text)

    assert names(tmp_path / "code") == [("pip", ("fc2",))]


def test_one_file_of_code_has_them_too(tmp_path: Path) -> None:
    python, node, other = tmp_path / "a.py", tmp_path / "a.js", tmp_path / "a.txt"
    python.write_text("import oss2, mns, chardet\n")
    node.write_text("const raw = require('raw-body'); import x from 'co'\n")
    other.write_text("import oss2\n")

    assert names(python) == [("pip", ("chardet", "mns", "oss2"))]
    assert names(node) == [("npm", ("co", "raw-body"))]
    assert names(other) == []


def _manifest(*, is_ours: bool) -> Manifest:
    return Manifest(tool="pip", folder=Path("/code"), source=SOURCE, packages=("oss2==2.19.1",), is_ours=is_ours)


@pytest.mark.parametrize(("packages", "is_ours", "known"), [
    (["crcmod 1.7", "oss2 2.19.1"], True, True), (["crcmod 1.7"], False, False), (["crcmod 1.8"], True, False),
    (["oss2 2.19.1", "other 1.0"], True, False),
])  # fmt: skip
def test_only_the_sources_that_are_expected_of_our_own_packages_run_unasked(
    tmp_path: Path, packages: list[str], *, is_ours: bool, known: bool
) -> None:
    asked: list[Question] = []

    async def ask(question: Question) -> Answer:
        asked.append(question)
        return Answer.NO

    class Shop:
        class cage:
            weakness = ""

    manifest, scripts = _manifest(is_ours=is_ours), [Script(package, "setup.py") for package in packages]
    consent = Consent(consents=Consents(tmp_path / "consents.json"), ask=ask)

    assert are_known(manifest, packages) is known
    shop = cast("Workshop", cast("Any", Shop))
    if known:
        assert asyncio.run(consent.to(manifest, scripts, shop)) is Answer.YES
    else:
        with pytest.raises(ScriptRefused):
            asyncio.run(consent.to(manifest, scripts, shop))
    assert bool(asked) is not known
