"""What metrics cost: warm calls beside a server that keeps none, the size of a month, memory.

    python benchmarks/metrics.py [--rounds N] [--seconds N]

1. warm: calls a second, and calls a processor second of the server's own process, everything on one CPU, in turns: with
   metrics, without (`observe` off), and with metrics while the calls of the function are indexed as logs.
2. size: two days of points of 1,000 functions, of which 100 are called in any minute, are written as the server writes
   them; a month is the first day and 30 times what the second has added.
3. memory: resident memory that is taken by 1,000 functions, of which 100 are called in any 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import load
import psutil
import report

from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Kind, Result, Start, Usage
from pyfc.model.names import LATEST, Target
from pyfc.observe.journal import CallRecord, Record
from pyfc.observe.metrics.metrics import Metrics
from servers import Server, free_port

_HELLO = "def handler(event, context):\n    return event\n"
_TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  bench:
    Type: 'Aliyun::Serverless::Service'
    Properties: {{{logs}}}
    hello:
      Type: 'Aliyun::Serverless::Function'
      Properties: {{Handler: index.handler, Runtime: python3, CodeUri: ./}}
"""
_LOGGED = "LogConfig: {Project: bench-logs, Logstore: calls}"
_KINDS = {"without": ("off", ""), "with": ("on", ""), "with, indexed": ("on", _LOGGED)}
_CONNECTIONS, _BODY = 16, 100
_FUNCTIONS, _CALLED, _DAY = 1000, 100, 86400
_START = 1_700_006_400


def server(scratch: Path, cpus: set[int], observe: str, logs: str) -> Server:
    """One with the function bench/hello."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "index.py").write_text(_HELLO)
    (folder / "template.yml").write_text(_TEMPLATE.format(logs=logs))
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet", "--observe", observe]
    path = "/2016-08-15/services/bench/functions/hello/invocations"
    return Server([*command, "--data-dir", str(folder.with_suffix(".data"))], path, port, cpus, folder)


def _seconds(found: Server) -> float:
    times = psutil.Process(found.process.pid).cpu_times()
    return float(times.user + times.system)


def warm(scratch: Path, rounds: int, seconds: float) -> None:
    """Print what each server does, and how they compare."""
    cpus = {min(os.sched_getaffinity(0))}
    servers = {kind: server(scratch, cpus, *how) for kind, how in _KINDS.items()}
    rates: dict[str, list[float]] = {kind: [] for kind in servers}
    costs: dict[str, list[float]] = {kind: [] for kind in servers}
    try:
        for number in range(rounds + 1):
            kinds = list(servers)
            for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                each, before = servers[kind], _seconds(servers[kind])
                done = load.run(each.port, each.path, _BODY, _CONNECTIONS, seconds, cpus)
                if number and not done.errors:  # the first round warms up
                    rates[kind].append(done.per_second)
                    costs[kind].append((_seconds(each) - before) / done.requests * 1e6)
    finally:
        for each in servers.values():
            each.stop()
    for kind in servers:
        ratios = [own / other for own, other in zip(rates[kind], rates["without"], strict=False)]
        print(f"warm, {kind} metrics: {statistics.median(rates[kind]):,.0f} calls/s "
              f"({statistics.median(ratios):.3f} x), {statistics.median(costs[kind]):.1f} us of the server a call "
              f"({statistics.median(costs[kind]) / statistics.median(costs['without']):.3f} x)")  # fmt: skip


def _calls(functions: list[Function], moment: float, chance: random.Random, count: int) -> Iterator[Record]:
    """Calls of each of these functions, some of which waited or were cold."""
    for function in functions:
        target = Target(function.service, function.name, LATEST)
        for _ in range(count):
            is_late = chance.random() < 0.1
            start = Start(0.02, "all instances were busy", None) if is_late else None
            usage = Usage(chance.lognormvariate(-4, 1), 40.0, False, "i", start)
            call = Invocation("id", target, Kind.EVENT, b"")
            yield CallRecord(moment, function, call, 200, Result(None, b"", usage), "")


def _functions() -> list[Function]:
    return [
        Function(
            service=f"service-{number % 20}", name=f"function-{number}", runtime="python3", handler="index.handler"
        )
        for number in range(_FUNCTIONS)
    ]


async def _write(folder: Path) -> list[int]:
    """Sizes of the file after each of two days."""
    chance, functions, metrics, sizes = random.Random(1), _functions(), Metrics(folder), []  # noqa: S311  no secret
    for day in range(2):
        for minute in range(day * _DAY // 60, (day + 1) * _DAY // 60):
            moment = _START + minute * 60.0
            metrics.listen(list(_calls(chance.sample(functions, _CALLED), moment, chance, 10)))
            if minute % 60 == 59:
                await metrics.settle()
        await metrics.settle()
        sizes.append(sum(file.stat().st_size for file in folder.glob("metrics.sqlite")))
    await metrics.close()
    return sizes


def size(scratch: Path) -> None:
    """Print what a month takes."""
    (scratch / "month").mkdir()
    first, second = asyncio.run(_write(scratch / "month"))
    month = first + 30 * (second - first)
    print(f"size: {first / 1e6:.1f} MB after a day, {second / 1e6:.1f} MB after two: {month / 1e6:.0f} MB in 31 days")


async def _fill(folder: Path) -> float:
    chance, functions, metrics = random.Random(1), _functions(), Metrics(folder)  # noqa: S311
    process = psutil.Process()
    list(_calls(functions, _START, chance, 1))
    before = process.memory_info().rss
    for number in range(100):
        metrics.listen(list(_calls(functions[number % 10 :: 10], _START + number * 10.0, chance, 10)))
        await metrics.settle()
    grown = process.memory_info().rss - before
    await metrics.close()
    return grown / 1e6


def memory(scratch: Path) -> None:
    """Print what it takes."""
    (scratch / "memory").mkdir()
    print(f"memory: {asyncio.run(_fill(scratch / 'memory')):.1f} MB for {_FUNCTIONS:,} functions")


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as name:
        scratch = Path(name)
        memory(scratch)
        size(scratch)
        warm(scratch, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
