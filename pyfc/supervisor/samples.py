"""What instances use at a moment, by what the kernel tells of their processes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pyfc.host.process import tree
from pyfc.model.function import Function
from pyfc.observe.lives import Sample
from pyfc.observe.metrics.gauges import Instances
from pyfc.supervisor.pool import Pool

_MOST = 256
"""Processes of an instance that are looked at."""
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_USED, _RESIDENT = slice(11, 15), 21
"""Of the numbers in /proc/PID/stat behind the name: processor time, also of children that are gone; resident pages."""


class _Running(NamedTuple):
    function: Function
    instance_id: str
    pid: int
    requests: int


def held(pools: Iterable[Pool]) -> list[Instances]:
    """The instances of each function that has any."""
    found = []
    for pool in pools:
        instances = pool.roster.instances
        busy = sum(instance.link is not None and bool(instance.link.in_flight) for instance in instances)
        if instances:
            reserved = min(pool.population.reserve.target, len(pool.roster.by_link))
            found.append(Instances(pool.function, reserved, busy))
    return found


async def samples(pools: Iterable[Pool], is_wanted: Callable[[Function], bool]) -> list[Sample]:
    """Of the started instances of functions for which they are wanted; none where the kernel tells nothing."""
    running = [
        _Running(pool.function, instance.id, instance.link.worker.process.pid, len(instance.link.in_flight))
        for pool in pools if is_wanted(pool.function)
        for instance in pool.roster.by_link.values() if instance.link is not None
    ]  # fmt: skip
    return await asyncio.to_thread(_read, running) if running else []


def _read(running: list[_Running]) -> list[Sample]:
    found = []
    for each in running:
        used = [numbers for pid in tree(each.pid, _MOST) if (numbers := _numbers(pid))]
        if used:
            cpu = sum(sum(numbers[_USED]) for numbers in used) / _TICKS
            memory = sum(numbers[_RESIDENT] for numbers in used) * _PAGE
            found.append(Sample(time.time(), each.function, each.instance_id, cpu, memory, each.requests))
    return found


def _numbers(pid: int) -> list[int]:
    """What stands behind the name and the state in /proc/PID/stat; nothing if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
        return [0, *map(int, text[text.rindex(b")") + 4 :].split())]
    except (OSError, ValueError):
        return []
