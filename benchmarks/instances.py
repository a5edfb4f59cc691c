"""The life of instances: cold starts by templates, their memory, bursts, and the dev loop.

    python benchmarks/instances.py [--saves 1000] [--json FILE]

Each figure stands beside its baseline of the same run: a fresh interpreter that does the same imports. numpy and pandas
are installed into a folder of the user's cache, as `pip install -t` puts them beside a function.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from pyfc.auth.keys import Keys
from pyfc.client import Client
from servers import Server, free_port, pss

HEAVY = "import time\nimport numpy as np\nimport pandas as pd\n"
HELLO = "import time\n"
HANDLER = """
def handler(event, context):
    if event == b"wait":
        time.sleep(0.1)
    return VERSION
"""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyfc-benchmarks" / "numpy-pandas"
GAP = 0.05
"""Seconds between two cold starts, which let the machine rest as it would between two requests."""


def packages() -> Path:
    """A folder with numpy and pandas."""
    if not (CACHE / "pandas").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(CACHE), "numpy", "pandas"]
        subprocess.run(command, check=True)
    return CACHE


def project(folder: Path, imports: str) -> Path:
    """A function beside its packages; its file."""
    (folder / "fn").mkdir(parents=True)
    if imports is HEAVY:
        for entry in packages().iterdir():
            subprocess.run(["cp", "-al", str(entry), str(folder / "fn")], check=True)
    properties = {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./fn", "Timeout": 60, "MemorySize": 512}
    resources = {"Type": "Aliyun::Serverless::Service", "fn": {"Type": "Aliyun::Serverless::Function"}}
    resources["fn"]["Properties"] = properties
    document = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": resources}}
    (folder / "template.yml").write_text(json.dumps(document))
    file = folder / "fn" / "index.py"
    file.write_text(version(imports, "0"))
    return file


def version(imports: str, text: str) -> str:
    """The function's file."""
    return f"{imports}VERSION = {text!r}\n{HANDLER}"


