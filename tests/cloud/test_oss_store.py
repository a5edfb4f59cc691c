"""Objects are files in a bucket's folder, whole or as before, and what is no path lies aside."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from fastcrc import crc64
from hypothesis import given
from hypothesis import strategies as st

from pyfc.cloud.oss import index
from pyfc.cloud.oss.appends import Appends
from pyfc.cloud.oss.declared import declare
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.listing import page
from pyfc.cloud.oss.model import NORMAL, TEMPORARY, Cause, Content, Description, Object, Place, Seen
from pyfc.cloud.oss.store import Store
from pyfc.cloud.oss.temporary import Temporary
from pyfc.cloud.oss.uploads import Uploads
from pyfc.cloud.oss.writing import combined
from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.bucket import PUT

BY = Cause(PUT)

PART = 100 * 1024


def _in_store(folder: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def whole() -> None:
        store = Store(folder / "buckets", folder / "oss.sqlite")
        try:
            await Appends(store).start()
            await work(store)
        finally:
            await store.close()

    asyncio.run(whole())


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _put(store: Store, key: str, content: bytes = b"x", bucket: str = "bkt") -> Object:
    return await store.put(Place(bucket, key), _pieces(content), Description(), cause=BY)


async def _content(store: Store, key: str, bucket: str = "bkt") -> bytes:
    found, descriptor = await store.open(bucket, key)
    with open(descriptor, "rb") as file:
        content = file.read()
    assert found.content == (len(content), hashlib.md5(content).hexdigest().upper(), crc64.xz(content))
    return content


def test_a_store_without_buckets_opens_no_file(tmp_path: Path) -> None:
    async def look(store: Store) -> None:
        assert not store.buckets()
        assert not (tmp_path / "oss.sqlite").exists()
        await store.create("bkt")
        assert (tmp_path / "oss.sqlite").stat().st_mode & 0o777 == 0o600

    async def look_again(store: Store) -> None:
        assert [each.name for each in store.buckets()] == ["bkt"]

    _in_store(tmp_path, look)
    _in_store(tmp_path, look_again)


KEYS = [
    "a", "a/b", "ü/é x+y", "dir/", "dir/x", "dir", "a//b", "a/../b", "../../up", "./x", "k/l", "k", "nul\0nul",
    ".pyfc/new/x",     ".pyfc", "é", "e\u0301", "x" * 300, "y/" * 80 + "z", " ", "..", "con", "a\nb", "%2e%2e/x",
]  # fmt: skip
"""Of them, those that can be no path or whose place is taken."""


def test_packages_are_forgotten_after_a_day_and_their_names_open_one_object_each(tmp_path: Path) -> None:
    async def look(store: Store) -> None:
        temporary = Temporary(store, "42", 10)
        name = await temporary.new_name()
        for key in (name, f"42/{name}", f"42/service/{name}"):
            assert temporary.is_promised(Place(TEMPORARY, key))
        for place in (Place("bkt", name), Place(TEMPORARY, f"43/{name}"), Place(TEMPORARY, f"42//{name}"), Place()):
            assert not temporary.is_promised(place)
        await _put(store, "package", bucket=TEMPORARY)
        await Temporary(store, "42", 10, lambda: time.time() + 86_000).sweep()
        assert await _content(store, "package", TEMPORARY) == b"x"
        await Temporary(store, "42", 10, lambda: time.time() + 87_000).sweep()
        with pytest.raises(Fault, match="does not exist"):
            await store.head(TEMPORARY, "package")
        with pytest.raises(Fault, match="at most 10 bytes"):
            async for _ in temporary.limited(_pieces(b"x" * 8, b"yyy")):
                pass

    _in_store(tmp_path, look)


def test_buckets_of_a_project_come_and_go_with_its_file_and_their_files_stay(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()

    async def look(store: Store) -> None:
        await store.create("own")
        await declare(store, {"bkt": folders[0]})
        await store.set_acl(store.bucket("bkt"), "public-read")
        await _put(store, "k")
        await declare(store, {"bkt": folders[0]})
        assert store.bucket("bkt").acl == "public-read"
        with pytest.raises(InvalidArgument, match="'own', and there is one already"):
            await declare(store, {"bkt": folders[0], "own": folders[1]})
        await declare(store, {"bkt": folders[1]})
        with pytest.raises(Fault):
            await store.head("bkt", "k")
        await declare(store, {})
        assert [each.name for each in store.buckets()] == ["own"]
        await declare(store, {"bkt": folders[0]})
        assert await _content(store, "k") == b"x"
        await store.delete("bkt", "k", BY)
        await store.delete_bucket(store.bucket("bkt"))
        assert folders[0].is_dir()

    _in_store(tmp_path, look)
    assert not list(folders[0].iterdir())


def test_an_object_comes_whole_to_a_folder_on_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, replace, failing = tmp_path / "project", os.replace, [False]
    folder.mkdir()

    def other_disk(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if src_dir_fd != dst_dir_fd and not source.endswith(".part"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if failing[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    async def look(store: Store) -> None:
        await declare(store, {"bkt": folder})
        monkeypatch.setattr(os, "replace", other_disk)
        made = await _put(store, "a/b", b"content" * 1000)
        found, descriptor = await store.open("bkt", "a/b")
        os.close(descriptor)
        assert found == made  # known by its row, and not measured anew
        assert await _content(store, "a/b") == b"content" * 1000
        failing[0] = True
        with pytest.raises((Fault, PyfcError)):
            await _put(store, "a/b", b"other")
        assert await _content(store, "a/b") == b"content" * 1000
        assert os.listdir(folder / "a") == ["b"]

    _in_store(tmp_path, look)


def test_every_key_keeps_its_own_content_and_nothing_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / "up").write_text("mine")

    async def work(store: Store) -> None:
        await store.create("bkt")
        for key in KEYS:
            await _put(store, key, key.encode())
        for key in KEYS:
            assert await _content(store, key) == key.encode(), key
        listed = await page(store.index, "bkt", "", "", "", 1000)
        assert [each.key for each in listed.objects] == sorted(KEYS, key=str.encode)
        for key in KEYS:
            await store.delete("bkt", key, BY)
        assert (await page(store.index, "bkt", "", "", "", 1000)).objects == []
        await store.delete_bucket(store.bucket("bkt"))

    _in_store(tmp_path, work)
    assert (tmp_path / "up").read_text() == "mine"
    assert not (tmp_path / "buckets" / "bkt").exists()


def test_a_key_that_is_a_path_is_a_file_that_people_see(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        await _put(store, "photos/a.png", b"png")

    _in_store(tmp_path, work)
    assert (tmp_path / "buckets" / "bkt" / "photos" / "a.png").read_bytes() == b"png"


def test_a_file_that_somebody_puts_into_the_folder_is_an_object_and_one_that_changes_is_the_new_one(
    tmp_path: Path,
) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        (tmp_path / "buckets" / "bkt" / "dropped").write_bytes(b"by hand")
        assert await _content(store, "dropped") == b"by hand"
        await _put(store, "own", b"first")
        (tmp_path / "buckets" / "bkt" / "own").write_bytes(b"changed by hand")
        assert await _content(store, "own") == b"changed by hand"

    _in_store(tmp_path, work)


def test_links_in_the_folder_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")

    async def work(store: Store) -> None:
        await store.create("bkt")
        folder = tmp_path / "buckets" / "bkt"
        (folder / "link").symlink_to(secret / "file")
        (folder / "folder").symlink_to(secret)
        for key in ("link", "folder/file"):
            with pytest.raises(Fault, match="key does not exist"):
                await store.open("bkt", key)
            await _put(store, key, b"mine")
            assert await _content(store, key) == b"mine"
            await store.delete("bkt", key, BY)
        assert (folder / "link").is_symlink()

    _in_store(tmp_path, work)
    assert (secret / "file").read_text() == "secret"
    assert sorted(each.name for each in secret.iterdir()) == ["file"]


def test_a_put_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    async def work(store: Store) -> None:
        await store.create("bkt")
        await _put(store, "k", b"before")
        with pytest.raises(ConnectionError):
            await store.put(Place("bkt", "k"), broken(), Description(), cause=BY)
        with pytest.raises(Fault) as caught:
            await store.put(
                Place("bkt", "k"), _pieces(b"other"), Description(), cause=BY, stated="XUFAKrxLKna5cZ2REBfFkg=="
            )
        assert caught.value.code == "InvalidDigest"
        with pytest.raises(Fault) as caught:
            await store.put(Place("bkt", "k"), _pieces(b"other"), Description(), cause=BY, may_replace=False)
        assert caught.value.code == "FileAlreadyExists"
        assert await _content(store, "k") == b"before"
        assert list((tmp_path / "buckets" / "bkt" / ".pyfc" / "new").iterdir()) == []

    _in_store(tmp_path, work)


def test_what_was_being_written_when_a_server_died_is_gone_at_the_next_start(tmp_path: Path) -> None:
    async def first(store: Store) -> None:
        await store.create("bkt")
        await _put(store, "k", b"kept")

    async def second(store: Store) -> None:
        assert await _content(store, "k") == b"kept"
        assert not left.exists()

    _in_store(tmp_path, first)
    left = tmp_path / "buckets" / "bkt" / ".pyfc" / "new" / "left"
    left.write_bytes(b"half")
    _in_store(tmp_path, second)


def test_many_puts_of_one_key_at_once_leave_one_of_them_whole(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        contents = [bytes([number]) * (1 + 300_000 * (number % 3)) for number in range(24)]
        await asyncio.gather(*(_put(store, "k", content) for content in contents))
        assert await _content(store, "k") in contents

    _in_store(tmp_path, work)


def test_readers_and_writers_of_one_key_do_not_hurt_each_other(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        await _put(store, "k", b"0" * 1000)

        async def write(number: int) -> None:
            await _put(store, "k", str(number).encode() * 1000)

        async def read() -> None:
            assert len(set(await _content(store, "k"))) == 1

        await asyncio.gather(*(write(number % 10) if number % 2 else read() for number in range(80)))

    _in_store(tmp_path, work)


# appends


def test_appends_make_one_object_whose_crc_is_that_of_all(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        position = 0
        for piece in (b"one", b"", b"two" * 1000):
            made = await Appends(store).put(Place("bkt", "log"), position, _pieces(piece), Description(), cause=BY)
            position = made.content.size
        found, descriptor = await store.open("bkt", "log")
        os.close(descriptor)
        assert found.content.crc == crc64.xz(b"one" + b"two" * 1000)
        with pytest.raises(Fault) as caught:
            await Appends(store).put(Place("bkt", "log"), 3, _pieces(b"x"), Description(), cause=BY)
        assert caught.value.headers["x-oss-next-append-position"] == "3003"
        await _put(store, "k")
        with pytest.raises(Fault) as caught:
            await Appends(store).put(Place("bkt", "k"), 1, _pieces(b"x"), Description(), cause=BY)
        assert caught.value.code == "ObjectNotAppendable"

    _in_store(tmp_path, work)


def test_an_append_during_which_the_server_died_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    file = tmp_path / "buckets" / "bkt" / "log"

    async def first(store: Store) -> None:
        await store.create("bkt")
        await Appends(store).put(Place("bkt", "log"), 0, _pieces(b"whole"), Description(), cause=BY)
        await store.index.write(
            lambda connection: connection.execute("INSERT INTO appends VALUES ('bkt', ?)", (b"log",)) and None
        )

    async def second(store: Store) -> None:
        assert file.read_bytes() == b"whole"
        made = await Appends(store).put(Place("bkt", "log"), 5, _pieces(b" again"), Description(), cause=BY)
        assert made.content.crc == crc64.xz(b"whole again")

    _in_store(tmp_path, first)
    with file.open("ab") as opened:
        opened.write(b"ha")
    _in_store(tmp_path, second)


# parts


def test_parts_may_come_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    contents = {number: random.Random(number).randbytes(PART + number) for number in range(1, 6)}

    async def work(store: Store) -> None:
        await store.create("bkt")
        uploads, place = Uploads(store), Place("bkt", "big")
        upload = await uploads.begin(place, Description({"x-oss-meta-who": "ada"}), BY)
        assert await uploads.parts(place, upload.id) == []
        await uploads.put(place, upload.id, 3, _pieces(b"another"), cause=BY)
        await asyncio.gather(
            *(uploads.put(place, upload.id, number, _pieces(contents[number]), cause=BY) for number in (5, 3, 1, 2, 4))
        )
        parts = await uploads.parts(place, upload.id)
        wanted = [(part.number, part.content.etag) for part in parts]
        for wrong, code in (
            (wanted[::-1], "InvalidPartOrder"), ([(9, "x")], "InvalidPart"), ([(1, "None")], "InvalidPart"),
            ([], "InvalidPart"),
        ):  # fmt: skip
            with pytest.raises(Fault) as caught:
                await uploads.complete(place, upload.id, wrong, cause=BY)
            assert caught.value.code == code
        made = await uploads.complete(place, upload.id, wanted, cause=BY)
        whole = b"".join(contents[number] for number in range(1, 6))
        found, descriptor = await store.open(*place)
        with open(descriptor, "rb") as file:
            assert file.read() == whole
        assert found == made
        assert made.content.crc == crc64.xz(whole)
        assert made.content.etag.endswith("-5")
        assert made.description.headers == {"x-oss-meta-who": "ada"}
        with pytest.raises(Fault, match="upload does not exist"):
            await uploads.complete(place, upload.id, wanted, cause=BY)
        assert list((tmp_path / "buckets" / "bkt" / ".pyfc" / "parts").iterdir()) == []

    _in_store(tmp_path, work)


def test_a_part_that_is_too_small_is_only_taken_as_the_last(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.create("bkt")
        uploads, place = Uploads(store), Place("bkt", "big")
        upload = await uploads.begin(place, Description(), BY)
        for number in (1, 2):
            await uploads.put(place, upload.id, number, _pieces(b"small"), cause=BY)
        with pytest.raises(Fault) as caught:
            await uploads.complete(place, upload.id, None, cause=BY)
        assert caught.value.code == "EntityTooSmall"
        with pytest.raises(Fault) as caught:
            await store.delete_bucket(store.bucket("bkt"))
        assert caught.value.code == "BucketNotEmpty"
        await uploads.abort(place, upload.id, BY)
        await store.delete_bucket(store.bucket("bkt"))

    _in_store(tmp_path, work)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_crc_of_two_contents_is_that_of_both(first: bytes, second: bytes) -> None:
    assert combined(crc64.xz(first), crc64.xz(second), len(second)) == crc64.xz(first + second)


# lists


def _plain_list(keys: Iterable[str], prefix: str, delimiter: str) -> list[str]:
    """What a list holds, said in the simplest way."""
    found = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        place = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key[: place + len(delimiter)] if place >= 0 else key
        if name not in found:
            found.append(name)
    return found


def test_lists_in_parts_of_every_size_hold_everything_once_and_in_order(tmp_path: Path) -> None:
    keys = {f"{a}{b}{c}" for a in ("", "a", "ü", "\U0010ffff") for b in ("/", "-", "//") for c in ("1", "2", "z/", "ÿ")}
    keys |= {f"many/{number:04}" for number in range(1200)}

    async def work(store: Store) -> None:
        await store.create("bkt")
        await store.index.write(lambda connection: [_row(connection, key) for key in keys])
        for prefix in ("", "a", "a/", "many/", "ü", "none", "\U0010ffff"):
            for delimiter in ("", "/", "//", "-"):
                for most in (1, 2, 7, 999):
                    if most < 7 and prefix in {"", "many/"} and not delimiter:
                        continue  # a thousand parts tell nothing more
                    assert await _listed(store, prefix, delimiter, most) == _plain_list(keys, prefix, delimiter)
        assert (await page(store.index, "bkt", "", "", "", 0)).marker == ""

    _in_store(tmp_path, work)


async def _listed(store: Store, prefix: str, delimiter: str, most: int) -> list[str]:
    found: list[str] = []
    marker = ""
    while True:
        part = await page(store.index, "bkt", prefix, delimiter, marker, most)
        found += sorted([*(each.key for each in part.objects), *part.prefixes], key=str.encode)
        marker = part.marker
        if not marker:
            return found


def _row(connection: sqlite3.Connection, key: str) -> None:
    made = Object("bkt", key, Content(0, "", 0), Seen(0, 0, 0), NORMAL, True, Description())
    index.put(connection, made)
