"""Disks that lose power or stall, and files that somebody else has locked.

A file system lives in an image, and that image in a file system that can be frozen (as for a snapshot). The inner one
does not notice: its disk writes nothing for a while. Copied meanwhile, the image is what the disk held at one moment,
in the middle of writes and commits.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from pyfc.model.names import Target
from pyfc.queues.sqlite import SqliteQueue
from pyfc.stores.sqlite import SqliteStore
from support import Server, wait_until, zipped

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
        # who starts a sandbox at this moment, for another test, has a copy of all mounts until it has its own root
        wait_until(lambda: not subprocess.run(["umount", place], capture_output=True).returncode, f"umount {place}")


@contextlib.contextmanager
def _frozen(place: Path) -> Iterator[None]:
    _run("fsfreeze", "-f", place)
    try:
        yield
    finally:
        _run("fsfreeze", "-u", place)


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


@pytest.mark.long
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
                with _frozen(outer):
                    cuts.append((Path(shutil.copy(image, tmp_path / f"cut{number}.img")), known))
            writer.kill()
            reader.join()

    for copy, known in cuts:
        with _mounted(copy, copy.with_suffix("")) as disk:
            assert known <= asyncio.run(_kept(kind, disk / "file.sqlite"))


OK = {"ok.py": "def handler(event, context):\n    return 'ok'\n"}


def _later(server: Server) -> int:
    return server.invoke("default/ok", b"x", X_Fc_Invocation_Type="Async").status


def test_a_disk_that_stalls_delays_promises_and_no_call_that_is_waited_for(outer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ok.py").write_text(OK["ok.py"])
    image = _formatted(outer / "disk.img", 24 << 20)
    with _mounted(image, tmp_path / "disk") as disk, ThreadPoolExecutor(16) as clients:
        server = Server(folder, disk / "data")
        try:
            assert server.invoke("default/ok").body == b"ok"
            with _frozen(outer):
                promises = [clients.submit(_later, server) for _ in range(64)]
                answers = [server.invoke("default/ok").body for _ in range(200)]
                assert not any(promise.done() for promise in promises)
            assert answers == [b"ok"] * 200
            assert [promise.result() for promise in promises] == [202] * 64
        finally:
            assert server.stop()[0] == 0


@pytest.mark.long
def test_a_queue_that_somebody_else_has_locked_is_waited_for_and_then_refused(serve: Callable[..., Server]) -> None:
    server = serve(OK)
    assert _later(server) == 202
    with sqlite3.connect(server.data_dir / "queue.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as client:
            promise = client.submit(server.invoke, "default/ok", b"x", X_Fc_Invocation_Type="Async")
            while not promise.done():
                assert server.invoke("default/ok").body == b"ok"
        refused = promise.result()
        assert (refused.status, refused.json["ErrorCode"]) == (503, "ResourceThrottled")
        assert "database is locked" in refused.json["ErrorMessage"]
        other.execute("ROLLBACK")
    assert _later(server) == 202
    wait_until(lambda: [each.get("status") for each in server.records].count(202) == 2, "both calls, and no other")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("needs root and Linux")
    place = tmp_path / "disk"
    place.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=4m", "none", place)
    yield place
    _run("umount", "--lazy", place)


def test_a_deployment_to_a_full_disk_is_refused_and_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "project").mkdir()
    server = Server(tmp_path / "project", small_disk / "data")
    functions = "/2016-08-15/services/s/functions"
    assert server.manage("POST", "/2016-08-15/services", {"serviceName": "s"}).status == 200
    echo = "def handler(event, context):\n    return event\n"
    function = {"functionName": "f", "runtime": "python3", "handler": "index.handler"}
    large = zipped({"index.py": echo, "large.txt": "x" * 5_000_000})
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flat.txt", bytes(30_000_000))

    for text in (large, base64.b64encode(packed.getvalue()).decode()) * 2:
        answer = server.manage("POST", functions, {**function, "code": {"zipFile": text}})
        assert (answer.status, answer.json["ErrorCode"]) == (503, "ResourceThrottled"), answer.body
        layer = server.manage("POST", "/2016-08-15/layers/l/versions", {"code": {"zipFile": text}})
        assert (layer.status, layer.json["ErrorCode"]) == (503, "ResourceThrottled"), layer.body
        assert list((small_disk / "data" / "blobs").iterdir()) == []
        assert list((small_disk / "data" / "code").iterdir()) == []

    made = server.manage("POST", functions, {**function, "code": {"zipFile": zipped({"index.py": echo})}})
    assert made.status == 200, made.body
    assert server.invoke("s/f", b"x").body == b"x"
    status, errors = server.stop()
    assert status == 0
    assert "Traceback" not in errors
