"""A shell into a running instance: FC's InstanceExec, a WebSocket whose binary messages begin with a byte that says
what they are: 0 standard input, 1 standard output, 2 standard error, 3 what went wrong here.

The program runs in the cage of the instance (sandbox/inside/shell.py), counts in its limits, and dies with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from starlette.websockets import WebSocket, WebSocketDisconnect

from pyfc.auth.signature import Signed
from pyfc.errors import AccessDenied, InstanceNotFound, InvalidArgument, PyfcError
from pyfc.gateway.management import Api
from pyfc.model.names import DEFAULT_SERVICE
from pyfc.sandbox import inside
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.pool import Pool

_STDIN, _STDOUT, _STDERR, _ERROR = (bytes([number]) for number in range(4))
_CHUNK = 65536
_IDLE = 120
_LONGEST_IDLE = 86_400
_REFUSED = 4000
"""A close code of our own; the reason is FC's error JSON."""


class Shells:
    """Serves InstanceExec. `profile` is what a zygote of this server has entered."""

    def __init__(self, api: Api, sandbox: Sandbox) -> None:
        self._api = api
        self._sandbox = sandbox

    async def serve(self, socket: WebSocket) -> None:
        """One session."""
        try:
            self._authenticate(socket)
            instance, pool = self._find(socket.path_params)
            command = shlex.split(socket.query_params.get("command", "/bin/bash"))
            if not command:
                raise InvalidArgument(message="command is empty")
            idle = float(socket.query_params.get("idleTimeout", _IDLE))
            if not 0 < idle <= _LONGEST_IDLE:
                raise InvalidArgument(message=f"idleTimeout must be more than 0 and at most {_LONGEST_IDLE} seconds")
        except (PyfcError, ValueError) as error:
            with contextlib.suppress(WebSocketDisconnect):
                await socket.accept()
                await socket.send_bytes(_ERROR + str(error).encode())
                await socket.close(_REFUSED, str(error)[:100])
            return
        await socket.accept()
        await _Session(socket, self._sandbox, instance, pool).run(command, idle)

    def _authenticate(self, socket: WebSocket) -> None:
        if self._api.settings.auth == "off":
            return
        query = socket.scope["query_string"].decode("latin-1")
        target = socket.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        key = self._api.verifier.verify(Signed("GET", target, socket.headers))
        if not key.may_manage:
            raise AccessDenied(message="the credentials of a function may only be used for calling functions")

    def _find(self, names: Mapping[str, str]) -> tuple[Instance, Pool]:
        service = names.get("service", DEFAULT_SERVICE).partition(".")[0]
        function, wanted = names["function"], names["instance"]
        for target, entry in self._api.table().entries.items():
            if (target.service, target.function) == (service, function) and isinstance(entry.route, Pool):
                for instance in entry.route.roster.instances:
                    if instance.id == wanted and instance.link is not None:
                        return instance, entry.route
        raise InstanceNotFound(service=service, function=function, instance=wanted)


class _Session:
    """One program and its client."""

    def __init__(self, socket: WebSocket, sandbox: Sandbox, instance: Instance, pool: Pool) -> None:
        self._socket = socket
        self._sandbox = sandbox
        self._instance = instance
        self._birth = pool.population.birth
        self._input = -1
        self._moved = asyncio.Event()
        """Something was said by either side."""

    async def run(self, command: list[str], idle: float) -> None:
        """Run it until it ends, the client leaves, or nobody has said anything for so many seconds."""
        has_tty = self._socket.query_params.get("tty", "true").lower() == "true"
        ours, theirs = _terminal() if has_tty else _pipes()
        spec_read, spec_write = os.pipe()
        script = str(Path(inside.__file__).parent / "shell.py")
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _START, str(spec_read), script, str(Path(script).parent),
                stdin=theirs[0], stdout=theirs[1], stderr=theirs[2], pass_fds=(spec_read,), env={}, cwd="/",
            )  # fmt: skip
        finally:
            os.close(spec_read)
            for descriptor in set(theirs):
                os.close(descriptor)
        self._input = ours[0]
        try:
            self._admit(process.pid, spec_write, command, has_tty=has_tty)
            await self._talk(process, ours, idle)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            for descriptor in set(ours):
                os.close(descriptor)

    def _admit(self, pid: int, spec: int, command: list[str], *, has_tty: bool) -> None:
        """Count the helper as the instance's, then tell it what to do."""
        link = self._instance.link
        assert link is not None
        worker, birth = link.worker, self._birth
        worker.thaw()
        if worker.cell.group is not None:
            worker.cell.group.take(pid)
        wish = birth.confine(worker.cell)
        own = {"FC_INSTANCE_ID": self._instance.id, "TERM": "xterm"}
        document = {
            "profile": self._sandbox.profile(birth.spec.interpreter),
            "mode": self._sandbox.mode,
            "missing": self._sandbox.refused,
            "pid": worker.process.pid,
            "wish": wish,
            "tty": has_tty,
            "folder": birth.init.code,
            "environment": {**birth.init.environment, **worker.cell.environment, **own},
            "command": command,
        }
        with os.fdopen(spec, "wb") as file:
            file.write(json.dumps(document).encode())

    async def _talk(self, process: asyncio.subprocess.Process, ours: tuple[int, ...], idle: float) -> None:
        tasks = [
            asyncio.create_task(self._hear()),
            asyncio.create_task(self._watch(idle)),
            asyncio.create_task(process.wait()),
        ]
        kinds = {ours[1]: _STDOUT, ours[2]: _STDERR if ours[2] != ours[1] else _STDOUT}
        tellers = [asyncio.create_task(self._tell(descriptor, kind)) for descriptor, kind in kinds.items()]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if process.returncode is not None:
            await asyncio.wait(tellers, timeout=1.0)  # what it said last
        for task in (*tasks, *tellers):
            task.cancel()
        await asyncio.gather(*tasks, *tellers, return_exceptions=True)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # the client has left
            await self._socket.close(1000)

    async def _hear(self) -> None:
        """What the client types."""
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                data = await self._socket.receive_bytes()
                self._moved.set()
                if data[:1] == _STDIN and len(data) > 1:
                    with contextlib.suppress(BrokenPipeError):  # it reads no more; that does not end it
                        await asyncio.to_thread(os.write, self._input, data[1:])

    async def _tell(self, descriptor: int, kind: bytes) -> None:
        """What the program says. A terminal ends with an error, a pipe with nothing."""
        while True:
            try:
                data = await _readable(descriptor)
            except OSError:
                return
            if not data:
                return
            self._moved.set()
            await self._socket.send_bytes(kind + data)

    async def _watch(self, idle: float) -> None:
        """Return when nothing was said for so many seconds."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(idle):
                    await self._moved.wait()
            except TimeoutError:
                return


_START = """
import os, runpy, sys
os.dup2(int(sys.argv[1]), 3)
script = sys.argv[2]
sys.argv[:] = [script, sys.argv[3]]
runpy.run_path(script, run_name="__main__")
"""
"""Puts the descriptor with the specification where shell.py expects it."""


async def _readable(descriptor: int) -> bytes:
    """The next bytes of a descriptor. Raises OSError. It is watched anew each time, so that an end is heard in every
    kind of loop (workers/hearing.py says which does not tell it twice).
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def readable() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, readable)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, _CHUNK)


def _terminal() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    ours, theirs = os.openpty()
    return (ours, ours, ours), (theirs, theirs, theirs)


def _pipes() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    (stdin, typed), (said, stdout), (told, stderr) = os.pipe(), os.pipe(), os.pipe()
    return (typed, said, told), (stdin, stdout, stderr)
