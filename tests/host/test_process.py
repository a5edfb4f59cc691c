"""What the kernel tells of a worker's process."""

from __future__ import annotations

from pyfc.host.process import Memory


def test_a_worker_that_ended_before_anybody_could_ask_for_its_number_has_used_nothing() -> None:
    memory = Memory(-1)  # what the kernel tells as the number of a process that has been waited for

    assert memory.peak() == 0.0
    memory.close()
