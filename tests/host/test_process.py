"""What the kernel tells of a worker's process."""

from __future__ import annotations

import os
import sys

import pytest

from pyfc.host.process import Memory
from pyfc.sandbox import sandbox


def test_a_worker_that_ended_before_anybody_could_ask_for_its_number_has_used_nothing() -> None:
    memory = Memory(-1)  # what the kernel tells as the number of a process that has been waited for

    assert memory.peak() == 0.0
    memory.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_process_that_ends_while_those_of_the_user_are_counted_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    there = os.listdir("/proc")
    monkeypatch.setattr(os, "listdir", lambda _: [*there, "999999999"])
    sandbox._tasks_of_user.cache_clear()

    assert sandbox._tasks_of_user() >= 1

    sandbox._tasks_of_user.cache_clear()
