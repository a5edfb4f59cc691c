"""The power is cut: what was promised is on the disk, whatever the file system had not written yet.

A file system lives in an image, and that image in a file system that is frozen (as for a snapshot) while it is copied:
the inner one does not notice, so a copy is what the disk held at one moment, in the middle of writes and commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pyfc.model.names import Target
from pyfc.queues.sqlite import SqliteQueue
from pyfc.stores.sqlite import SqliteStore
from support import wait_until

CUTS = 8
START = """
import asyncio, sys, time
from pathlib import Path
from pyfc.model.asynchronous import Event
from pyfc.model.names import Target
from pyfc.queues.sqlite import SqliteQueue
from pyfc.stores.sqlite import SqliteStore

async def main(kind, path):
    held = (SqliteQueue if kind == "queue" else SqliteStore)(Path(path))

    async def write(writer):
        for number in range(100_000):
            name = f"{writer}-{number}"
            if kind == "queue":
                event = Event(id=name, request_id=name, target=Target("s", "f"), payload=b"", enqueued=time.time())
                await held.put([event])
            else:
                await held.write({name: b"x" * 100})
            print(name, flush=True)

    await asyncio.gather(*map(write, range(8)))

asyncio.run(main(*sys.argv[1:]))
"""
"""Writes as fast as it can, and says what it was promised."""


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _mounted(image: Path, place: Path) -> Iterator[Path]:
    place.mkdir()
    _run("mount", "-o", "loop", image, place)
    try:
        yield place
    finally:
        _run("umount", place)


def _formatted(image: Path, size: int) -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", image)
    return image


@pytest.fixture
def outer(tmp_path: Path) -> Iterator[Path]:
    """A file system that may be frozen."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not shutil.which("fsfreeze"):
        pytest.skip("file systems in images need root, e2fsprogs and fsfreeze")
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(_mounted(_formatted(tmp_path / "outer.img", 64 << 20), tmp_path / "outer"))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"images cannot be mounted here: {error.stderr.decode().strip()}")
        yield place


def _gather(lines: IO[str], names: list[str]) -> None:
    for line in lines:
        names.append(line.strip())  # noqa: PERF401  seen by another thread one by one


async def _kept(kind: str, path: Path) -> set[str]:
    """What is there after a start."""
    if kind == "queue":
        queue = SqliteQueue(path)
        names = {each.id for each in await queue.take(Target("s", "f"), 1_000_000)}
        await queue.close()
        return names
    store = SqliteStore(path)
    names = {each.key for each in await store.list("", limit=1_000_000)}
    await store.close()
    return names


@pytest.mark.parametrize("kind", ["queue", "store"])
def test_whenever_the_power_is_cut_what_was_promised_is_there(outer: Path, tmp_path: Path, kind: str) -> None:
    image = _formatted(outer / "disk.img", 24 << 20)
    promised: list[str] = []
    cuts: list[tuple[Path, set[str]]] = []
    with _mounted(image, tmp_path / "disk") as disk:
        command = [sys.executable, "-c", START, kind, str(disk / "file.sqlite")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            reader = threading.Thread(target=_gather, args=[writer.stdout, promised])
            reader.start()
            for number in range(CUTS):
                wait_until(lambda enough=200 * (number + 1): len(promised) >= enough, "promises")
                known = set(promised)
                _run("fsfreeze", "-f", outer)
                try:
                    copy = Path(shutil.copy(image, tmp_path / f"cut{number}.img"))
                finally:
                    _run("fsfreeze", "-u", outer)
                cuts.append((copy, known))
            writer.kill()
            reader.join()

    for copy, known in cuts:
        with _mounted(copy, copy.with_suffix("")) as disk:
            assert known <= asyncio.run(_kept(kind, disk / "file.sqlite"))
