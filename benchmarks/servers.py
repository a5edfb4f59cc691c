"""Starting peers and looking at their processes."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import psutil

_DEADLINE = 60.0


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def post(port: int, path: str, body: bytes) -> int:
    """One request; its status, 0 if nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        response.read()
    except OSError:
        return 0
    else:
        return response.status
    finally:
        connection.close()


def listening(port: int) -> None:
    """Return when something listens there. Raises TimeoutError."""
    end, pause = time.monotonic() + _DEADLINE, threading.Event()
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            pause.wait(0.01)
        else:
            return
    raise TimeoutError(f"nothing listens at port {port}")


class Server:
    """One peer's server process and its children; `ready_seconds`: from its start to its first answer."""

    def __init__(
        self, command: list[str], path: str, port: int, cpus: set[int], folder: Path, **environment: str
    ) -> None:
        self.path = path
        self.port = port
        self.folder = folder
        began = time.monotonic()
        self._log = (folder / f"server-{port}.log").open("wb")
        self.process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd="/",  # nothing in the current folder must be importable by chance
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            start_new_session=True,
        )
        while post(port, path, b"x") != 200:
            if self.process.poll() is not None or time.monotonic() - began > _DEADLINE:
                self.stop()
                text = (folder / f"server-{port}.log").read_text(errors="replace")
                raise RuntimeError(f"{' '.join(command)} does not answer:\n{text[-2000:]}")
            time.sleep(0.001)
        self.ready_seconds = time.monotonic() - began

    def tree(self) -> list[psutil.Process]:
        """The server's process and all its children."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """pyfc's workers. Above those in namespaces of their own there is one process more."""
        found = []
        for outside in psutil.Process(self.process.pid).children():
            inner = outside.children()
            found += inner if len({_namespace(each.pid) for each in (outside, *inner)}) == 1 else inner[0].children()
        return [each for each in found if not _is_keeper(each.pid)]

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of the server's own process, of its children together."""
        own, *children = self.tree()
        return _cpu(own), sum(map(_cpu, children))

    def memory(self) -> float:
        """Resident MB of the server's own process."""
        resident: int = psutil.Process(self.process.pid).memory_info().rss
        return resident / 1024 / 1024

    def stop(self) -> None:
        """End it and its children."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def _is_keeper(pid: int) -> bool:
    """Whether it is no worker but the parent of a function's template: its third descriptor is a socket."""
    return str(Path(f"/proc/{pid}/fd/3").readlink()).startswith("socket:")


def _namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def pss(process: psutil.Process) -> float:
    """Proportional set size in MB: shared pages are divided among those who share them."""
    return float(process.memory_full_info().pss) / 1024 / 1024
