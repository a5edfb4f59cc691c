"""The disk is full, again and again, while clients change objects: what is refused has changed nothing and has no
event, what was acknowledged is whole and has had its own.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket_events import Collector, line_of, project
from objects import BUCKET, Answer, Client
from support import Server, time_passed, wait_until

SIZES = [0, 10, 4096, 20_000, 200_000]
MEGABYTES = 96
KEYS = 6
"""Of each client."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("needs root and Linux")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


class Full:
    """Fills a disk, and keeps it full, until it ends."""

    def __init__(self, disk: Path) -> None:
        self._filler = disk / "filler"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        piece = 1024 * 1024
        with self._filler.open("wb", buffering=0) as file:
            while not self._ended.is_set():
                try:
                    file.write(b"x" * piece)
                except OSError:
                    piece = max(piece // 2, 1)
                    self._ended.wait(0.001)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._filler.unlink()


class Changing:
    """A client with keys of its own, and what it knows of them."""

    def __init__(self, server: Server, number: int) -> None:
        self._ask = Client(server)
        self._chance = random.Random(number)
        self._name = f"{number % 3}/{number}"
        self.contents: dict[str, bytes] = {}
        self.events: set[str] = set()
        self.done = self.refused = 0
        self.wrong: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            key = f"{self._name}-{self._chance.randrange(KEYS)}"
            known = self.contents.get(key)
            chance = self._chance.random()
            if chance < 0.15 and known is not None:
                self._take(key, self._ask("DELETE", key), 204, None)
            elif chance < 0.3:
                key, grown = f"{self._name}-log", self.contents.get(f"{self._name}-log", b"")
                if len(grown) > 100_000:
                    self._take(key, self._ask("DELETE", key), 204, None)
                else:
                    more = self._chance.randbytes(self._chance.choice(SIZES[1:4]))
                    answer = self._ask("POST", key, f"append&position={len(grown)}", more)
                    self._take(key, answer, 200, grown + more)
            else:
                content = self._chance.randbytes(self._chance.choice(SIZES))
                self._take(key, self._ask("PUT", key, body=content), 200, content)

    def _take(self, key: str, answer: Answer, expected: int, content: bytes | None) -> None:
        if answer.status == expected:
            self.done += 1
            if content is None:
                del self.contents[key]
            else:
                self.contents[key] = content
                self.events.add(line_of(key, len(content), answer.headers["etag"].strip('"')))
        elif (answer.status, answer.code) == (503, "ServiceUnavailable"):
            self.refused += 1
        else:
            self.wrong.append(f"{key}: {answer}"[:500])
            self._ended.set()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def test_a_full_disk_refuses_changes_of_objects_whole_and_the_server_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path, collector: Collector, is_torture: bool
) -> None:
    rounds, clients, changes = (20, 8, 500) if is_torture else (2, 4, 20)
    server = Server(project(tmp_path / "project", collector.port), small_disk / "data")
    running = [Changing(server, number) for number in range(clients)]

    def count(what: str) -> int:
        return sum(getattr(each, what) for each in running)

    for number in range(1, rounds + 1):
        refused = count("refused")
        full = Full(small_disk)
        wait_until(lambda: count("refused") >= refused + changes, "refusals", 60.0)  # noqa: B023
        full.end()
        done = count("done")
        wait_until(lambda: count("done") >= done + changes, f"changes after {number} times without room", 60.0)  # noqa: B023
    for each in running:
        each.end()

    assert [wrong for each in running for wrong in each.wrong] == []
    ask, known = Client(server), {key: content for each in running for key, content in each.contents.items()}
    assert ask("GET", query="max-keys=1000").texts("Key") == sorted(known)
    for key, content in known.items():
        assert hashlib.md5(ask("GET", key).body).digest() == hashlib.md5(content).digest(), key
    events = {event for each in running for event in each.events}
    wait_until(lambda: events <= collector.heard, "every event", 300.0)
    time_passed(0.5)
    assert collector.heard == events, "an event of what was refused"
    bucket = small_disk / "data" / "buckets" / BUCKET
    assert list((bucket / ".pyfc" / "new").iterdir()) == []
    assert {str(each.relative_to(bucket)) for each in bucket.rglob("*") if each.is_file()} == set(known)
    status, errors = server.stop()
    assert (status, "Traceback" in errors) == (0, False), errors
