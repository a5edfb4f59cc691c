"""Servers and commands of the quick tests: forks of a process that has imported pyfc, which is most of what a start
costs.

With --all each is started as people start theirs.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_LARGEST = 1 << 18
"""Bytes of a request: arguments and environment."""
HELD = 1 << 14
"""Bytes that a pipe holds while nobody reads."""


class Forked:
    """What a test needs of subprocess.Popen, for a command of pyfc that was forked."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, given: bytes = b""
    ) -> None:
        """`given`: what it may read, at most what a pipe holds."""
        assert len(given) <= HELD
        self.args = list(words)
        self.returncode: int | None = None
        ends = [os.pipe() for _ in range(3)]
        read_given, write_given = os.pipe()
        os.write(write_given, given)
        os.close(write_given)
        asked = {"words": self.args, "environment": dict(environment), "folder": str(folder or Path.cwd())}
        theirs = [*(write for _, write in ends), read_given]
        socket.send_fds(_forks(), [json.dumps(asked).encode()], theirs)
        for each in theirs:
            os.close(each)
        self._told, self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8", newline="") for read, _ in ends)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._look(0)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            with self._told:
                self.returncode = int(self._told.readline())
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status. Raises TimeoutExpired after `timeout` seconds."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it now."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has written, at its end. Raises TimeoutExpired, and ends it, after `timeout` seconds."""
        with ThreadPoolExecutor(2) as readers, self.stdout, self.stderr:
            found = [readers.submit(each.read) for each in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return found[0].result(), found[1].result()


@functools.cache
def _forks() -> socket.socket:
    """The process that forks: one for all tests of this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve_forks(control: socket.socket) -> None:
    """Fork whatever is asked for, until nobody can ask any more."""
    main = _imported()
    del sys.path[0]  # the folder of tests
    tasks = len(list(Path("/proc/self/task").iterdir()))
    assert tasks == 1, "what has threads cannot be forked"
    gc.freeze()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 4)
        with contextlib.suppress(ChildProcessError):  # there has been none
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        if not order:
            return
        if os.fork() == 0:
            control.close()
            told, out, errors, given = descriptors
            if (pid := os.fork()) != 0:
                _tell(pid, told, [out, errors, given])
            os.setsid()
            os.dup2(given, 0)
            os.dup2(out, 1)
            os.dup2(errors, 2)
            sys.stdout = os.fdopen(1, "w", closefd=False)  # what kind of file it is was seen before
            sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
            for each in descriptors:
                os.close(each)
            asked = json.loads(order)
            os.chdir(asked["folder"])
            os.environ.clear()
            os.environ.update(asked["environment"])
            random.seed()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv[1:] = asked["words"]
            _end_with(main)
        for each in descriptors:
            os.close(each)


def _imported() -> Callable[[], int]:
    """All of pyfc that a start would import and make ready; what runs a command."""
    from starlette.routing import compile_path

    from pyfc.cli import COMMANDS, main
    from pyfc.gateway.application import APIS

    for command in COMMANDS:
        importlib.import_module(f"pyfc.cli.{command}")
    for prefix, endpoints in APIS.items():  # the re module keeps their patterns
        for path in {each.path for each in endpoints}:
            compile_path(prefix + path)
    return main


def _end_with(main: Callable[[], int]) -> None:
    """Run it and end this process as the interpreter does, but do not take apart what has been imported: that copies
    the pages that forks share, and is half of what the end of a server takes.
    """
    try:
        status = main()
    except SystemExit as exception:
        status = exception.code if isinstance(exception.code, int) else int(exception.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _tell(pid: int, told: int, others: list[int]) -> None:
    """The number of a process and, when it has ended, its exit status; then this process ends, which is its parent."""
    for each in others:
        os.close(each)
    os.write(told, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    _serve_forks(socket.socket(fileno=int(sys.argv[1])))
