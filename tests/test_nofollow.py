"""Folders that somebody else writes: nothing outside of them is touched, whatever lies in them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pyfc import nofollow
from pyfc.errors import InvalidArgument


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the server's user that is nobody's business."""
    path = tmp_path / "outside" / "secret"
    path.parent.mkdir(mode=0o700)
    path.write_text("secret")
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "foreign"
    (path / "deeper").mkdir(parents=True)
    (path / "deeper" / "plain").write_text("plain")
    return path


def test_plain_files_and_folders_are_sealed(folder: Path) -> None:
    nofollow.seal(folder, 0o755, 0o644)

    assert {oct(path.stat().st_mode & 0o777) for path in (folder, folder / "deeper")} == {"0o755"}
    assert (folder / "deeper" / "plain").stat().st_mode & 0o777 == 0o644


ODD = pytest.mark.parametrize("kind", ["link", "link to a folder", "second name", "pipe", "socket"])


def put_odd(kind: str, odd: Path, outside: Path) -> None:
    if kind == "link":
        odd.symlink_to(outside)
    elif kind == "link to a folder":
        odd.symlink_to(outside.parent)
    elif kind == "second name":
        odd.hardlink_to(outside)
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(odd))


@ODD
def test_what_is_no_plain_file_refuses_the_whole_folder_and_changes_nothing(
    kind: str, folder: Path, outside: Path
) -> None:
    before = (folder / "deeper" / "plain").stat().st_mode
    put_odd(kind, folder / "odd", outside)

    with pytest.raises(InvalidArgument, match="odd"):
        nofollow.seal(folder, 0o755, 0o644)

    assert outside.stat().st_mode & 0o777 == 0o600
    assert outside.parent.stat().st_mode & 0o777 == 0o700
    assert (folder / "deeper" / "plain").stat().st_mode == before


def test_a_copy_is_readable_for_everybody_and_nobody_who_has_the_original_open_can_change_it(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "deeper" / "plain").chmod(0o600)
    with (folder / "deeper" / "plain").open("r+") as held:
        nofollow.copy_plain(folder, tmp_path / "copy", 5)
        held.write("other")

    assert (tmp_path / "copy" / "deeper" / "plain").read_text() == "plain"
    assert (tmp_path / "copy" / "deeper" / "plain").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "copy" / "deeper").stat().st_mode & 0o777 == 0o755


@ODD
def test_what_is_no_plain_file_is_not_copied(kind: str, folder: Path, outside: Path, tmp_path: Path) -> None:
    put_odd(kind, folder / "odd", outside)

    with pytest.raises(InvalidArgument, match="odd"):
        nofollow.copy_plain(folder, tmp_path / "copy", 1000)

    assert not (tmp_path / "copy" / "odd").exists()


def test_no_more_is_copied_than_may_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="more than may be copied"):
        nofollow.copy_plain(folder, tmp_path / "copy", 4)


def test_a_walk_names_links_and_does_not_follow_them(folder: Path, outside: Path) -> None:
    (folder / "link").symlink_to(outside.parent)

    found = [entry.path for entry in nofollow.walk(folder)]

    assert found == ["deeper", "deeper/plain", "link"]


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")

    with nofollow.opened_folder(folder) as parent, pytest.raises(InvalidArgument, match="no plain file"):
        nofollow.open_plain("pipe", parent)


def test_a_link_is_not_opened(folder: Path, outside: Path) -> None:
    (folder / "link").symlink_to(outside)

    with nofollow.opened_folder(folder) as parent, pytest.raises(OSError, match="symbolic links"):
        nofollow.open_plain("link", parent)


def test_removing_takes_links_away_and_leaves_what_they_name(folder: Path, outside: Path, tmp_path: Path) -> None:
    (folder / "file").symlink_to(outside)
    (folder / "deeper" / "folder").symlink_to(outside.parent)
    (tmp_path / "itself").symlink_to(outside.parent)

    nofollow.remove(folder)
    nofollow.remove(tmp_path / "itself")
    nofollow.remove(tmp_path / "never-there")

    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert outside.read_text() == "secret"
    assert outside.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_without_rights_and_of_a_thousand_levels_is_removed_with_few_descriptors(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("x", dir_fd=here)
        inside = os.open("x", os.O_RDONLY, dir_fd=here)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inside))
        os.fchmod(here, 0)
        os.close(here)
        here = inside
    os.fchmod(here, 0)
    os.close(here)
    folder.chmod(0)

    nofollow.remove(folder)

    assert not folder.exists()


