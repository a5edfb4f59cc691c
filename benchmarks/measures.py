"""What is measured beside warm throughput: cold starts, start-up, memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import load
from peers import functions_framework

from servers import Server, free_port, post, pss

Figures = dict[str, float]
_HELLO = "def handler(event, context):\n    return event\n"
_HOSTILE = ("loops", "forks", "allocates", "writes")
_NEIGHBOURS = """
import os

def healthy(event, context):
    return event

def loops(event, context):
    while True:
        pass

def forks(event, context):
    while True:
        try:
            os.fork()
        except OSError:
            pass

def allocates(event, context):
    kept = []
    while True:
        kept.append(b"x" * (1 << 20))

def writes(event, context):
    while True:
        os.write(1, b"spam and eggs " * 4096)
"""
_SLEEPY = "import time\n\n\ndef handler(event, context):\n    time.sleep(0.5)\n"


def pyfc_server(folder: Path, cpus: set[int], function: str, *, service: str = "default", **environment: str) -> Server:
    """A pyfc that serves `folder`; `function` is called once to see that it answers."""
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    path = f"/2016-08-15/services/{service}/functions/{function}/invocations"
    data = folder.with_suffix(f".data{port}")
    return Server([*command, "--data-dir", str(data)], path, port, cpus, folder, **environment)


def _project(scratch: Path, name: str, files: dict[str, str]) -> Path:
    folder = scratch / name
    folder.mkdir()
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def cold_starts(scratch: Path, cpus: set[int], rounds: int) -> Figures:
    """Milliseconds from request to answer of a call that needs a new instance, with every layer of the sandbox and with
    none, beside starting a bare interpreter.

    Each round calls one function that has no instance yet, on each server, then starts `python -I -S -c pass`.
    """
    names = [f"hello{number}" for number in range(rounds)]
    folder = _project(scratch, "cold", {f"{name}.py": _HELLO for name in ["warmed", *names]})
    servers = {choice: pyfc_server(folder, cpus, "warmed", PYFC_SANDBOX=choice) for choice in ("auto", "off")}
    cold: dict[str, list[float]] = {choice: [] for choice in servers}
    bare = []
    try:
        for name in names:
            for choice, server in servers.items():
                began = time.monotonic()
                assert post(server.port, server.path.replace("/warmed/", f"/{name}/"), b"x") == 200
                cold[choice].append(time.monotonic() - began)
            began = time.monotonic()
            subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
            bare.append(time.monotonic() - began)
    finally:
        for server in servers.values():
            server.stop()
    return {
        "cold start, request to answer, p50 ms": statistics.median(cold["auto"]) * 1000,
        "cold start, request to answer, max ms": max(cold["auto"]) * 1000,
        "the same with --sandbox off, p50 ms": statistics.median(cold["off"]) * 1000,
        "python -I -S -c pass, p50 ms": statistics.median(bare) * 1000,
    }


def framework_cold_starts(scratch: Path, cpus: set[int], rounds: int, python: str) -> Figures:
    """Seconds from starting functions-framework, which is how its users get an instance, to its first answer."""
    seconds = []
    for number in range(rounds):
        port = free_port()
        command, path = functions_framework.start(python, scratch, port, scratch / f"framework{number}")
        server = Server(command, path, port, cpus, scratch)
        seconds.append(server.ready_seconds)
        server.stop()
    return {"functions-framework, start to first answer, p50 ms": statistics.median(seconds) * 1000}


def neighbours(scratch: Path, cpus: set[int], seconds: float) -> Figures:
    """p99 in ms of a healthy function's calls over four connections: alone, and beside each hostile one, which is
    called again as soon as it has been ended (after a second, if it does not end by itself).
    """
    functions = {name: {"Handler": f"index.{name}", "Timeout": 1} for name in ["healthy", *_HOSTILE]}
    folder = _project(scratch, "neighbours", {"index.py": _NEIGHBOURS, "template.yml": _template(functions)})
    server = pyfc_server(folder, cpus, "healthy", service="demo")
    try:
        load.run(server.port, server.path, 100, 4, 1.0, cpus)
        figures = {"healthy function alone, p99 ms": _p99(server, seconds, cpus)}
        for name in _HOSTILE:
            path = server.path.replace("/healthy/", f"/{name}/")
            ended = threading.Event()
            caller = threading.Thread(target=_call_until, args=(server.port, path, ended))
            caller.start()
            figures[f"beside {name}, p99 ms"] = _p99(server, seconds, cpus)
            ended.set()
            caller.join()
    finally:
        server.stop()
    return figures


def _p99(server: Server, seconds: float, cpus: set[int]) -> float:
    """The median of three measurements."""
    samples = [load.run(server.port, server.path, 100, 4, seconds, cpus) for _ in range(3)]
    assert not sum(sample.errors for sample in samples), "a healthy call failed"
    return statistics.median(sample.p99 for sample in samples) * 1000


def _call_until(port: int, path: str, ended: threading.Event) -> None:
    while not ended.is_set():
        post(port, path, b"x")


def _template(functions: dict[str, dict[str, object]]) -> str:
    rest = {"Runtime": "python3", "CodeUri": "./"}
    resources: dict[str, object] = {
        name: {"Type": "Aliyun::Serverless::Function", "Properties": {**rest, **properties}}
        for name, properties in functions.items()
    }
    service = {"Type": "Aliyun::Serverless::Service", **resources}
    return json.dumps({"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}})


def burst(scratch: Path, cpus: set[int]) -> Figures:
    """Milliseconds until 100 calls at once, each with an instance of its own and 500 ms of work, are answered."""
    folder = _project(scratch, "burst", {"sleepy.py": _SLEEPY})
    server = pyfc_server(folder, cpus, "sleepy")
    try:
        with ThreadPoolExecutor(100) as pool:
            began = time.monotonic()
            statuses = list(pool.map(lambda _: post(server.port, server.path, b"x"), range(100)))
            took = time.monotonic() - began
        assert statuses == [200] * 100
    finally:
        server.stop()
    return {"100 instances at once, beyond the calls' own 500 ms, ms": (took - 0.5) * 1000}


def start_up(scratch: Path, cpus: set[int], rounds: int, many: int) -> Figures:
    """Seconds from starting the server to its first answer, with one function and with many."""
    one, all_ = [], []
    for number in range(rounds):
        folder = _project(scratch, f"one{number}", {"hello0.py": _HELLO})
        server = pyfc_server(folder, cpus, "hello0")
        one.append(server.ready_seconds)
        server.stop()
        files = {f"hello{index}.py": _HELLO for index in range(many)}
        server = pyfc_server(_project(scratch, f"many{number}", files), cpus, "hello0")
        all_.append(server.ready_seconds)
        server.stop()
    return {
        "start to first answer, 1 function, s": statistics.median(one),
        f"start to first answer, {many} functions, s": statistics.median(all_),
    }


def idle_memory(scratch: Path, cpus: set[int]) -> Figures:
    """Mean PSS in MB of ten idle instances of hello functions."""
    names = [f"hello{number}" for number in range(10)]
    folder = _project(scratch, "idle", {f"{name}.py": _HELLO for name in names})
    server = pyfc_server(folder, cpus, "hello0", PYFC_SPARE_WORKERS="0")
    try:
        for name in names:
            post(server.port, server.path.replace("/hello0/", f"/{name}/"), b"x")
        workers = server.workers()
        assert len(workers) == 10
        return {
            "idle instance, mean PSS of 10, MB": statistics.mean(map(pss, workers)),
            "supervisor, resident, MB": server.memory(),
        }
    finally:
        server.stop()
