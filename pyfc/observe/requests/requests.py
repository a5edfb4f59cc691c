"""The records of requests of one server: chosen as the journal tells of calls, sent four times a second to the process
that keeps them (keeper.py), and asked of it. While nobody calls nothing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pyfc.data.version import REQUESTS
from pyfc.errors import Unavailable
from pyfc.observe.journal import Record
from pyfc.observe.logs import FunctionLogs, with_inode
from pyfc.observe.requests.choosing import Choosing
from pyfc.observe.requests.keeper import frame, size_of
from pyfc.observe.requests.record import Row
from pyfc.observe.requests.table import Limits, Wanted
from pyfc.observe.traces.exporter import Destination
from pyfc.tasks import Tasks

_log = logging.getLogger(__name__)
_EVERY = 0.25
"""Seconds for which records are gathered: what the end of the server costs at most."""
_MOST_WAITING = 20_000
"""Records that wait to be sent; those beyond are left out."""
_MOST_SENT = 8 * 1024 * 1024
"""Bytes that the process may not have taken yet when more is sent."""
_PATIENCE = 30.0
"""Seconds for an answer, and for the process to end."""
_PAUSE = 5.0
"""Seconds between two starts of the process."""


class Found(NamedTuple):
    """What a search finds."""

    records: list[dict[str, Any]]
    left_out: int
    """Calls of the same functions in the same time that have no record."""
    spans: dict[str, int] | None = None
    """How many were exported and dropped since the process has begun, if they are exported at all."""


class Requests:
    """A journal's listener (`listen`)."""

    def __init__(
        self,
        folder: Path,
        logs: FunctionLogs,
        rate: int,
        limits: Limits,
        gather: Callable[[], None] = lambda: None,
        destination: Destination | None = None,
        *,
        begins_traces: bool = False,
        is_kept: bool = True,
    ) -> None:
        """`folder`: the data folder; `logs` hears of batches before; `gather` has `listen` be told at once of what has
        happened up to now. `destination`: where spans of calls are exported to; `begins_traces`: see Choosing.
        """
        self._words = (
            sys.executable, "-P", "-m", "pyfc.observe.requests.keeper",
            str(folder / REQUESTS), str(limits.retention), str(limits.size),
        )  # fmt: skip
        self.is_kept = is_kept
        """Whether there are any."""
        self._logs = logs
        self._gather = gather
        self._destination = destination
        self._choosing = Choosing(rate, logs, begins_traces=begins_traces)
        self._waiting: list[Row] = []
        self._timer: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._asking = asyncio.Lock()
        """Held while the process is started, sent to or asked."""
        self._tasks = Tasks()

    def listen(self, batch: list[Record]) -> None:
        """See Journal."""
        rows = self._choosing.rows(batch)
        if len(self._waiting) + len(rows) > _MOST_WAITING:
            self._choosing.lose(rows)
        else:
            self._waiting += rows
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._send_soon)

    def _send_soon(self) -> None:
        self._timer = None
        if not self._asking.locked():
            self._tasks.begin("sending records of requests", self._send_alone())
        elif self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_EVERY, self._send_soon)

    async def _send_alone(self) -> None:
        async with self._asking:
            await self._send()

    async def _send(self) -> None:
        """Send what waits. With the lock."""
        left_out = self._choosing.left_out(time.time())
        if not self._waiting and not left_out:
            return
        writer = await self._writer()
        rows, self._waiting = self._waiting, []
        if writer is None or writer.transport.get_write_buffer_size() > _MOST_SENT:
            self._choosing.lose(rows)
            self._choosing.put_back(left_out)
            return
        with contextlib.suppress(OSError):
            writer.write(frame(["keep", rows, left_out]))

    async def _writer(self) -> asyncio.StreamWriter | None:
        """The input of the process, which is started if need be; None if it cannot be now."""
        process, now = self._process, time.monotonic()
        if process is None or process.returncode is not None:
            if self._started and now - self._started < _PAUSE:
                return None
            if process is not None:
                _log.warning(
                    "the process that keeps records of requests has ended (%s): another one", process.returncode
                )
            self._started = now
            pipe = asyncio.subprocess.PIPE
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._words, stdin=pipe, stdout=pipe, start_new_session=True
                )
            except OSError as error:
                _log.warning("the process that keeps records of requests cannot be started: %s", error)
                return None
            self._process = process
            if self._destination is not None and process.stdin is not None:
                process.stdin.write(frame(["export", self._destination]))
        return process.stdin

    async def find(self, wanted: Wanted) -> Found:
        """Records, with what has happened up to now. Raises Unavailable."""
        if not self.is_kept:
            return Found([], 0)
        self._gather()
        async with self._asking:
            await self._send()
            answer = await self._ask(wanted)
        if "error" in answer:
            raise Unavailable(message=f"the records of requests cannot be read: {answer['error']}")
        return Found([self._shown(record) for record in answer["records"]], answer["leftOut"], answer["spans"])

    async def _ask(self, wanted: Wanted) -> dict[str, Any]:
        writer, process = await self._writer(), self._process
        if writer is None or process is None or process.stdout is None:
            raise Unavailable(message="the process that keeps records of requests has ended: try again in some seconds")
        try:
            async with asyncio.timeout(_PATIENCE):
                writer.write(frame(["find", wanted]))
                head = await process.stdout.readexactly(4)
                found: dict[str, Any] = msgspec.msgpack.decode(await process.stdout.readexactly(size_of(head)))
                return found
        except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
            await self._end()
            raise Unavailable(message=f"the records of requests cannot be read: {error!r}") from None
        except asyncio.CancelledError:
            await self._end()  # else its answer would be taken for that of another
            raise

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        """With the name that the log has by now; None if it is gone."""
        log = record.get("log")
        if log:
            path = self._logs.folder / str(record["service"]) / f"{record['function']}.jsonl"
            file = with_inode(path, log[0])
            record["log"] = {"file": str(file), "offset": log[1]} if file is not None else None
        return record

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """Have everything written, and end the process."""
        if self._timer is not None:
            self._timer.cancel()
        async with self._asking:
            await self._send()
            process = self._process
            if process is None or process.stdin is None:
                return
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await process.wait()
            await self._end()
