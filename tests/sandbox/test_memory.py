"""What instances hold where no control group counts it."""

from __future__ import annotations

import asyncio
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pyfc.sandbox.memory import Watch, Watched, mapped, nameless

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
SIZE = 32 * 1024 * 1024


@pytest.fixture
def areas() -> Iterator[list[mmap.mmap]]:
    """What this process maps to be shared."""
    found: list[mmap.mmap] = []
    yield found
    for area in found:
        area.close()


def test_shared_memory_without_a_name_counts_also_when_no_page_of_it_is_in_the_process(areas: list[mmap.mmap]) -> None:
    before = sum(nameless(os.getpid(), 0).values())

    areas.append(mmap.mmap(-1, SIZE))
    areas[0].write(b"x" * SIZE)
    areas[0].madvise(mmap.MADV_DONTNEED)  # of a file, that it is forgotten here; it stays in memory

    assert sum(nameless(os.getpid(), 0).values()) - before == SIZE


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd")
def test_a_mapped_file_of_memory_counts(areas: list[mmap.mmap]) -> None:
    before = sum(nameless(os.getpid(), 0).values())
    descriptor = os.memfd_create("test")
    os.ftruncate(descriptor, SIZE)

    areas.append(mmap.mmap(descriptor, SIZE))
    os.close(descriptor)

    assert sum(nameless(os.getpid(), 0).values()) - before == SIZE


def test_what_several_processes_share_counts_once(areas: list[mmap.mmap]) -> None:
    before = mapped([os.getpid()])

    areas.append(mmap.mmap(-1, SIZE))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        assert mapped([os.getpid(), child]) - before == SIZE
    finally:
        os.close(read)
        os.close(write)
        os.waitpid(child, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look at every process")
def test_who_lets_nobody_look_holds_all_that_it_may() -> None:
    program = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hidden:
        assert hidden.stdout is not None
        hidden.stdout.readline()

        assert nameless(hidden.pid, SIZE) == {-hidden.pid: SIZE}


class Vanished:
    """A control group that somebody has removed."""

    counts_memory = True

    def restrain(self) -> bool:
        raise FileNotFoundError("memory.current")


class Looked:
    """A worker that is looked at. `failing`: its control group has vanished."""

    pid = 0
    memory_size = 1
    is_active = True

    def __init__(self, *, failing: bool = False) -> None:
        self.failing = failing
        self.times = 0
        self.enough = asyncio.Event()

    @property
    def group(self) -> Any:
        self.times += 1
        if self.times == 5:
            self.enough.set()
        return Vanished() if self.failing else None


def test_one_that_can_not_be_looked_at_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        watch = Watch()
        failing, other = Looked(failing=True), Looked()
        for worker in (failing, other):
            watch.add(cast("Watched", worker))

        await asyncio.wait_for(asyncio.gather(failing.enough.wait(), other.enough.wait()), 10)

        watch.close()

    asyncio.run(scenario())
    assert len([record for record in caplog.records if "can not be watched" in record.getMessage()]) == 1
