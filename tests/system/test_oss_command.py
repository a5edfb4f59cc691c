"""`pyfc oss`: buckets for people who have no client of OSS at hand."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from pyfc.client import Client
from pyfc.client.buckets import Buckets
from support import Server, pyfc


class Command:
    """`pyfc oss` against one server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __call__(self, *words: object) -> str:
        status, said, told = self.run(*words)
        assert status == 0, told
        return said

    def run(self, *words: object) -> tuple[int, str, str]:
        return pyfc(
            "oss", *map(str, words), "--endpoint", self.server.endpoint, PYFC_DATA_DIR=str(self.server.data_dir)
        )

    def keys(self, bucket: str = "photos") -> list[str]:
        lines = self("ls", f"oss://{bucket}").splitlines()
        return [] if lines == ["none"] else [line.split("oss://", 1)[1].split("/", 1)[1] for line in lines[1:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


@pytest.fixture
def oss(server: Server) -> Iterator[Command]:
    found = Command(server)
    found("mb", "oss://photos")
    yield found
    for name in found("ls").splitlines():
        found("rm", "-r", name)


def test_a_bucket_is_made_filled_listed_and_removed(oss: Command, tmp_path: Path) -> None:
    (tmp_path / "a ü+.txt").write_bytes(b"hello")

    assert oss("cp", tmp_path / "a ü+.txt", "oss://photos/in/") == f"{tmp_path}/a ü+.txt -> oss://photos/in/a ü+.txt\n"
    oss("cp", "oss://photos/in/a ü+.txt", "oss://photos/copy")
    oss("cp", "oss://photos/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"hello"
    assert oss("ls") == "oss://photos\n"
    assert oss.keys() == ["copy", "in/a ü+.txt"]
    assert [line.split()[-1] for line in oss("ls", "oss://photos", "-d").splitlines()[1:]] == [
        "oss://photos/copy", "oss://photos/in/",
    ]  # fmt: skip
    status, _, told = oss.run("rm", "oss://photos")
    assert (status, "not empty" in told) == (2, True)
    oss("rm", "oss://photos/copy")
    assert [line.split()[2:4] for line in oss("events", "oss://photos").splitlines()[1:]] == [
        ["ObjectCreated:PutObject", "5"], ["ObjectCreated:CopyObject", "5"], ["ObjectRemoved:DeleteObject", "0"],
    ]  # fmt: skip
    assert len(oss("events", "oss://photos/in/").splitlines()) == 2
    assert oss("events", "oss://photos/no") == "none since the server's start\n"
    assert oss.keys() == ["in/a ü+.txt"]
    oss("rm", "-r", "oss://photos")
    assert oss("ls") == ""
    assert oss.run("ls")[2] == "no buckets: `pyfc oss mb oss://NAME` makes one\n"
    status, _, told = oss.run("ls", "oss://photos")
    assert (status, told) == (2, "pyfc: bucket 'photos': The specified bucket does not exist.\n")
    assert "It has 3 to 63 lower-case letters" in oss.run("mb", "oss://UPPER")[2]


def test_what_is_not_there_is_told_and_a_path_with_a_slash_is_a_folder(oss: Command, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    oss("cp", tmp_path / "a.png", "oss://photos/in/")
    for words, reason in (
        (("rm", "oss://photos/in"), "there is no object oss://photos/in"),
        (("rm", "-r", "oss://photos/no/"), "there is no object below oss://photos/no/"),
        (("cp", tmp_path / "no.png", "oss://photos"), f"{tmp_path}/no.png: No such file"),
    ):
        status, said, told = oss.run(*words)
        assert (status, said, reason in told) == (2, "", True), told

    oss("cp", "oss://photos/in/a.png", f"{tmp_path}/new/")
    assert (tmp_path / "new" / "a.png").read_bytes() == b"x"
    found = io.BytesIO()
    key = Keys(oss.server.data_dir).first()[0]
    with Buckets(Client(oss.server.endpoint, key=key))._asked("GET", "photos", "in/a.png") as response:
        found.write(response.read())
    assert (response.headers["content-type"], found.getvalue()) == ("image/png", b"x")


def test_a_folder_and_a_bucket_are_made_alike_in_both_directions(oss: Command, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "below").mkdir(parents=True)
    (here / "a").write_bytes(b"a")
    (here / "below" / "b").write_bytes(b"b")
    (tmp_path / "secret").write_bytes(b"secret")
    (here / "link").symlink_to(tmp_path / "secret")

    assert oss("sync", here, "oss://photos/x").count("->") == 2
    assert oss("sync", here, "oss://photos/x") == ""
    assert oss.keys() == ["x/a", "x/below/b"]
    (here / "a").write_bytes(b"c")
    (here / "below" / "b").unlink()
    assert oss("sync", here, "oss://photos/x") == f"{here}/a -> oss://photos/x/a\n"
    assert oss("sync", here, "oss://photos/x", "--delete") == "oss://photos/x/below/b is removed\n"
    (here / "more").write_bytes(b"more")
    assert oss("sync", "oss://photos/x", here, "--delete") == f"{here}/more is removed\n"
    assert (here / "link").is_symlink()
    oss("cp", "-r", "oss://photos/x/", tmp_path / "there")
    assert (tmp_path / "there" / "a").read_bytes() == b"c"


def test_a_key_that_leads_out_of_the_folder_is_left_out(oss: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"evil")
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "outside").mkdir()
    (there / "link").symlink_to(tmp_path / "outside")
    for key in ("../out", "a//b", "link/x", "fine"):
        oss("cp", tmp_path / "file", f"oss://photos/{key}")

    status, said, told = oss.run("cp", "-r", "oss://photos", there)

    assert (status, said) == (1, f"oss://photos/fine -> {there}/fine\n")
    assert told.count("left out") == 3
    assert sorted(path.name for path in there.iterdir()) == ["fine", "link"]
    assert not list((tmp_path / "outside").iterdir())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("sync",), ("cp", "-r")], ids="-".join)
def test_an_object_that_can_be_no_file_beside_others_is_named_and_the_others_come(
    oss: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    there = tmp_path / "there"
    (there / "z").mkdir(parents=True)
    for key in ("a", "a/b", "a/c/d", "k", "z"):
        oss("cp", tmp_path / "file", f"oss://photos/{key}")

    status, said, told = oss.run(*words, "oss://photos", there)

    assert status == 1
    assert [line.partition(":")[0] for line in told.splitlines() if "left out" in line] == ["a/b", "a/c/d", "z"]
    assert sorted(line.partition(" ")[0] for line in said.splitlines()) == ["oss://photos/a", "oss://photos/k"]
    assert sorted(path.name for path in there.iterdir()) == ["a", "k", "z"]
    assert (there / "a").read_bytes() == b"content"


def test_keys_with_characters_that_xml_has_no_place_for_are_listed_and_removed(oss: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    key = "oss://photos/a\x1b[31m %41\n"
    oss("cp", tmp_path / "file", key)

    assert oss.keys() == ["a\\x1b[31m %41\\x0a"]
    assert oss("sync", "oss://photos", tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["a\x1b[31m %41\n"]
    oss("rm", key)
    assert oss.keys() == []


@pytest.mark.parametrize("words", [("cp", "-r"), ("sync",)], ids=" ".join)
def test_a_file_whose_name_can_be_no_key_is_named_and_the_others_go(
    oss: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    for name in (b"a", b"b\xff", b"c"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"content")

    status, _, told = oss.run(*words, folder, "oss://photos")

    assert status == 1
    assert [line for line in told.splitlines() if "left out, since its name is not UTF-8" in line]
    assert oss.keys() == ["a", "c"]


def test_a_file_stays_as_it_was_when_the_server_dies_within_an_answer(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"mine")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def half_an_answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)

        answering = threading.Thread(target=half_an_answer)
        answering.start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        status, _, told = pyfc("oss", "cp", "oss://photos/a", str(tmp_path / "kept"), "--endpoint", endpoint)
        answering.join()

    assert status == 3
    assert "IncompleteRead" in told
    assert (tmp_path / "kept").read_bytes() == b"mine"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_long_lists_come_in_pages(oss: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyfc.client.buckets._PAGE", "2")
    key = Keys(oss.server.data_dir).first()[0]
    buckets, keys = Buckets(Client(oss.server.endpoint, key=key)), [f"k{number} +ü" for number in range(5)]
    for each in (*keys, "x/1", "x/2"):
        buckets.put("photos", each, io.BytesIO(b"xy"), 2)
    for name in ("other", "third"):
        buckets.make(name)

    assert [each.key for each in buckets.list("photos")] == [*keys, "x/1", "x/2"]
    assert [each.key for each in buckets.list("photos", delimiter="/")] == [*keys, "x/"]
    assert [(each.size, each.etag) for each in buckets.list("photos", "x/1")] == [
        (2, "3E44107170A520582ADE522FA73C1D15"),
    ]  # fmt: skip
    assert buckets.names() == ["other", "photos", "third"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mb", "photos"), "'photos' must be in a bucket"), (("mb", "oss://photos/x"), "names an object"),
        (("mb", "oss://photos"), "one of yours already"), (("cp", "oss://photos/a"), "TARGET"),
        (("sync", "a", "b"), "one of the two places"), (("cp", "/nowhere/x", "oss://photos/x"), "No such file"),
        (("rm", "oss:///x"), "must be like oss://photos/a.png"), (("cp", "oss://photos/no", "x"), "key does not exist"),
        (("events", "oss://none"), "there is no bucket 'none'"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_told(oss: Command, words: tuple[str, ...], told: str) -> None:
    status, said, errors = oss.run(*words)

    assert (status in {2, 3}, said) == (True, "")
    assert told in errors
