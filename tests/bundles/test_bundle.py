"""Code of every kind, the hostile included."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import resource
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from fastcrc import crc64

from pyfc.blobs.disk import DiskBlobs
from pyfc.bundles import shelf
from pyfc.bundles.archive import unpack
from pyfc.bundles.bundle import Bundles
from pyfc.bundles.copying import CodeLimits
from pyfc.errors import InvalidArgument, StorageFull
from pyfc.model.function import Code


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    return Bundles(tmp_path / "data", DiskBlobs(tmp_path / "data" / "blobs"), CodeLimits(10_000_000, 50))


def put(bundles: Bundles, path: Path) -> Code:
    return asyncio.run(bundles.put(path))


def needing(*digests: str) -> Callable[[], Awaitable[Iterable[str]]]:
    async def find() -> Iterable[str]:
        return digests

    return find


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "data" / "code").iterdir())


def test_a_folder_is_copied_read_only_without_what_is_not_code(bundles: Bundles, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("index.py", "lib/a.py", ".git/config", "__pycache__/x.pyc", "venv/pyvenv.cfg", ".hidden"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "bin").mkdir()
    (source / "bin" / "tool").write_text("#!/bin/sh")
    (source / "bin" / "tool").chmod(0o755)
    os.symlink("lib/a.py", source / "linked.py")

    code = put(bundles, source)

    folder = bundles.artefact(code).folder
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"index.py", "lib/a.py", ".hidden", "bin/tool", "linked.py"}
    assert stat.S_IMODE((folder / "index.py").stat().st_mode) == 0o444
    assert stat.S_IMODE((folder / "bin" / "tool").stat().st_mode) == 0o555
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    assert not (folder / "linked.py").is_symlink()
    assert (code.kind, code.source) == ("folder", str(source))
    assert code.checksum.isdigit()


def test_the_same_code_is_kept_once_and_a_change_is_another_digest(bundles: Bundles, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.py").write_text("x = 1")

    first, second = put(bundles, tmp_path / "a"), put(bundles, tmp_path / "b")
    (tmp_path / "b" / "index.py").rename(tmp_path / "b" / "other.py")
    renamed = put(bundles, tmp_path / "b")

    assert first.digest == second.digest
    assert renamed.digest != first.digest
    assert left(tmp_path) == sorted({first.digest, renamed.digest})
    asyncio.run(bundles.sweep(needing(renamed.digest)))
    assert left(tmp_path) == [renamed.digest]


def test_a_single_file_is_code(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("x = 1")

    code = put(bundles, tmp_path / "index.py")

    assert [path.name for path in bundles.artefact(code).folder.iterdir()] == ["index.py"]


def test_what_was_built_for_a_single_file_lies_beside_it(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("import fc2")
    (tmp_path / "built").mkdir()
    for name in ("fc2.py", "index.py"):
        (tmp_path / "built" / name).write_text("# built")

    code = asyncio.run(bundles.put(tmp_path / "index.py", [tmp_path / "built"]))

    folder = bundles.artefact(code).folder
    assert sorted(each.name for each in folder.iterdir()) == ["fc2.py", "index.py"]
    assert (folder / "index.py").read_text() == "import fc2", "the file is the function's own"
    assert code.digest != put(bundles, tmp_path / "index.py").digest


def test_what_is_compiled_of_code_is_shared_by_nobody_with_other_layers_or_another_compiler(
    bundles: Bundles, tmp_path: Path
) -> None:
    for name in ("code", "layer", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.py").write_text(name)
    code, layer, other = (put(bundles, tmp_path / name) for name in ("code", "layer", "other"))

    caches = [
        bundles.artefact(code, opt, compiler).cache
        for opt, compiler in ((None, "a"), (layer, "a"), (other, "a"), (layer, "b"))
    ]

    assert len(set(caches)) == 4
    assert bundles.artefact(code, layer, "a").cache == caches[1]
    asyncio.run(bundles.sweep(needing(layer.digest)))
    assert not any(path.exists() for path in caches)


def test_a_zip_is_unpacked_and_its_checksum_is_crc64(bundles: Bundles, tmp_path: Path) -> None:
    path = archive(tmp_path, {"index.py": b"x = 1", "lib/a.py": b"y"})

    code = put(bundles, path)

    assert (bundles.artefact(code).folder / "lib" / "a.py").read_bytes() == b"y"
    assert code.checksum == str(crc64.xz(path.read_bytes()))
    assert (code.kind, code.size, code.source) == ("zip", path.stat().st_size, "")


def archive(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def special(tmp_path: Path, mode: int) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("fine.py", b"")
        entry = zipfile.ZipInfo("odd")
        entry.external_attr = (mode | 0o644) << 16
        target.writestr(entry, b"/etc/passwd")
    return path


def linked(tmp_path: Path, **links: str) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("./", b"")
        target.writestr("./fine.py", b"x = 1")
        for name, leads_to in links.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            target.writestr(entry, leads_to)
    return path


def encrypted(tmp_path: Path) -> Path:
    path = archive(tmp_path, {"index.py": b"secret"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    return path


def bomb(tmp_path: Path) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("zeros", b"\0" * 10_000_001)
    return path


def lying_bomb(tmp_path: Path) -> Path:
    """Says that it is small."""
    path = bomb(tmp_path)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    return path


def damaged(tmp_path: Path) -> Path:
    path = archive(tmp_path, {"index.py": b"x" * 1000})
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    return path


def twice(tmp_path: Path) -> Path:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("index.py", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("index.py", b"2")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: archive(path, {"ok.py": b"", "../evil.py": b""}), "'../evil.py' leads out of the folder"),
        (lambda path: archive(path, {"/etc/evil": b""}), "leads out of the folder"),
        (lambda path: archive(path, {"a\\..\\..\\evil": b""}), "leads out of the folder"),
        (lambda path: archive(path, {"C:/evil": b""}), "leads out of the folder"),
        (lambda path: linked(path, odd="/etc/passwd"), "entry 'odd' is a link that leads out of the folder"),
        (lambda path: linked(path, odd="../odd"), "'odd' is a link that leads out"),
        (lambda path: linked(path, odd="/opt/../etc"), "'odd' is a link that leads out"),
        (lambda path: linked(path, odd="/code/../etc"), "'odd' is a link that leads out"),
        (lambda path: linked(path, **{"a/b/c": "../..", "odd": "a/b/c/../x"}), "'odd' is a link that leads out"),
        (lambda path: linked(path, one="/opt", odd="one/../etc"), "'odd' is a link that leads out"),
        (lambda path: linked(path, odd="other", other="odd"), "is a link in a circle"),
        (lambda path: linked(path, odd=""), "'odd' is a link that leads nowhere"),
        (lambda path: linked(path, odd="a\0b"), "'odd' is a link that leads nowhere"),
        (lambda path: linked(path, odd="x" * 5000), "'odd' is a link that leads nowhere"),
        (lambda path: linked(path, **{"odd": "/opt", "odd/x": "fine.py"}), "'odd/x' lies in a link"),
        (lambda path: linked(path, **{"fine.py": "odd", "fine.py/x": "odd"}), "is there twice"),
        (lambda path: special(path, stat.S_IFCHR), "is a device"),
        (lambda path: special(path, stat.S_IFIFO), "is a named pipe"),
        (encrypted, "entry 'index.py' is encrypted"),
        (bomb, "unpacks to 10000001 bytes; at most 10000000 are allowed"),
        (lying_bomb, "is not a zip file that can be read"),
        (damaged, "is not a zip file that can be read"),
        (twice, "entry 'index.py' is there twice"),
        (lambda path: archive(path, {f"{number}": b"" for number in range(51)}), "has 51 entries; at most 50"),
        (lambda path: archive(path, {"a": b"", "a/b": b""}), "both a file and a folder"),
    ],
)  # fmt: skip
def test_a_hostile_or_broken_archive_is_refused_and_leaves_nothing(
    bundles: Bundles, tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    path = make(tmp_path)

    with pytest.raises(InvalidArgument) as caught:
        put(bundles, path)

    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert left(tmp_path) == []
    assert not (tmp_path / "evil.py").exists()
    assert not (tmp_path / "data" / "evil.py").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_unpacked_or_refused_and_nothing_else(tmp_path: Path, method: int) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in ("a/b.py", "c.py", "d/", "\u00fc.py"):
            archive.writestr(name, "" if name.endswith("/") else "x = 1\n" * 50)
    chance = random.Random(method)
    refused = 0

    for number in range(400):
        data = bytearray(stream.getvalue())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            if chance.random() < 0.5:
                data[at] = chance.randrange(256)
            else:
                del data[at : at + chance.randint(1, 8)]
        (tmp_path / str(number)).mkdir()
        try:
            unpack(io.BytesIO(data), "code", tmp_path / str(number), CodeLimits(10_000, 50))
        except InvalidArgument:
            refused += 1

    assert refused > 100


def test_a_text_file_called_zip_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "code.zip").write_text("not a zip")

    with pytest.raises(InvalidArgument, match=r"code\.zip is not a zip file"):
        put(bundles, tmp_path / "code.zip")


def test_too_much_in_a_folder_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    for name in ("large", "many", "folders"):
        (tmp_path / name).mkdir()
    (tmp_path / "large" / "file").write_bytes(b"\0" * 10_000_001)
    for number in range(51):
        (tmp_path / "many" / str(number)).touch()
        (tmp_path / "folders" / str(number)).mkdir()

    for name, message in (
        ("large", "larger than 10000000 bytes, at .*file"),
        ("many", "more than 50 files and folders, at .*many"),
        ("folders", "more than 50 files and folders, at .*folders"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            put(bundles, tmp_path / name)
    assert left(tmp_path) == []


def test_a_data_folder_inside_the_served_folder_is_not_code(tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text("x = 1")
    bundles = Bundles(tmp_path / "data", DiskBlobs(tmp_path / "data" / "blobs"), CodeLimits(1000, 50))

    code = put(bundles, tmp_path)

    assert [path.name for path in bundles.artefact(code).folder.iterdir()] == ["index.py"]


def test_of_two_who_finish_the_same_folder_the_second_gives_way(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.py").write_text("x = 1")

    for name in ("first", "second"):
        shelf._put_in_place(tmp_path / name, tmp_path / "digest")

    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_of_layers_laid_over_each_other_the_first_counts(bundles: Bundles, tmp_path: Path) -> None:
    files = {"upper": ("lib/a.py", "turned"), "lower": ("lib/a.py", "lib/b.py", "turned/in"), "last": ("lib", "bin/c")}
    codes = []
    for layer, names in files.items():
        for name in names:
            (tmp_path / layer / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / layer / name).write_text(layer)
        codes.append(put(bundles, tmp_path / layer))

    code = asyncio.run(bundles.merged(codes))

    assert code is not None
    folder = bundles.artefact(code).folder
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {"lib/a.py": "upper", "lib/b.py": "lower", "turned": "upper", "bin/c": "last"}
    assert stat.S_IMODE((folder / "lib").stat().st_mode) == 0o555


@pytest.mark.parametrize("before", [True, False])
def test_code_that_comes_while_a_sweep_asks_what_is_needed_stays(
    bundles: Bundles, tmp_path: Path, *, before: bool
) -> None:
    (tmp_path / "new.py").write_text("new")

    async def scenario() -> None:
        keeping = contextlib.ExitStack()

        async def find() -> Iterable[str]:
            if not before:
                keeping.enter_context(bundles.busy())
            await bundles.put(tmp_path / "new.py")
            keeping.close()
            return []

        if before:
            keeping.enter_context(bundles.busy())
        assert await bundles.sweep(find) is False

    asyncio.run(scenario())
    assert len(left(tmp_path)) == 1
    assert asyncio.run(bundles.sweep(needing())) is True
    assert left(tmp_path) == []


def test_packages_that_were_swept_are_kept_again_when_they_are_needed(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path / "data" / "blobs")
    bundles = Bundles(tmp_path / "data", blobs, CodeLimits(1000, 50), has_roots=lambda: True)
    (tmp_path / "fn").mkdir()
    (tmp_path / "built" / "package").mkdir(parents=True)
    (tmp_path / "built" / "package" / "module.py").write_text("X = 1")
    for _ in range(2):
        code = asyncio.run(bundles.put(tmp_path / "fn", [tmp_path / "built"]))

        kept = tmp_path / "data" / "packages" / code.packages
        assert (kept / "package" / "module.py").read_text() == "X = 1"
        asyncio.run(bundles.sweep(needing()))
        assert not kept.exists()


@pytest.mark.parametrize(
    "name",
    ["n" * 256, "é" * 128, "folder/" + "n" * 256, "/".join(["folder"] * 500), "/".join("d" * 181) + "/f", "a/" * 200],
)
def test_an_entry_that_no_disk_can_hold_is_refused_by_its_name(bundles: Bundles, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as archive:
        archive.writestr(name, "x")

    with pytest.raises(InvalidArgument, match=f"entry '{name[:200]}"):
        put(bundles, tmp_path / "long.zip")

    assert left(tmp_path) == []
    assert list((tmp_path / "data" / "blobs").iterdir()) == []


def test_names_may_be_as_long_as_a_disk_can_hold(bundles: Bundles, tmp_path: Path) -> None:
    names = ["n" * 255, "é" * 127, "/".join("d" * 170) + "/f"]
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")

    folder = bundles.artefact(put(bundles, tmp_path / "long.zip")).folder

    assert all((folder / name).read_text() == "x" for name in names)


@contextlib.contextmanager
def quota(size: int) -> Iterator[None]:
    """No file may become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["folder", "zip", "zip of little that unpacks to much"])
