"""Sources run unasked if their archive is the one that pyfc expects, whatever they say of themselves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packages import Registry, source_distribution, source_files
from pyfc.boundary import Boundary
from pyfc.build import provided
from pyfc.build.builder import Builder, Built, Wanted
from pyfc.build.consent import Answer, Consents, Question
from pyfc.build.provided import PYTHON, is_expected
from pyfc.errors import ScriptRefused
from pyfc.sandbox.cage import Cage

FILES = {"setup.py": "run()", "PKG-INFO": "Name: oss2", "package/module.py": "x = 1\n"}


class Unpacked:
    """An archive that is expected, beside what was unpacked."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.archive = source_distribution(root / "pip-unpack-x", "oss2", FILES)
        self.folder = root / "pip-install-x" / "oss2_0"
        for name, text in FILES.items():
            self.write(name, text)
        digest = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        monkeypatch.setattr(provided, "_SOURCES", frozenset({digest}))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    @property
    def is_expected(self) -> bool:
        return is_expected(self.folder, [self.archive], self.root)


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unpacked:
    return Unpacked(tmp_path, monkeypatch)


def test_what_an_expected_archive_holds_is_expected(unpacked: Unpacked) -> None:
    assert unpacked.is_expected


@pytest.mark.parametrize(
    ("name", "text"), [("setup.py", "run(1)"), ("another.py", ""), ("package/sitecustomize.py", "run()")]
)
def test_a_file_that_differs_or_is_new_is_not(unpacked: Unpacked, name: str, text: str) -> None:
    unpacked.write(name, text)

    assert not unpacked.is_expected


def test_a_file_that_is_missing_a_link_and_a_pipe_are_not(unpacked: Unpacked) -> None:
    (unpacked.folder / "setup.py").unlink()
    assert not unpacked.is_expected
    (unpacked.folder / "setup.py").symlink_to(unpacked.root / "elsewhere")
    assert not unpacked.is_expected
    (unpacked.folder / "setup.py").unlink()
    os.mkfifo(unpacked.folder / "setup.py")
    assert not unpacked.is_expected


def test_an_archive_that_differs_or_lies_behind_a_link_is_not(unpacked: Unpacked, tmp_path: Path) -> None:
    data = unpacked.archive.read_bytes()
    unpacked.archive.write_bytes(data + b"\0")
    assert not unpacked.is_expected
    unpacked.archive.unlink()
    (tmp_path / "elsewhere").write_bytes(data)
    unpacked.archive.symlink_to(tmp_path / "elsewhere")
    assert not unpacked.is_expected


def test_every_source_of_the_table_has_its_digest() -> None:
    assert {pin.package for pin in PYTHON if pin.sha256} >= {"oss2", "aliyun-fc2", "aliyun-mns", "crcmod"}
    assert all(len(pin.sha256) == 64 for pin in PYTHON if pin.sha256)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """An index whose `crcmod` calls itself as the one that pyfc expects."""
    found = Registry(tmp_path / "packages")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:pip-secret@{found.host}/simple/")
    yield found
    found.close()


@pytest.mark.long
def test_a_source_that_only_says_that_it_is_expected_runs_nothing_unasked(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"secrets": [], "outside": [], "port": 9, "socket": ""}
    files = {**source_files("crcmod", given), "PKG-INFO": "Metadata-Version: 2.1\nName: crcmod\nVersion: 1.7\n"}
    archive = source_distribution(tmp_path / "packages", "crcmod", files)
    monkeypatch.setattr(provided, "PYTHON", (provided.Pin("crcmod", "1.0", ("crcmod",)),))
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "index.py").write_text("import crcmod\n")
    asked: list[Question] = []

    async def ask(question: Question) -> Answer:
        asked.append(question)
        return Answer.NO

    def build() -> list[Built]:
        builder = Builder(tmp_path / "cache", Cage(), Consents(tmp_path / "consents"))
        builder.ask_by(ask)
        return asyncio.run(builder.build(Wanted(tmp_path / "app", sys.executable, "3.11", Boundary(tmp_path))))

    with pytest.raises(ScriptRefused):
        build()
    assert [each.scripts[0].package for each in asked] == ["crcmod 1.7"]
    monkeypatch.setattr(provided, "_SOURCES", frozenset({hashlib.sha256(archive.read_bytes()).hexdigest()}))

    [built] = build()

    assert (built.folder / "crcmod.py").is_file()
    assert len(asked) == 1
