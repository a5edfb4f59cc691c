"""A server is killed while clients put objects: what was acknowledged is whole, and has had its event."""

from __future__ import annotations

import hashlib
import http.client
import random
import signal
import threading
import time
from pathlib import Path

from bucket_events import Collector, line_of, project
from objects import Client
from support import Server, wait_until


def content_of(key: str) -> bytes:
    """Always the same for a key: mostly small, some above what the index keeps for a while."""
    chance = random.Random(key)
    return chance.randbytes(chance.choice([0, 10, 4096, 4096, 20_000, 200_000]))


def told_of(key: str) -> str:
    content = content_of(key)
    return line_of(key, len(content), hashlib.md5(content).hexdigest().upper())


class Killed:
    """A server that is killed and started again, and what it has acknowledged meanwhile."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._folder = folder
        self._data_dir = data_dir
        self.server = Server(folder, data_dir)
        self.acknowledged: set[str] = set()

    def again(self) -> None:
        self.server.stop(signal.SIGKILL)
        self.server = Server(self._folder, self._data_dir)

    def put(self, keys: list[str]) -> None:
        for key in keys:
            while key not in self.acknowledged:
                try:
                    if Client(self.server)("PUT", key, body=content_of(key)).status == 200:
                        self.acknowledged.add(key)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)


def test_what_was_acknowledged_before_a_kill_is_whole_and_has_had_its_event(
    tmp_path: Path, collector: Collector, is_torture: bool
) -> None:
    puts, clients, kills = (20_000, 8, 20) if is_torture else (80, 4, 1)
    held = Killed(project(tmp_path / "project", collector.port), tmp_path / "data")
    keys = [f"{number % 7}/{number}" for number in range(puts)]
    threads = [threading.Thread(target=held.put, args=(keys[each::clients],), daemon=True) for each in range(clients)]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        wait_until(lambda: len(held.acknowledged) > puts * (kill + 0.5) / (kills + 0.5), "some puts", 600.0)  # noqa: B023
        held.again()
    for thread in threads:
        thread.join()

    try:
        expected = {told_of(key) for key in keys}
        wait_until(lambda: expected <= collector.heard, "every event", 600.0 if is_torture else 60.0)
        assert collector.heard == expected, "an event told of half an object"
        ask = Client(held.server)
        for key in keys:
            assert ask("GET", key).body == content_of(key)
        stored = ask("GET", query="max-keys=1000").texts("Size")
        assert len(stored) == min(puts, 1000)
    finally:
        status, errors = held.server.stop()
    assert (status, "Traceback" in errors) == (0, False), errors