def test_what_does_not_fit_the_disk_is_refused_and_nothing_of_it_is_kept(
    bundles: Bundles, tmp_path: Path, kind: str
) -> None:
    source, content = tmp_path / "source", bytes(200_000) if "little" in kind else os.urandom(200_000)
    if kind == "folder":
        source.mkdir()
        (source / "large").write_bytes(content)
    else:
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("large", content)

    with quota(100_000), pytest.raises(StorageFull):
        put(bundles, source)

    assert left(tmp_path) == []
    assert list((tmp_path / "data" / "blobs").iterdir()) == []
    put(bundles, source)
    assert len(left(tmp_path)) == 1


LINKS = {
    "same.py": "fine.py", "bin/tool": "../lib/tool.js", "lib/deep": "..", "whole": "/code/fine.py", "layer": "/opt/x",
    "through": "lib/deep/fine.py", "dangling": "not/there",
}  # fmt: skip


def test_links_of_an_archive_are_kept_as_they_are_and_followed_by_nobody_here(bundles: Bundles, tmp_path: Path) -> None:
    code = put(bundles, linked(tmp_path, **LINKS))
    folder = bundles.artefact(code).folder

    assert {name: os.readlink(folder / name) for name in LINKS} == LINKS
    assert (folder / "through").resolve() == (folder / "fine.py").resolve()
    assert (folder / "fine.py").read_text() == "x = 1"
    with asyncio.run(bundles.packed(code.digest)) as stream, zipfile.ZipFile(stream) as packed:
        names = {each for each in packed.namelist() if not each.endswith("/")}
    assert {"fine.py", "same.py", "through"} <= names
    assert not names & {"layer", "whole", "dangling"}


