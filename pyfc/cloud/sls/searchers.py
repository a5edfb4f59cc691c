"""The processes that index and search, from the server's side: started when they are first needed.

A few search, each one query at a time, and none is busy with queries of the same logstore only: one more waits for
others. What takes too long is ended with its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from pyfc.cloud.sls.faults import Fault, internal
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_LONGEST = 30.0
"""Seconds for a search, and for one to wait for others."""
_LARGEST = 32 * 1024 * 1024
"""Bytes of an answer: while it is parsed the server does nothing else."""
_PROCESSES = 3
_OF_ONE = 2
"""How many of these search one logstore at the same time."""
_FILES = 0
"""Stands for functions' files, which are no logstore."""
_MOST_WAITING = 100
_TOO_MANY = "Too many queries are running: try again, or ask for less at the same time."
_PAUSE = 5.0
"""Seconds between two starts of the process that indexes."""


class _Process:
    """One that searches; another takes its place when it has died."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers. Raises Fault."""
        try:
            async with asyncio.timeout(_LONGEST):
                return await self._asked(request)
        except TimeoutError:
            await self.end()
            message = f"The query takes longer than {_LONGEST:.0f} s: search for less, or in a shorter time."
            raise Fault("ParameterInvalid", message) from None
        except asyncio.LimitOverrunError:
            await self.end()
            message = f"The query finds more than {_LARGEST >> 20} MB: ask for fewer lines, or for less of each."
            raise Fault("ParameterInvalid", message) from None
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            _log.error("a process that searches logs has ended: %r", error)
            await self.end()
            raise internal() from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None:
            self._process = await _started(self._words)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._process.stdout.readuntil(b"\n"))
        return answer

    async def end(self) -> None:
        """End it."""
        process, self._process = self._process, None
        await _ended(process)


class Searcher:
    """All of them of one log service."""

    def __init__(self, data: Path, index: Path) -> None:
        self._files = (str(data), str(index))
        self._idle = [_Process(_words("searcher", self._files)) for _ in range(_PROCESSES)]
        self._all = tuple(self._idle)
        self._running: Counter[int] = Counter()
        self._waiting: list[tuple[int, asyncio.Future[_Process]]] = []
        self._indexer: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._started = 0.0
        self._tasks = Tasks()

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What a search finds. Raises Fault."""
        self.tell()
        return await self._ask(request["search"]["logstore"], request)

    async def look_through(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What is found in a function's log files, see records.py. Raises Fault."""
        return await self._ask(_FILES, {"operation": "records", **request})

    async def _ask(self, logstore: int, request: Mapping[str, Any]) -> dict[str, Any]:
        async with self._one_for(logstore) as process:
            answer = await process.ask(request)
        if "fault" in answer:
            raise Fault(*answer["fault"])
        return answer

    @contextlib.asynccontextmanager
    async def _one_for(self, logstore: int) -> AsyncIterator[_Process]:
        """A process that has nothing to do; those who came first get it first. Raises Fault."""
        process = self._taken(logstore) if self._may(logstore) else await self._turn(logstore)
        try:
            yield process
        finally:
            self._give_back(logstore, process)

    def _may(self, logstore: int) -> bool:
        return bool(self._idle) and self._running[logstore] < _OF_ONE

    def _taken(self, logstore: int) -> _Process:
        self._running[logstore] += 1
        return self._idle.pop()  # the one that was used last is the one that is warm

    def _give_back(self, logstore: int, process: _Process) -> None:
        self._idle.append(process)
        self._running[logstore] -= 1
        for place, (other, turn) in enumerate(self._waiting):
            if self._may(other):
                del self._waiting[place]
                turn.set_result(self._taken(other))
                break
        self._running += Counter()  # without those that have none

    async def _turn(self, logstore: int) -> _Process:
        if len(self._waiting) >= _MOST_WAITING:
            raise Fault("ReadQuotaExceed", _TOO_MANY)
        turn: asyncio.Future[_Process] = asyncio.get_running_loop().create_future()
        mine = (logstore, turn)
        self._waiting.append(mine)
        try:
            done, _ = await asyncio.wait({turn}, timeout=_LONGEST)
        except asyncio.CancelledError:
            if turn.done():
                self._give_back(logstore, turn.result())
            else:
                self._waiting.remove(mine)
            raise
        if done:
            return turn.result()
        self._waiting.remove(mine)
        raise Fault("ReadQuotaExceed", _TOO_MANY)

    def tell(self) -> None:
        """There is something to index."""
        process = self._indexer
        if process is None or process.returncode is not None:
            if (self._starting is None or self._starting.done()) and self._may_start():
                self._starting = self._tasks.begin("starting the process that indexes logs", self._start())
            return
        assert process.stdin is not None
        if not process.stdin.transport.get_write_buffer_size():  # else it is told already
            with contextlib.suppress(OSError):
                process.stdin.write(b"\n")

    def _may_start(self) -> bool:
        now = time.monotonic()
        if self._started and now - self._started < _PAUSE:
            return False
        self._started = now
        return True

    async def _start(self) -> None:
        try:
            self._indexer = await _started(_words("indexer", self._files))
        except OSError as error:
            _log.warning("the process that indexes logs cannot be started: %s", error)

    async def close(self) -> None:
        """End the processes."""
        if self._starting is not None:
            await asyncio.wait({self._starting})
        await _ended(self._indexer)
        for each in self._all:
            await each.end()


def _words(module: str, files: tuple[str, str]) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", f"pyfc.cloud.sls.{module}", *files)


async def _started(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, limit=_LARGEST, start_new_session=True)


async def _ended(process: asyncio.subprocess.Process | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
