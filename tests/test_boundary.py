"""What belongs to a project: nothing leads out of it, and what can be no code stops nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pyfc import boundary as module
from pyfc.boundary import Boundary, root_of
from pyfc.errors import InvalidArgument, OutsideProject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in which a file and a folder lie, beside which something secret lies."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    (tmp_path / "project" / "lib").mkdir(parents=True)
    (tmp_path / "project" / "lib" / "a.py").write_text("A")
    return tmp_path / "project"


def walked(boundary: Boundary, folder: Path) -> dict[str, str]:
    return {
        each.path: "/" if each.is_folder else os.read(each.descriptor, 100).decode() for each in boundary.walk(folder)
    }


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_project_is_the_nearest_folder_that_holds_a_repository(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "within" / "deep").mkdir(parents=True)
    assert root_of(tmp_path / "within" / "deep") == tmp_path

    make(tmp_path / "within" / ".git")

    assert root_of(tmp_path / "within" / "deep") == tmp_path / "within"
    assert root_of(tmp_path / "within") == tmp_path / "within"


def test_without_a_repository_a_project_is_the_folder_itself(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)

    assert root_of(folder) == root_of(folder.parent / "link") == folder


def test_a_home_that_is_a_repository_is_no_project_of_the_folders_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / ".git").mkdir()
    monkeypatch.setenv("HOME", str(folder.parent))

    assert root_of(folder) == folder
    assert root_of(folder.parent) == folder.parent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_repository_around_a_folder_does_not_widen_its_project(folder: Path) -> None:
    (folder.parent / ".git").mkdir()
    os.chown(folder.parent / ".git", 12345, 12345)

    assert root_of(folder) == folder


@pytest.mark.parametrize("target", ["../secret", "../secret/key", "lib/../../secret", "chain"])
def test_a_link_that_leads_out_of_the_project_is_refused_unless_that_is_allowed(folder: Path, target: str) -> None:
    (folder / "chain").symlink_to("../secret/key")
    (folder / "lib" / "link").symlink_to(folder / target)

    with pytest.raises(OutsideProject, match=f"link leads out of the project {folder}: .*--allow-outside"):
        walked(Boundary.of(folder), folder / "lib")

    found = walked(Boundary.of(folder, allows_outside=True), folder / "lib")
    assert "secret" in found.values()


def test_links_inside_are_followed_and_known(folder: Path) -> None:
    (folder / "fn").mkdir()
    (folder / "fn" / "lib").symlink_to("../lib")
    (folder / "fn" / "a.py").symlink_to(folder / "lib" / "a.py")
    boundary = Boundary.of(folder)

    assert walked(boundary, folder / "fn") == {"a.py": "A", "lib": "/", "lib/a.py": "A"}
    assert boundary.followed == {folder / "fn" / "lib": folder / "lib", folder / "fn" / "a.py": folder / "lib" / "a.py"}
    assert boundary.left_out == []


def test_a_folder_that_becomes_a_link_out_of_the_project_before_it_is_walked_is_refused(folder: Path) -> None:
    boundary = Boundary.of(folder)
    path = boundary.check(folder / "lib")
    (folder / "lib").rename(folder / "old")
    (folder / "lib").symlink_to(folder.parent / "secret")

    with pytest.raises(OutsideProject):
        walked(boundary, path)
    with pytest.raises(OutsideProject):
        boundary.read(path / "key", 100)


def test_a_path_is_asked_for_where_it_leads_after_it_was_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boundary = Boundary.of(folder)
    follow = module.nofollow.follow

    def swapped(name: str | Path, parent: int | None = None) -> int:
        (folder / "lib" / "a.py").unlink()
        (folder / "lib" / "a.py").symlink_to(folder.parent / "secret" / "key")
        return follow(name, parent)

    monkeypatch.setattr(module.nofollow, "follow", swapped)

    with pytest.raises(OutsideProject):
        boundary.read(folder / "lib" / "a.py", 100)


def test_what_can_be_no_code_is_left_out_and_named(folder: Path) -> None:
    os.mkfifo(folder / "lib" / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "lib" / "socket"))
    (folder / "lib" / "dangling").symlink_to("nowhere")
    (folder / "lib" / "self").symlink_to("self")
    (folder / "lib" / "up").symlink_to("..")
    (folder / "lib" / "device").symlink_to("/dev/null")
    Path(os.fsdecode(os.fsencode(folder / "lib") + b"/odd\xff\x1b")).touch()
    boundary = Boundary(None)

    found = walked(boundary, folder / "lib")

    assert found["a.py"] == "A"
    assert not {"pipe", "socket", "dangling", "self", "device"} & set(found)
    notes = "\n".join(boundary.left_out)
    for name, why in (
        ("pipe", "is a named pipe"), ("socket", "is a socket"), ("dangling", "leads nowhere"),
        ("self", "is a link in a circle"), ("device", "is a device"), ("up/lib", "folder that contains it"),
    ):  # fmt: skip
        assert any(f"/{name} " in note and why in note for note in boundary.left_out), notes
    assert "odd\\udcff\\x1b' is no UTF-8" in notes
    assert notes.isascii()


def test_what_may_not_be_read_is_left_out_and_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "lib" / "closed").mkdir()
    (folder / "lib" / "mine").touch()
    plain = module.nofollow.open_plain

    def refused(name: str | Path, parent: int | None = None) -> int:
        if name == "mine":
            raise PermissionError(13, "Permission denied")
        return plain(name, parent)

    monkeypatch.setattr(module.nofollow, "open_plain", refused)
    boundary = Boundary.of(folder)

    assert set(walked(boundary, folder / "lib")) == {"a.py", "closed"}
    assert boundary.left_out == [f"{folder}/lib/mine may not be read: it is left out"]


def test_links_that_multiply_and_folders_that_are_too_deep_have_an_end(folder: Path) -> None:
    for number in range(30):
        (folder / str(number)).mkdir()
        for name in ("x", "y"):
            (folder / str(number) / name).symlink_to(f"../{number + 1}")
    deep = folder / "deep"
    for _ in range(150):
        deep = deep / "d"
    deep.mkdir(parents=True)

    with pytest.raises(InvalidArgument, match="more than 1000 files and folders, at"):
        list(Boundary.of(folder).walk(folder / "0", most=1000))
    boundary = Boundary.of(folder)
    assert len(list(boundary.walk(folder / "deep"))) == 100
    assert len(boundary.left_out) == 1
    assert "lies too deep" in boundary.left_out[0]


def test_a_walk_keeps_no_descriptor(folder: Path) -> None:
    (folder / "lib" / "out").symlink_to("../../secret")
    before = len(os.listdir("/dev/fd"))

    for _ in range(3):
        with pytest.raises(OutsideProject):
            walked(Boundary.of(folder), folder)
        walked(Boundary(None), folder)

    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("name", ["lib\0", "\ud800", "x" * 5000])
def test_what_can_be_no_path_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidArgument):
        Boundary.of(folder).read(folder / name, 100)


def test_what_is_read_whole_is_a_file_of_a_known_size(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    boundary = Boundary.of(folder)

    assert boundary.read(folder / "lib" / "a.py", 1) == b"A"
    for name, why in (("lib", "is a folder"), ("pipe", "is a named pipe"), ("gone", "No such file")):
        with pytest.raises(InvalidArgument, match=why):
            boundary.read(folder / name, 100)
    with pytest.raises(InvalidArgument, match="more than 0 bytes"):
        boundary.read(folder / "lib" / "a.py", 0)
