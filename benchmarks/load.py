"""A load on one address: wrk if it is installed, else a generator of our own. Loopback only, bounded in time."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

WRK = shutil.which("wrk")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


_NONE: dict[str, str] = {}


class Load(NamedTuple):
    """What came of it. Latencies in seconds."""

    requests: int
    per_second: float
    p50: float
    p99: float
    errors: int


def name() -> str:
    """What makes the load."""
    return f"wrk ({WRK})" if WRK else "the harness's own generator (wrk is not installed)"


def run(
    port: int, path: str, body: int, connections: int, seconds: float, cpus: set[int], headers: dict[str, str] = _NONE
) -> Load:
    """Post `body` bytes again and again over keep-alive connections."""
    if WRK:
        return _wrk(port, path, body, connections, seconds, cpus, headers)
    return asyncio.run(_own(port, path, b"x" * body, connections, seconds, headers))


def _wrk(
    port: int, path: str, body: int, connections: int, seconds: float, cpus: set[int], headers: dict[str, str]
) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        lines = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
        script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {body})\n{lines}')
        command = [
            WRK or "", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency",
            "-s", str(script), f"http://127.0.0.1:{port}{path}",
        ]  # fmt: skip
        prefix = ["taskset", "-c", ",".join(map(str, cpus))] if shutil.which("taskset") else []
        text = subprocess.run([*prefix, *command], capture_output=True, text=True, check=True).stdout
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = (int(failed[1]) if failed else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Load(
        int(requests[1]) if requests else 0,
        float(rate[1]) if rate else 0.0,
        _latency(text, "50"),
        _latency(text, "99"),
        errors,
    )


def _latency(text: str, percent: str) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


async def _own(port: int, path: str, body: bytes, connections: int, seconds: float, headers: dict[str, str]) -> Load:
    end = time.monotonic() + seconds
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode()
    results = await asyncio.gather(*(_client(port, head + body, end) for _ in range(connections)))
    times = sorted(moment for result in results for moment in result[0])
    errors = sum(result[1] for result in results)
    if not times:
        return Load(0, 0.0, 0.0, 0.0, errors)
    return Load(
        len(times),
        len(times) / seconds,
        times[len(times) // 2],
        times[min(len(times) - 1, len(times) * 99 // 100)],
        errors,
    )


async def _client(port: int, request: bytes, end: float) -> tuple[list[float], int]:
    times: list[float] = []
    errors = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    while time.monotonic() < end:
        began = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        errors += not head.startswith(b"HTTP/1.1 2")
        times.append(time.monotonic() - began)
    writer.close()
    return times, errors