class Caller:
    """A connection that stays open."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._path = server.path

    def call(self, body: bytes = b"x") -> bytes:
        """One call; its answer. RuntimeError if it fails."""
        self._connection.request("POST", self._path, body)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200 or answer.headers.get("X-Fc-Error-Type"):
            raise RuntimeError(f"{answer.status} {data[:300]!r}")
        return data

    def timed(self, body: bytes = b"x") -> float:
        """Milliseconds of one call."""
        began = time.perf_counter()
        self.call(body)
        return (time.perf_counter() - began) * 1000


def serve(folder: Path, scratch: Path, *options: str, **environment: str) -> Server:
    """pyfc with the function of `folder`."""
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet", *options]
    command += ["--data-dir", str(_data(scratch, port))]
    path = "/2016-08-15/services/demo/functions/fn/invocations"
    return Server(command, path, port, os.sched_getaffinity(0), scratch, **environment)


def _data(scratch: Path, port: int) -> Path:
    return scratch / f"data-{port}"


def fresh(imports: str, folder: Path) -> float:
    """Milliseconds of a fresh interpreter that does the same imports."""
    code = f"import sys; sys.path.insert(0, {str(folder / 'fn')!r})\n{imports}"
    times = []
    for _ in range(7):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", code], check=True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[2:])


def index(server: Server) -> dict[str, Any]:
    """What pyfc tells of the function."""
    key = Keys(_data(server.folder, server.port)).all()[0]
    functions = Client(f"http://127.0.0.1:{server.port}", key=key).api("GET", "/pyfc/functions")["functions"]
    return dict(functions[0])


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for something. RuntimeError if it does not come."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited 60 s for {what}")
        time.sleep(0.005)


def until_ready(server: Server) -> None:
    """Wait for the template."""
    until(lambda: index(server)["template"] == "ready", "the template")


def cold(folder: Path, scratch: Path, spares: int, count: int) -> list[float]:
    """Milliseconds of calls that each need a new instance, template ready."""
    server = serve(
        folder,
        scratch,
        PYFC_TEMPLATES="first",
        PYFC_SPARE_COPIES=str(spares),
        PYFC_IDLE_TIMEOUT="0",
        PYFC_FREEZE_AFTER="100",
    )
    try:
        caller, times = Caller(server), []
        until_ready(server)
        while len(times) < count:
            until(lambda: not index(server)["instances"], "the end of the last instance")
            time.sleep(GAP)
            times.append(caller.timed())
        return times
    finally:
        server.stop()


def burst(server: Server, count: int, body: bytes) -> list[float]:
    """Milliseconds of calls that all begin at once."""
    callers = [Caller(server) for _ in range(count)]
    for caller in callers:
        caller._connection.connect()
    barrier = threading.Barrier(count)

    def one(caller: Caller) -> float:
        barrier.wait()
        return caller.timed(body)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, callers))


def crowd(folder: Path, scratch: Path) -> dict[str, float]:
    """100 at once from nothing, then what each idle instance holds."""
    server = serve(folder, scratch, PYFC_IDLE_TIMEOUT="60")
    try:
        until_ready(server)
        began = time.perf_counter()
        times = burst(server, 100, b"wait")
        took = (time.perf_counter() - began) * 1000
        until(lambda: set(index(server)["instances"]) == {"frozen"}, "idle instances")
        instances = [each for each in server.tree() if _leaf(each)]
        sizes = sorted(pss(each) for each in instances)
        return {"took": took, "last": max(times), "instances": len(instances), "pss": statistics.median(sizes)}
    finally:
        server.stop()


def _leaf(process: psutil.Process) -> bool:
    """Whether it is a copy of a template: the first process of a namespace within that of its keeper."""
    try:
        numbers = Path(f"/proc/{process.pid}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()
    except OSError:
        return False
    return len(numbers) >= 4 and numbers[-1] == "1"


def from_nothing(folder: Path, scratch: Path) -> list[float]:
    """64 concurrent calls of a function that takes 100 ms, no instance being there but the template."""
    server = serve(folder, scratch, PYFC_IDLE_TIMEOUT="0", PYFC_FREEZE_AFTER="100")
    try:
        until_ready(server)
        until(lambda: not index(server)["instances"], "the end of the first instance")
        return burst(server, 64, b"wait")
    finally:
        server.stop()


def saves(folder: Path, file: Path, imports: str, scratch: Path, count: int, callers: int) -> dict[str, Any]:
    """Saves in a row, each waited for; with `callers` that call all the time."""
    server = serve(folder, scratch, "--reload")
    ended, failures, calls = threading.Event(), [], 0

    def load() -> None:
        nonlocal calls
        caller = Caller(server)
        while not ended.is_set():
            calls += 1
            try:
                caller.call()
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                failures.append(str(error))
            time.sleep(0.002)

    threads = [threading.Thread(target=load) for _ in range(callers)]
    try:
        caller, times = Caller(server), []
        until_ready(server)
        for thread in threads:
            thread.start()
        before = state(server)
        for number in range(count):
            wanted = f"v{number}"
            began = time.perf_counter()
            file.write_text(version(imports, wanted))
            while caller.call() != wanted.encode():
                pass
            times.append((time.perf_counter() - began) * 1000)
            if not callers:
                time.sleep(0.2)
        ended.set()
        for thread in threads:
            thread.join()
        until(lambda: sum(index(server)["instances"].values()) <= callers + 1, "the end of old instances")
        return {"times": times, "failures": failures, "calls": calls, "before": before, "after": state(server)}
    finally:
        ended.set()
        server.stop()


def state(server: Server) -> dict[str, int]:
    """What might leak."""
    own = psutil.Process(server.process.pid)
    groups = sum(1 for path, _, _ in os.walk("/sys/fs/cgroup") if "pyfc-" in path)
    return {
        "processes": len(server.tree()),
        "descriptors": own.num_fds(),
        "MB": round(server.memory()),
        "groups": groups,
    }


def _percentile(times: list[float], part: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=1000, help="saves in a row under load (default 1000)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    found: dict[str, Any] = {}

    def tell(name: str, measure: Callable[[], Any]) -> Any:
        found[name] = measure()
        return found[name]

    with tempfile.TemporaryDirectory(prefix="pyfc-instances-") as scratch_name:
        scratch = Path(scratch_name)
        hello, heavy = scratch / "hello", scratch / "heavy"
        files = {hello: project(hello, HELLO), heavy: project(heavy, HEAVY)}
        base = tell("fresh interpreter with the imports, ms", lambda: fresh(HEAVY, heavy))
        print(f"fresh interpreter, numpy and pandas: {base:.0f} ms")
        for name, folder in (("numpy and pandas", heavy), ("hello", hello)):
            for spares in (0, 1):
                times = tell(f"cold, {name}, {spares} spares, ms", lambda f=folder, s=spares: cold(f, scratch, s, 100))
                ratio = f", 1/{base / statistics.median(times):.0f} of fresh" if folder is heavy else ""
                p50, p99 = statistics.median(times), _percentile(times, 0.99)
                print(f"cold start, {name}, {spares} spare: p50 {p50:.2f} ms, p99 {p99:.2f} ms{ratio}")
        found["burst"] = group = crowd(heavy, scratch)
        print(f"100 at once: {group['took']:.0f} ms, {group['took'] / base:.2f} x fresh (each takes 100 ms)")
        print(f"idle instance of it: PSS {group['pss']:.2f} MB, {group['instances']} of them")
        single = statistics.median(found["cold, hello, 0 spares, ms"])
        times = tell("64 from nothing, ms", lambda: from_nothing(hello, scratch))
        limit = 100 + 64 * single / (os.cpu_count() or 1) * 1.3
        print(f"64 calls of 100 ms from nothing: p99 {_percentile(times, 0.99):.0f} ms, limit {limit:.0f} ms")
        for name, folder, imports in (("hello", hello, HELLO), ("numpy and pandas", heavy, HEAVY)):
            result = tell(f"save, {name}", lambda d=folder, i=imports: saves(d, files[d], i, scratch, 60, 0))
            times = result["times"]
            p50, p90 = statistics.median(times), _percentile(times, 0.9)
            print(f"save to first answer with new code, {name}: p50 {p50:.1f} ms, p90 {p90:.1f} ms")
        result = tell("saves under load", lambda: saves(hello, files[hello], HELLO, scratch, options.saves, 2))
        print(f"{options.saves} saves under load: {result['calls']} calls, {len(result['failures'])} failed")
        print(f"  before {result['before']}, after {result['after']}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
