"""The process that searches, from the server's side: started when it is first needed, ended when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfc.cloud.sls.faults import Fault, internal

_log = logging.getLogger(__name__)
_LONGEST = 30.0
"""Seconds for a search."""
_LARGEST = 256 * 1024 * 1024
"""Bytes of an answer."""


class Searcher:
    """One process; searches wait for each other."""

    def __init__(self, data: Path, index: Path) -> None:
        self._words = (sys.executable, "-P", "-m", "pyfc.cloud.sls.searcher", str(data), str(index))
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers. Raises Fault."""
        async with self._lock:
            try:
                async with asyncio.timeout(_LONGEST):
                    answer = await self._asked(request)
            except TimeoutError:
                await self._end()
                message = f"The query takes longer than {_LONGEST:.0f} s: search for less, or in a shorter time."
                raise Fault("ParameterInvalid", message) from None
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                _log.exception("the process that searches logs has failed")
                await self._end()
                raise internal() from None
            except asyncio.CancelledError:
                await self._end()
                raise
        if "fault" in answer:
            raise Fault(*answer["fault"])
        return answer

    def tell(self) -> None:
        """There is something to index, for the process if it runs."""
        process = self._process
        if process is None or process.returncode is not None or self._lock.locked():
            return  # it looks after each search by itself
        with contextlib.suppress(OSError):
            self._write(process, {"operation": "index"})

    async def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = await self._running()
        self._write(process, request)
        assert process.stdout is not None
        answer: dict[str, Any] = json.loads(await process.stdout.readuntil(b"\n"))
        return answer

    def _write(self, process: asyncio.subprocess.Process, request: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LARGEST,
                start_new_session=True,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process."""
        await self._end()
