"""Packages that are kept apart from their author's files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pyfc.blobs.disk import DiskBlobs
from pyfc.bundles.bundle import Bundles
from pyfc.bundles.copying import CodeLimits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Code with one installed package."""
    for name, text in (("index.py", "x = 1"), ("lib/__init__.py", "y = 1"), ("lib-1.dist-info/RECORD", "lib/a.py,,\n")):
        (tmp_path / "fn" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fn" / name).write_text(text)
    return tmp_path / "fn"


def kept(tmp_path: Path, *, splits: bool, has_roots: bool) -> Bundles:
    blobs = DiskBlobs(tmp_path / "data" / "blobs")
    return Bundles(tmp_path / "data", blobs, CodeLimits(10_000, 50), has_roots=lambda: has_roots, splits=splits)


def test_installed_packages_are_copied_again_only_when_something_of_them_may_have_changed(
    folder: Path, tmp_path: Path
) -> None:
    bundles = kept(tmp_path, splits=True, has_roots=True)
    first = asyncio.run(bundles.put(folder))
    (folder / "index.py").write_text("x = 2")
    (folder / "lib" / "__init__.py").write_text("y = 2")

    own = asyncio.run(bundles.put(folder, changed=frozenset({folder / "index.py"})))
    package = asyncio.run(bundles.put(folder, changed=frozenset({folder / "lib" / "__init__.py"})))
    (folder / "lib" / "__init__.py").write_text("y = 3")
    unknown = asyncio.run(bundles.put(folder))

    assert (tmp_path / "data" / "packages" / first.packages / "lib" / "__init__.py").read_text() == "y = 1"
    assert own.digest != first.digest
    assert own.packages == first.packages
    assert len({first.packages, package.packages, unknown.packages}) == 3
    assert bundles.artefact(own).folder.joinpath("lib").readlink() == Path("../packages/lib")


@pytest.mark.parametrize(("splits", "has_roots"), [(True, False), (False, True)])
def test_packages_lie_with_the_code_where_files_are_not_watched_or_links_can_not_be_followed(
    folder: Path, tmp_path: Path, *, splits: bool, has_roots: bool
) -> None:
    bundles = kept(tmp_path, splits=splits, has_roots=has_roots)

    code = asyncio.run(bundles.put(folder))

    assert not code.packages
    assert (bundles.artefact(code).folder / "lib" / "__init__.py").read_text() == "y = 1"
