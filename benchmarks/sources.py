"""Sources of events: what idle timers cost, and how long it takes from a put object or an event to its function.

    python benchmarks/sources.py [--timers N] [--seconds N] [--only timers|start|event]

1. timers: resident MB and processor share of an idle server with so many timers that do not fire meanwhile, less those
   of one whose same timers are switched off; both servers run at the same time.
2. start: milliseconds from the begin of a put of 4 KB (durable) to the first line of the function that its trigger
   calls, one object at a time.
3. event: the same from the begin of a POST of a CloudEvent to /pyfc/events, on one connection.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import report
from object_store import Store

from pyfc.auth.keys import Keys
from servers import Server, free_port

_TIMERS = 10
"""Of a function: FC allows ten triggers."""
_ONE = "def handler(event, context):\n    return b''\n"
_TIMED = """import json, os, time

def handler(event, context):
    now = time.time_ns()
    key = json.loads(event)["events"][0]["oss"]["object"]["key"]
    fd = os.open("FILE", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%s %d\\n" % (key.encode(), now))
    os.close(fd)
"""
_HEAD = "ROSTemplateFormatVersion: '2015-09-01'\nTransform: 'Aliyun::Serverless-2018-04-03'\nResources:\n"
_SERVICE = "  s:\n    Type: 'Aliyun::Serverless::Service'\n"
_SAMPLES = 200


def function(name: str, events: str = "") -> str:
    """A function of a template."""
    text = f"    {name}:\n      Type: 'Aliyun::Serverless::Function'\n"
    text += "      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./}\n"
    return text + (f"      Events:\n{events}" if events else "")


def timer(number: int, switch: str) -> str:
    """A timer that is due once a year."""
    expression = f"0 {number % 60} {number % 24} 1 1 *"
    return f"        t{number}: {{Type: Timer, Properties: {{CronExpression: '{expression}', Enable: {switch}}}}}\n"


def start(folder: Path, *options: str) -> Server:
    """A server of a folder."""
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet", *options]
    path = "/2016-08-15/services/s/functions/f0/invocations"
    return Server([*command, "--data-dir", f"{folder}-data"], path, port, set(range(os.cpu_count() or 1)), folder)


def processor_time(process: int) -> float:
    """Seconds that the threads of a process have run; by the scheduler, whose clock is finer than that of `times`."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e9


def timers(scratch: Path, count: int, seconds: float) -> None:
    """See module."""
    servers = []
    for switch in ("false", "true"):
        folder = scratch / switch
        folder.mkdir()
        (folder / "index.py").write_text(_ONE)
        functions = (
            function(f"f{first // _TIMERS}", "".join(timer(each, switch) for each in range(first, first + _TIMERS)))
            for first in range(0, count, _TIMERS)
        )
        (folder / "template.yml").write_text(_HEAD + _SERVICE + "".join(functions))
        servers.append(start(folder))
    processes = [each.process.pid for each in servers]
    try:
        pause = threading.Event()
        pause.wait(2.0)
        before = [processor_time(each) for each in processes]
        pause.wait(seconds)
        spent = [processor_time(each) - old for each, old in zip(processes, before, strict=True)]
        sizes = [each.memory() for each in servers]
    finally:
        for each in servers:
            each.stop()
    print(
        f"timers  {count:,} idle: {sizes[1] - sizes[0]:.2f} MB ({sizes[0]:.1f} without, {sizes[1]:.1f} with), "
        f"{(spent[1] - spent[0]) / seconds * 100:.4f} per cent of a processor "
        f"({spent[0] / seconds * 100:.4f}, {spent[1] / seconds * 100:.4f})"
    )


def event(scratch: Path) -> None:
    """See module."""
    folder, times = scratch / "events", scratch / "event-times"
    folder.mkdir()
    key = 'json.loads(event)["id"]'
    code = _TIMED.replace("FILE", str(times)).replace('json.loads(event)["events"][0]["oss"]["object"]["key"]', key)
    (folder / "index.py").write_text(code)
    config = {"eventRuleFilterPattern": '{"source": ["benchmark"]}', "asyncInvocationType": True}
    resources = {
        name: {
            "component": "fc",
            "props": {
                "region": "cn-hangzhou", "service": {"name": "s"},
                "function": {"name": name, "runtime": "python3", "handler": "index.handler", "codeUri": "./"},
                "triggers": [{"name": "bus", "type": "eventbridge", "config": config}] if name == "f1" else [],
            },
        }
        for name in ("f0", "f1")
    }  # fmt: skip
    (folder / "s.yaml").write_text(json.dumps({"edition": "1.0.0", "name": "benchmark", "resources": resources}))
    server = start(folder, "--sandbox", "off")
    headers = {"Content-Type": "application/cloudevents+json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        began, answered, pause = {}, [], threading.Event()
        for number in range(_SAMPLES + 1):
            body = {"specversion": "1.0", "id": str(number), "source": "benchmark", "type": "tick", "data": {"n": 1}}
            began[str(number)] = time.time_ns()
            connection.request("POST", "/pyfc/events", json.dumps(body), headers)
            if connection.getresponse().read().count(b"requestId") != 2:
                raise SystemExit("the event has fired nothing")
            answered.append((time.time_ns() - began[str(number)]) / 1e6)
            while not times.exists() or len(times.read_bytes().splitlines()) <= number:
                pause.wait(0.001)
    finally:
        connection.close()
        server.stop()
    rows = [line.split() for line in times.read_text().splitlines()[1:]]  # the first is a cold start
    waits = [(int(end) - began[name]) / 1e6 for name, end in rows]
    print(
        f"event   p50 {statistics.median(waits):.2f} ms, p99 {statistics.quantiles(waits, n=100)[98]:.2f} ms to the "
        f"function; p50 {statistics.median(answered):.2f} ms to the durable answer"
    )


def started(scratch: Path) -> None:
    """See module."""
    folder, times = scratch / "objects", scratch / "times"
    folder.mkdir()
    (folder / "index.py").write_text(_TIMED.replace("FILE", str(times)))
    trigger = (
        "        put: {Type: OSS, Properties: {BucketName: benchmark, Events: ['oss:ObjectCreated:*'],\n"
        "              Filter: {Key: {Prefix: in/, Suffix: .bin}}}}\n"
    )
    (folder / "template.yml").write_text(_HEAD + _SERVICE + function("f0") + function("f1", trigger))
    server = start(folder, "--sandbox", "off")
    try:
        store = Store(server.port, Keys(Path(f"{folder}-data")).all()[0])
        began, pause = {}, threading.Event()
        for number in range(_SAMPLES + 1):
            key = f"in/{number}.bin"
            began[key] = time.time_ns()
            store.ask("PUT", f"/benchmark/{key}", os.urandom(4096))
            while not times.exists() or len(times.read_bytes().splitlines()) <= number:
                pause.wait(0.001)
    finally:
        server.stop()
    rows = [line.split() for line in times.read_text().splitlines()[1:]]  # the first is a cold start
    waits = [(int(end) - began[key]) / 1e6 for key, end in rows]
    print(f"start   p50 {statistics.median(waits):.2f} ms, p99 {statistics.quantiles(waits, n=100)[98]:.2f} ms")


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", choices=("timers", "start", "event"), default="")
    options = parser.parse_args()
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as name:
        if options.only in {"", "timers"}:
            timers(Path(name), options.timers, options.seconds)
        if options.only in {"", "start"}:
            started(Path(name))
        if options.only in {"", "event"}:
            event(Path(name))


if __name__ == "__main__":
    main()
