"""Ten thousand functions in one server: lists, one deployment more, a restart, memory.

    python benchmarks/registry.py [--functions N]

The baseline of each figure is the same server with a hundred functions, measured in the same run.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import report

from pyfc.auth.keys import Keys
from pyfc.client import Client
from servers import Server, free_port

_LISTS, _DEPLOYS = 200, 50
_FEW = 100
_CODE = "def handler(event, context):\n    return event\n"


def package() -> dict[str, str]:
    """A package as CreateFunction takes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.py", _CODE)
    return {"zipFile": base64.b64encode(data.getvalue()).decode()}


def start(folder: Path, data: Path) -> Server:
    """A server whose own function `probe` answers."""
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    path = "/2016-08-15/services/default/functions/probe/invocations"
    cpus = set(range(psutil.cpu_count() or 1))
    return Server([*command, "--data-dir", str(data)], path, port, cpus, folder)


def deploy(client: Client, name: str) -> float:
    """Make one function; milliseconds."""
    began = time.perf_counter()
    document = {"functionName": name, "runtime": "python3", "handler": "index.handler", "code": package()}
    client.functions_of("many").create(document)
    return (time.perf_counter() - began) * 1000


def figures(folder: Path, data: Path, count: int) -> dict[str, float]:
    """What is measured with `count` functions in the server."""
    server = start(folder, data)
    try:
        client = Client(f"http://127.0.0.1:{server.port}", key=Keys(data).all()[0])
        if client.services().find("many") is None:
            client.services().create({"serviceName": "many"})
        there = sum(1 for _ in client.functions_of("many").list())
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: deploy(client, f"f{number:06}"), range(there, count)))
        lists = []
        for number in range(_LISTS):
            began = time.perf_counter()
            client.api("GET", f"/services/many/functions?limit=100&startKey=f{(number * 97) % count:06}")
            lists.append((time.perf_counter() - began) * 1000)
        more = [deploy(client, f"x{count}n{number}") for number in range(_DEPLOYS)]
    finally:
        server.stop()
    again = start(folder, data)
    memory = psutil.Process(again.process.pid).memory_info().rss / 1e6
    again.stop()
    return {
        "list of 100, p99 ms": statistics.quantiles(lists, n=100)[98],
        "one more function, p50 ms": statistics.median(more),
        "one more function, p99 ms": statistics.quantiles(more, n=100)[98],
        "restart to first answer, s": again.ready_seconds,
        "server's memory, MB": memory,
    }


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": report.machine()}
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as scratch:
        folder, data = Path(scratch) / "project", Path(scratch) / "data"
        folder.mkdir()
        (folder / "probe.py").write_text(_CODE)
        for count in (_FEW, options.functions):
            result[f"{count} functions"] = figures(folder, data, count)
    if options.json:
        print(json.dumps(result))
        return
    few, many = (result[f"{count} functions"] for count in (_FEW, options.functions))
    print(result["machine"])
    for name in few:
        print(f"{name:30} {few[name]:9.2f} with {_FEW:,} {many[name]:9.2f} with {options.functions:,}")


if __name__ == "__main__":
    main()
