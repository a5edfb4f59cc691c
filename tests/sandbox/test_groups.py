"""Control groups: made, limited, counted, swept; and what is said where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyfc.sandbox import groups as groups_module
from pyfc.sandbox.group import Group, of_a_crowd
from pyfc.sandbox.groups import Groups, sweep
from support import wait_until

NAME = f"pyfc-test-{os.getpid()}"


@pytest.fixture
def fences() -> list[Path]:
    """What has been told of fences that were made again."""
    return []


@pytest.fixture
def groups(fences: list[Path]) -> Iterator[Groups]:
    found = Groups(NAME, fences.append)
    found.open()
    if "memory" not in found.controllers:
        pytest.skip(f"no control groups for this user: {found.missing}")
    yield found
    found.close()


def join_and(program: str, tickets: list[int]) -> subprocess.Popen[bytes]:
    """A Python program that has joined the groups before it does anything."""
    joining = f"import os\nfor ticket in {tickets}: os.write(ticket, b'0')\n"
    command = [sys.executable, "-c", joining + program]
    return subprocess.Popen(command, pass_fds=tickets, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_what_a_group_holds_is_limited_and_counted(groups: Groups) -> None:
    group = groups.make()
    assert group is not None
    group.limit(64, 16, 20)
    with join_and("x = b'x' * (40 << 20)\nprint(len(x), flush=True)\ninput()", group.tickets) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 40 << 20 < group.anonymous() <= group.usage() < 64 << 20
        process.kill()
    assert group.peak() > 40 << 20
    assert not group.is_out_of_memory()
    wait_until(group.remove, "the end of the group")


def test_a_bomb_is_killed_by_the_kernel_and_the_group_tells(groups: Groups) -> None:
    group = groups.make()
    assert group is not None
    group.limit(32, 16, 20)
    with join_and("x = []\nwhile True: x.append(b'x' * (1 << 20))", group.tickets) as process:
        assert process.wait(20) == -9
    assert group.is_out_of_memory()
    wait_until(group.remove, "the end of the group")


_CROWD = """
import threading
over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(300)]
for thread in threads: thread.start()
print(flush=True)
input()
over.set()
for thread in threads: thread.join()
print(flush=True)
input()
"""


def test_a_crowd_gets_a_part_of_a_processor_while_it_is_one(groups: Groups) -> None:
    if not {"cpu", "pids"} <= set(groups.controllers):
        pytest.skip(f"not all control groups: {groups.missing}")
    group = groups.make()
    assert group is not None
    group.limit(256, 16, 1024)

    def quota() -> int:
        name = "cpu.max" if groups.version == 2 else "cpu.cfs_quota_us"
        return int((group.folders["cpu"] / name).read_text().split()[0].replace("max", "-1"))

    with join_and(_CROWD, group.tickets) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert not group.restrain()
        alone = quota()
        process.stdout.readline()
        assert group.restrain()
        crowded = quota()
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        wait_until(lambda: not group.restrain() and not group.is_crowd, "the kernel to forget the threads")
        calmed = quota()
        process.kill()
    assert (alone, calmed) == (-1, -1)
    assert crowded == round(of_a_crowd() * 20_000)
    wait_until(group.remove, "the end of the group")


def test_a_crowd_is_restrained_by_version_2_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "w1"
    group = Group(2, dict.fromkeys(("pids", "cpu"), folder))
    folder.mkdir()
    for name, text in {"pids.current": "1000\n", "cpu.max": "max 100000\n", "cgroup.procs": ""}.items():
        (folder / name).write_text(text)
    group._open_counters()

    quota = round(of_a_crowd() * 20_000)

    assert group.restrain()
    assert (folder / "cpu.max").read_text() == f"{quota} 20000\n"
    (folder / "pids.current").write_text("100\n")
    assert not group.restrain()
    assert (folder / "cpu.max").read_text() == "max 20000\n"


def test_the_next_server_of_the_same_name_ends_what_was_left(groups: Groups) -> None:
    group = groups.make()
    assert group is not None
    with join_and("print(flush=True)\ninput()", group.tickets) as process:
        assert process.stdout is not None
        process.stdout.readline()
        groups._let_go()  # as the kernel does it for a server that is killed
        again = Groups(NAME)
        again.open()

        assert process.wait(20) == -9
    assert again.controllers == groups.controllers
    assert group.remove()


@pytest.mark.parametrize("delegated", [True, False])
def test_version_2_is_used_where_it_is_delegated_and_else_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, delegated: bool
) -> None:
    own = tmp_path / "scope"  # a folder with the files of a group: what is written where, not what the kernel does
    own.mkdir()
    (own / "cgroup.controllers").write_text("cpu memory pids io\n")
    (own / "cgroup.subtree_control").write_text("\n")
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n" + ("" if delegated else "1\n"))
    (own / "cgroup.type").write_text("domain\n")
    monkeypatch.setattr(groups_module, "_own_groups", lambda: {"": own})
    groups = Groups("pyfc-x")

    groups.open()

    if delegated:
        assert groups.version == 2
        assert groups.controllers == ["memory", "pids", "cpu"]
        assert (own / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
        assert (own / "pyfc-x-server" / "cgroup.procs").read_text() == str(os.getpid())
        assert (own / "pyfc-x" / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    else:
        assert groups.controllers == []
        assert "other processes" in groups.missing["memory"]


def test_beside_other_processes_root_uses_the_topmost_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "session.scope"
    own.mkdir()
    for folder in (tmp_path, own):
        (folder / "cgroup.controllers").write_text("cpu memory pids io\n")
        (folder / "cgroup.subtree_control").write_text("\n")
        (folder / "cgroup.procs").write_text("1\n")
    (own / "cgroup.type").write_text("domain\n")
    monkeypatch.setattr(groups_module, "_own_groups", lambda: {"": own})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    groups = Groups("pyfc-x")

    groups.open()

    assert (groups.controllers, groups.missing) == (["memory", "pids", "cpu"], {})
    assert (tmp_path / "pyfc-x" / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert not (own / "pyfc-x").exists()


def test_limits_of_version_2_are_written_to_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "w1"
    group = Group(2, dict.fromkeys(groups_module.CONTROLLERS, folder))
    folder.mkdir()
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.weight"):
        (folder / name).touch()

    group.limit(512, 128, 1024)

    written = {path.name: path.read_text().strip() for path in folder.iterdir()}
    assert written == {"memory.max": str(640 << 20), "memory.swap.max": "0", "pids.max": "1024", "cpu.weight": "50"}


def test_empty_groups_of_a_server_that_is_dead_are_removed_and_those_of_a_living_one_stay(groups: Groups) -> None:
    living, dead = Groups(f"{NAME}-living"), Groups(f"{NAME}-dead")
    living.open()
    dead.open()
    folders = {each: list(each.make().folders.values()) for each in (living, dead)}  # type: ignore[union-attr]
    while dead._locks:
        os.close(dead._locks.pop())  # as the kernel does it for a server that is killed

    again = Groups(f"{NAME}-again")
    again.open()
    try:
        assert all(folder.is_dir() for folder in folders[living])
        assert not any(folder.parent.exists() for folder in folders[dead])
    finally:
        for each in (living, dead, again):
            each.close()


def test_groups_with_processes_in_them_stay_whoever_holds_them(groups: Groups) -> None:
    other = Groups(f"{NAME}-other")
    other.open()
    group = other.make()
    assert group is not None
    try:
        with join_and("print(flush=True)\ninput()", group.tickets) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while other._locks:
                os.close(other._locks.pop())

            again = Groups(f"{NAME}-again")
            again.open()
            again.close()

            assert all(folder.is_dir() for folder in group.folders.values())
            process.kill()
    finally:
        other.close()


def test_groups_that_are_removed_under_a_living_server_are_made_again(groups: Groups, fences: list[Path]) -> None:
    for folder in groups._folders:
        sweep(folder, itself=True)
    assert not any(folder.exists() for folder in groups._folders)

    group = groups.make()

    assert group is not None
    group.limit(64, 64, 16)
    with join_and("print(flush=True)\ninput()", group.tickets) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert group.usage() > 0
        process.kill()
    groups.give_back(group)
    assert not groups.zygotes or Path(groups.zygotes).exists()
    assert fences == ([groups.fence] if groups.fence is not None else [])


def test_a_second_server_of_the_same_name_leaves_the_groups_of_the_first_alone(groups: Groups) -> None:
    group = groups.make()
    assert group is not None
    with join_and("print(flush=True)\ninput()", group.tickets) as process:
        assert process.stdout is not None
        process.stdout.readline()
        second = Groups(NAME)
        second.open()
        other = second.make()
        second.close()

        assert other is not None
        assert process.poll() is None
        assert set(group.folders.values()).isdisjoint(other.folders.values())
        process.kill()
    groups.give_back(group)