def test_a_walk_of_a_bottomless_folder_ends_with_an_error(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("x", dir_fd=here)
        inside = os.open("x", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    os.close(here)

    with pytest.raises(InvalidArgument, match="in each other"):
        list(nofollow.walk(folder))
    nofollow.remove(folder)


# what an installer leaves


def test_a_result_becomes_the_servers_own_without_special_rights(folder: Path) -> None:
    (folder / "deeper" / "program").write_text("#!/bin/sh\n")
    (folder / "deeper" / "program").chmod(0o6711)
    (folder / "deeper" / "again").hardlink_to(folder / "deeper" / "plain")
    (folder / "link").symlink_to("deeper/program")
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 4001, 4001, follow_symlinks=False)

    nofollow.adopt(folder)

    modes = {path.name: oct(path.lstat().st_mode & 0o7777) for path in folder.rglob("*") if not path.is_symlink()}
    assert modes == {"deeper": "0o755", "plain": "0o644", "again": "0o644", "program": "0o755"}
    assert {path.lstat().st_uid for path in (folder, *folder.rglob("*"))} == {os.geteuid()}
    assert (folder / "link").read_text() == "#!/bin/sh\n"


@ODD
def test_a_result_with_something_odd_is_not_taken_and_nothing_changes(kind: str, folder: Path, outside: Path) -> None:
    put_odd(kind, folder / "deeper" / "odd", outside)
    before = folder.stat().st_mode

    with pytest.raises(InvalidArgument):
        nofollow.adopt(folder)

    assert folder.stat().st_mode == before
    assert outside.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "deeper/../../x", "way/../../x", "deeper/../.."])
def test_a_link_may_lead_to_something_in_the_result_alone(target: str, folder: Path) -> None:
    (folder / "way").symlink_to("deeper/..")
    (folder / "deeper" / "inside").symlink_to("../deeper/plain")
    nofollow.adopt(folder)

    (folder / "odd").symlink_to(target)

    with pytest.raises(InvalidArgument, match="'odd' is a link that leads out of it"):
        nofollow.adopt(folder)


def test_a_copy_has_folders_plain_files_and_links_that_stay_in_it(folder: Path, outside: Path, tmp_path: Path) -> None:
    (folder / "inside").symlink_to("deeper/plain")
    (folder / "outside").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    (folder / "node_modules").mkdir()
    (tmp_path / "copy").mkdir()

    left_out = nofollow.copy(folder, tmp_path / "copy", {"node_modules"})

    assert sorted(left_out) == ["outside", "pipe"]
    assert {path.name for path in (tmp_path / "copy").rglob("*")} == {"deeper", "plain", "inside"}
    assert (tmp_path / "copy/inside").read_text() == "plain"


def test_a_file_below_a_link_is_not_opened(folder: Path, outside: Path) -> None:
    (folder / "way").symlink_to(outside.parent)

    with pytest.raises(OSError, match="way"):
        nofollow.open_below(folder, folder / "way" / "secret")
    with pytest.raises(InvalidArgument, match="is no file in"):
        nofollow.open_below(folder, folder / "deeper/../../outside/secret")
    os.close(nofollow.open_below(folder, folder / "deeper/plain"))


def test_what_lies_below_a_link_is_not_moved(folder: Path, outside: Path, tmp_path: Path) -> None:
    (folder / "way").symlink_to(outside.parent)

    with pytest.raises(OSError, match="way"):
        nofollow.move(folder, folder / "way" / "secret", tmp_path / "taken")
    nofollow.move(folder, folder / "deeper" / "plain", tmp_path / "taken")

    assert outside.exists()
    assert (tmp_path / "taken").read_text() == "plain"


def test_the_size_of_a_folder_is_that_of_what_lies_in_it(folder: Path, outside: Path) -> None:
    outside.write_bytes(bytes(10 << 20))
    (folder / "link").symlink_to(outside)
    (folder / "deeper/large").write_bytes(bytes(3 << 20))

    assert 3 << 20 <= nofollow.size(folder) < 4 << 20


def test_emptying_a_folder_keeps_the_folder(folder: Path, outside: Path) -> None:
    (folder / "way").symlink_to(outside.parent)

    nofollow.empty(folder)

    assert not list(folder.iterdir())
    assert outside.exists()
