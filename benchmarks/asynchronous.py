"""Durable asynchronous calls: how fast they are promised and run, beside huey, which does the same work.

    python benchmarks/asynchronous.py [--seconds N]

1. enqueue: 202 answers a second at 64 connections (of calls that run later), beside synchronous calls of the same
   function in the same server.
2. both: the same while the events run, and events a second from the first promise to the last end.
3. start: milliseconds from the promise to the function's first line when nothing else happens.
4. backlog: a server starts with so many events in its queue: seconds to its first answer, its memory, events a second.
5. peers: huey with SQLite and fsync, one producer and one worker process; NATS JetStream with a file and
   `sync_interval: always` (if nats-server is on PATH), 64 publishers and a consumer that acknowledges.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import load
import psutil
import report

from pyfc.auth.keys import Keys
from pyfc.client import Client
from pyfc.model.asynchronous import Event
from pyfc.model.names import Target
from pyfc.queues.sqlite import SqliteQueue
from servers import Server, free_port, listening

_WINDOW = 5.0
"""Seconds over which the rate out of a full queue is measured."""
_GAP = 0.01
"""Seconds between two calls that find the server idle."""
_CODE = """
import os, time

def noop(event, context):
    return b""

def when(event, context):
    fd = os.open("FILE", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d %d\\n" % (int(event), time.time_ns()))
    os.close(fd)
"""
_HUEY = """
import os, sys, time
from huey import SqliteHuey
huey = SqliteHuey(filename=sys.argv[1], fsync=True, results=False)
@huey.task()
def noop():
    return None
if sys.argv[2] == "put":
    for _ in range(int(sys.argv[3])):
        noop()
else:
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
"""
_NATS = """
import asyncio, sys, time
import nats
from nats.js.api import ConsumerConfig

async def main(port, count):
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream()
    await stream.add_stream(name="events", subjects=["e.*"])
    began = time.monotonic()
    async def publish(share):
        for _ in range(share):
            await stream.publish("e.noop", b"x")
    await asyncio.gather(*(publish(count // 64) for _ in range(64)))
    put = time.monotonic() - began
    began = time.monotonic()
    reader = await stream.pull_subscribe("e.*", "worker", config=ConsumerConfig(max_ack_pending=10_000))
    left = count // 64 * 64
    while left:
        messages = await reader.fetch(min(256, left), timeout=10)
        for message in messages:
            await message.ack()
        left -= len(messages)
    print(put, time.monotonic() - began)
    await client.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
_CONNECTIONS = 64


def start(folder: Path, data: Path) -> Server:
    """A server of the two functions."""
    port = free_port()
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet", "--sandbox", "off"]
    path = "/2016-08-15/services/default/functions/index/invocations"
    return Server([*command, "--data-dir", str(data)], path, port, set(range(psutil.cpu_count() or 1)), folder)


def rate(port: int, seconds: float, headers: dict[str, str]) -> tuple[float, int]:
    """Answers a second at 64 connections, and how many there were."""
    path = "/2016-08-15/services/default/functions/index/invocations"
    done = load.run(port, path, 1, _CONNECTIONS, seconds, set(range(psutil.cpu_count() or 1)), headers)
    if done.errors:
        raise RuntimeError(f"{done.errors} requests failed")
    return done.per_second, done.requests


def empty(client: Client) -> None:
    """Return when nothing waits any more."""
    pause = threading.Event()
    while client.api("GET", "/pyfc/events")["depth"]["waiting"]:
        pause.wait(0.01)


def huey(folder: Path, count: int) -> tuple[float, float]:
    """Seconds for putting `count` tasks, and for running them."""
    script = folder / "tasks.py"
    script.write_text(textwrap.dedent(_HUEY))
    times = []
    for words in (("put", str(count)), ("run",)):
        began = time.monotonic()
        subprocess.run([sys.executable, str(script), str(folder / "huey.db"), *words], check=True)
        times.append(time.monotonic() - began)
    return times[0], times[1]


def nats(folder: Path, count: int) -> tuple[float, float]:
    """Seconds for publishing `count` messages, and for consuming them. Raises OSError, CalledProcessError."""
    port = free_port()
    config = folder / "nats.conf"
    store = folder / "jetstream"
    config.write_text(f'port: {port}\njetstream {{ store_dir: "{store}", sync_interval: always }}\n')
    script = folder / "nats_tasks.py"
    script.write_text(_NATS)
    server = subprocess.Popen(["nats-server", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        listening(port)
        command = [sys.executable, str(script), str(port), str(count)]
        put, run = map(float, subprocess.check_output(command, text=True).split())
    finally:
        server.terminate()
        server.wait()
    return put, run


def backlog(scratch: Path, folder: Path, count: int) -> None:
    """A start with a full queue."""
    data = scratch / "full"
    data.mkdir()

    async def fill() -> None:
        queue = SqliteQueue(data / "queue.sqlite")
        target = Target("default", "index")
        for base in range(0, count, 10_000):
            now = time.time()
            await queue.put(
                [
                    Event(id=f"b{number}", request_id=f"b{number}", target=target, payload=b"x", enqueued=now)
                    for number in range(base, min(base + 10_000, count))
                ]
            )
        await queue.close()

    asyncio.run(fill())
    server = start(folder, data)
    try:
        memory = psutil.Process(server.process.pid).memory_info().rss / 1e6
        client = Client(f"http://127.0.0.1:{server.port}", key=Keys(data).all()[0])
        before, began = client.api("GET", "/pyfc/events")["depth"]["waiting"], time.monotonic()
        time.sleep(_WINDOW)
        ran = before - client.api("GET", "/pyfc/events")["depth"]["waiting"]
        rate_ = ran / (time.monotonic() - began)
        later = psutil.Process(server.process.pid).memory_info().rss / 1e6
        print(
            f"backlog {count:,} events: first answer after {server.ready_seconds:.2f} s, memory {memory:.0f} MB, "
            f"{later:.0f} MB {_WINDOW:.0f} s later, {rate_:.0f} events/s"
        )
    finally:
        server.stop()


def main() -> None:
    """See module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    options = parser.parse_args()
    print(report.machine(), "| load:", load.name())
    with tempfile.TemporaryDirectory(prefix="pyfc-bench-") as scratch:
        folder = Path(scratch) / "project"
        (folder / "noop").mkdir(parents=True)
        times = Path(scratch) / "times"
        text = _CODE.replace("FILE", str(times))
        (folder / "index.py").write_text(text + "\ndef handler(event, context):\n    return b''\n")
        (folder / "when.py").write_text(
            text + "\nhandler = when\ndef handler(event, context):\n    return when(event, context)\n"
        )
        server = start(folder, Path(scratch) / "data")
        try:
            client = Client(f"http://127.0.0.1:{server.port}", key=Keys(Path(scratch) / "data").all()[0])
            later = {"X-Fc-Invocation-Type": "Async"}
            rate(server.port, 1.0, {})
            sync, _ = rate(server.port, options.seconds, {})
            promised, _ = rate(server.port, options.seconds, {**later, "X-Fc-Async-Delay": "3600"})
            began = time.monotonic()
            both, count = rate(server.port, options.seconds, later)
            empty(client)
            through = count / (time.monotonic() - began)
            print(f"enqueue {promised:8.0f}/s, synchronous {sync:8.0f}/s: {promised / sync:.2f} x")
            print(f"both    {both:8.0f}/s promised while they run, {through:8.0f}/s from first promise to last end")
            for number in range(200):
                client.invoke_later("default", "when", str(time.time_ns()).encode())
                if number:
                    time.sleep(_GAP)
                else:
                    empty(client)  # its instance is there then
            empty(client)
            waits = [(int(end) - int(begin)) / 1e6 for begin, end in map(str.split, times.read_text().splitlines()[1:])]
            print(f"start   p50 {statistics.median(waits):.2f} ms, p99 {statistics.quantiles(waits, n=100)[98]:.2f} ms")
        finally:
            server.stop()
        backlog(Path(scratch), folder, options.backlog)
        try:
            put, run = huey(Path(scratch), 2000)
            print(f"huey    put {2000 / put:8.0f}/s, run {2000 / run:8.0f}/s (SQLite, fsync; one producer, one worker)")
        except subprocess.CalledProcessError:
            print("huey    is not installed: pip install huey")
        try:
            put, run = nats(Path(scratch), 2048)
            print(f"nats    put {2048 / put:8.0f}/s, run {2048 / run:8.0f}/s (JetStream, file, sync always)")
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"nats    could not be run (nats-server on PATH, pip install nats-py): {error}")


if __name__ == "__main__":
    main()