def test_layers_with_links_are_laid_over_each_other_and_nothing_is_written_through_one(
    bundles: Bundles, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    lower = put(bundles, linked(tmp_path, lib="/opt/other", same="fine.py"))
    upper = put(bundles, archive(tmp_path, {"lib/new.py": b"1", "other": b"2"}))

    merged = asyncio.run(bundles.merged([upper, lower]))

    assert merged is not None
    folder = bundles.artefact(merged).folder
    assert not (folder / "lib").is_symlink()
    assert (folder / "lib" / "new.py").read_bytes() == b"1"
    assert os.readlink(folder / "same") == "fine.py"


def test_an_archive_is_kept_without_being_in_memory(tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    bundles = Bundles(tmp_path / "data", DiskBlobs(tmp_path / "data" / "blobs"), CodeLimits(2 * size, 50))
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target, target.open("large", "w") as large:
        for _ in range(64):
            large.write(bytes(1024 * 1024))
    tracemalloc.start()
    try:
        code = put(bundles, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert code.checksum == str(crc64.xz(path.read_bytes()))
    assert peak < size / 4


@pytest.mark.parametrize("has_roots", [True, False])
def test_builds_that_have_the_same_folder_of_packages_are_shown_together_and_no_package_is_mixed(
    tmp_path: Path, *, has_roots: bool
) -> None:
    blobs = DiskBlobs(tmp_path / "data" / "blobs")
    bundles = Bundles(tmp_path / "data", blobs, CodeLimits(1000, 50), has_roots=lambda: has_roots)
    first = ("node_modules/ms/index.js", "node_modules/@s/a/x", "node_modules/.bin/tool", "bin/flask", "google/one")
    second = ("node_modules/ms/other.js", "node_modules/body/x", "node_modules/@s/b/x", "node_modules/.bin/more",
              "bin/flask", "bin/more", "google/two", "mine/x")  # fmt: skip
    for name, paths in (("first", first), ("second", second), ("fn", ("index.js", "mine/own"))):
        for path in paths:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(name)

    code = asyncio.run(bundles.put(tmp_path / "fn", [tmp_path / "first", tmp_path / "second"]))

    folder = tmp_path / "data" / ("packages" if has_roots else "code") / (code.packages or code.digest)
    for path in first:
        assert (folder / path).read_text() == "first"
    for path in ("node_modules/body/x", "node_modules/@s/b/x", "node_modules/.bin/more", "bin/more"):
        assert (folder / path).read_text() == "second"
    assert not (folder / "node_modules/ms/other.js").exists()
    assert not (folder / "google/two").exists()
    assert (folder / "mine").exists() == (not has_roots)
    beside = (folder / "node_modules/body").resolve().parent
    assert sorted(os.listdir(beside)) == ["@s", "body", "ms"], "a package finds those that it was installed with"
    assert (beside / "ms/other.js").read_text() == "second"
