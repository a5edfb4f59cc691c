"""Takes a profile of a worker while it runs: a program beside it, in the namespaces of its instance (the other side is
sandbox/inside/profiler.py).

Who looks is no part of the instance: its memory and its processor's time are not counted as the instance's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any, NamedTuple

from pyfc.sandbox import inside
from pyfc.sandbox.sandbox import LINUX, Sandbox
from pyfc.tasks import Tasks
from pyfc.workers.launch import Worker

SOCKET = "/dev/shm/.profiler"  # noqa: S108  in the instance's own one
"""Where a worker that has a profiler of its own lets itself be asked for a profile."""
RATE = 100
"""Samples a second."""
_YAMA, _NOBODY = Path("/proc/sys/kernel/yama/ptrace_scope"), 3
_SCRIPT = Path(inside.__file__).with_name("profiler.py")
_CHUNK = 65536
_LARGEST = 32 * 1024 * 1024
_GRACE = 15.0
"""Seconds in which a profile is there after it was ended."""
_WORDS = 500
_PY_SPY = (
    "record", "--pid", "{pid}", "--rate", str(RATE), "--format", "speedscope", "--function", "--output", "{profile}",
)  # fmt: skip


class Taken(NamedTuple):
    """What a profiler has told."""

    data: bytes
    problem: str
    """Why there is nothing, in its own words; '' if there is."""
    began: float = 0.0
    """When it had found the worker, by the monotonic clock; 0 if it has not."""


def missing(sandbox: Sandbox, profiler: str) -> str:
    """What keeps workers whose runtime names this profiler from being profiled here, for people; '' if nothing does."""
    if not LINUX:
        return "only Linux lets another process look into an instance"
    if sandbox.mode and not sandbox.has_namespaces:
        return f"instances have no namespaces of their own here (the sandbox is {sandbox.mode}: see pyfc doctor)"
    if profiler == "py-spy" and not py_spy():
        return "py-spy is not installed: pip install 'pyfc[profile]'"
    if profiler == "py-spy" and _scope() >= _NOBODY:
        return f"this machine lets nobody look into a process ({_YAMA} is {_scope()})"
    return ""


def _scope() -> int:
    """Who may look into another process of the same user, as Yama has it: 0 everybody, 1 and 2 who has the right to,
    3 nobody.
    """
    try:
        return int(_YAMA.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0  # the kernel has no Yama


@functools.cache
def py_spy() -> str:
    """The program; '' if there is none."""
    beside = Path(sysconfig.get_path("scripts")) / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("py-spy") or ""


async def take(sandbox: Sandbox, worker: Worker, wish: dict[str, Any], profiler: str, enough: asyncio.Event) -> Taken:
    """The profile of a worker from now on until it is `enough`, or it has ended. `wish`: what it has settled into.
    Raises OSError.
    """
    order = {
        "profile": sandbox.for_profiler(), "mode": sandbox.mode, "missing": sandbox.refused,
        "pid": worker.process.pid, "needs_right": _scope() > 0, "wish": wish, "socket": SOCKET,
        "command": [py_spy(), *_PY_SPY] if profiler == "py-spy" else [],
    }  # fmt: skip
    read, write = os.pipe()
    try:
        if worker.cell.uid:
            os.fchown(write, worker.cell.uid, worker.cell.uid)  # so that it can be opened by its name
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(_SCRIPT), str(_SCRIPT.parent), str(write), pass_fds=(write,),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={},
            cwd="/",
        )  # fmt: skip
    except BaseException:
        os.close(read)
        raise
    finally:
        os.close(write)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    return await _gathered(process, read, enough)


async def _gathered(process: asyncio.subprocess.Process, profile: int, enough: asyncio.Event) -> Taken:
    """What it writes until it ends, which it does when it is told to, or is made to."""
    assert process.stderr is not None
    tasks = Tasks()
    tasks.begin("the end of a profile", _end(process, enough))
    try:
        (data, began), words = await asyncio.gather(_read(profile), process.stderr.read(_WORDS))
        await process.wait()
    finally:
        if process.returncode is None:
            _kill(process)
        await tasks.close()
        await process.wait()
    said = words.decode("utf-8", "replace").strip() or f"it has ended with {process.returncode}"
    return Taken(data, "" if data else said, began)


async def _end(process: asyncio.subprocess.Process, enough: asyncio.Event) -> None:
    assert process.stdin is not None
    await enough.wait()
    process.stdin.close()
    await asyncio.sleep(_GRACE)
    _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _read(descriptor: int) -> tuple[bytes, float]:
    """All that comes from a descriptor, which is closed then, and when it began; nothing of what is too much."""
    reader = asyncio.StreamReader(limit=_LARGEST)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        parts = [await reader.read(_CHUNK)]
        began, size = time.monotonic(), 0
        while size <= _LARGEST and (data := await reader.read(_CHUNK)):
            parts.append(data)
            size += len(data)
        return (b"".join(parts).strip() if size <= _LARGEST else b""), began
    finally:
        transport.close()
