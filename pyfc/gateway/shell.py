"""A shell into a running instance: FC's InstanceExec, a WebSocket whose messages begin with a byte that says what they
are: 0 standard input, 1 standard output, 2 standard error. Serverless Devs' component fc3 sends what is typed as it is.

1. Messages are text, since FC's client for Python takes no other; what is no text is told as bytes.
2. Who is refused hears so before the handshake, as an answer of the API.
3. The program runs in the cage of the instance (sandbox/inside/shell.py), counts in its limits, and dies with it.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import math
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from starlette.websockets import WebSocket, WebSocketDisconnect

from pyfc.auth.signature import Signed
from pyfc.calls.paths import is_newer, resources_of
from pyfc.errors import InstanceNotFound, InvalidArgument, PyfcError
from pyfc.gateway.management import Api, error_response
from pyfc.model.names import DEFAULT_SERVICE, request_id
from pyfc.sandbox import inside
from pyfc.sandbox.sandbox import Sandbox
from pyfc.supervisor.affine import pools_of
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.pool import Pool

_STDIN, _STDOUT, _STDERR = (bytes([number]) for number in range(3))
_CHUNK = 65536
_IDLE = 120
_LONGEST_IDLE = 86_400


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
            command, idle = _command(socket.query_params.getlist("command")), _idle(socket.query_params)
        except PyfcError as error:
            answer = error_response(error, request_id(), is_newer=is_newer(socket.scope["path"]))
            with contextlib.suppress(WebSocketDisconnect):
                await socket.send_denial_response(answer)
            return
        await socket.accept()
        await _Session(socket, self._sandbox, instance, pool).run(command, idle)

    def _authenticate(self, socket: WebSocket) -> None:
        if self._api.settings.auth == "off":
            return
        query = socket.scope["query_string"].decode("latin-1")
        target = socket.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        key = self._api.verifier.verify(Signed("GET", target, socket.headers))
        self._api.permissions.check(key, "fc:InstanceExec", *resources_of(socket.scope["path"]))

    def _find(self, names: Mapping[str, str]) -> tuple[Instance, Pool]:
        service = names.get("service", DEFAULT_SERVICE).partition(".")[0]
        function, wanted = names["function"], names["instance"]
        for target, entry in self._api.table().entries.items():
            if (target.service, target.function) == (service, function) and isinstance(entry.route, Pool):
                rosters = [pool.roster for pool in pools_of(entry.route)]
                for instance in (each for roster in rosters for each in roster.instances):
                    if instance.id == wanted and instance.link is not None:
                        return instance, entry.route
        raise InstanceNotFound(service=service, function=function, instance=wanted)


def _command(words: list[str]) -> list[str]:
    """The program and its arguments: each a parameter of its own, or all of them one, as for a shell. Raises
    InvalidArgument.
    """
    try:
        found = shlex.split(words[0]) if len(words) == 1 else words or ["/bin/bash"]
    except ValueError as error:
        raise InvalidArgument(message=f"command can not be taken apart: {error}") from None
    if not found or not found[0] or "\0" in "".join(found):
        raise InvalidArgument(message="command is empty, or has the character 0 in it")
    return found


def _idle(query: Mapping[str, str]) -> float:
    """Seconds without a word after which a session ends. Raises InvalidArgument."""
    try:
        idle = float(query.get("idleTimeout", _IDLE))
    except ValueError:
        idle = math.nan
    if not 0 < idle <= _LONGEST_IDLE:
        raise InvalidArgument(message=f"idleTimeout must be more than 0 and at most {_LONGEST_IDLE} seconds")
    return idle


def _is_wanted(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "true").lower() == "true"


class _Session:
    """One program and its client."""

    def __init__(self, socket: WebSocket, sandbox: Sandbox, instance: Instance, pool: Pool) -> None:
        self._socket = socket
        self._sandbox = sandbox
        self._instance = instance
        self._birth = pool.population.birth
        self._input = -1
        self._wanted = {name: _is_wanted(socket.query_params, name) for name in ("stdin", "stdout", "stderr", "tty")}
        self._moved = asyncio.Event()
        """Something was said by either side."""

    async def run(self, command: list[str], idle: float) -> None:
        """Run it until it ends, the client leaves, or nobody has said anything for so many seconds."""
        has_tty = self._wanted["tty"]
        ours, theirs = _terminal() if has_tty else _pipes(has_input=self._wanted["stdin"])
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
        kinds = {ours[2]: (_STDERR, "stderr"), ours[1]: (_STDOUT, "stdout")}  # of a terminal: standard output
        tellers = [
            asyncio.create_task(self._tell(descriptor, kind, is_wanted=self._wanted[name]))
            for descriptor, (kind, name) in kinds.items()
        ]
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
                data = await self._received()
                self._moved.set()
                typed = data.removeprefix(_STDIN)
                if typed and self._wanted["stdin"]:
                    with contextlib.suppress(BrokenPipeError):  # it reads no more; that does not end it
                        await asyncio.to_thread(os.write, self._input, typed)

    async def _received(self) -> bytes:
        """The next message, text or not. Raises WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"])
        return message.get("bytes") or (message.get("text") or "").encode()

    async def _tell(self, descriptor: int, kind: bytes, *, is_wanted: bool = True) -> None:
        """What the program says. A terminal ends with an error, a pipe with nothing."""
        text = _Text()
        while True:
            try:
                data = await _readable(descriptor)
            except OSError:
                data = b""
            if is_wanted:
                await self._say(kind, text.take(data))
            if not data:
                return
            self._moved.set()

    async def _say(self, kind: bytes, said: str | bytes) -> None:
        if isinstance(said, bytes):
            await self._socket.send_bytes(kind + said)
        elif said:
            await self._socket.send_text(kind.decode() + said)

    async def _watch(self, idle: float) -> None:
        """Return when nothing was said for so many seconds."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(idle):
                    await self._moved.wait()
            except TimeoutError:
                return


class _Text:
    """Cuts what is read between characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def take(self, data: bytes) -> str | bytes:
        """What can be told now, b"" being the end: as text, or as it is if it is none."""
        held = self._decoder.getstate()[0]
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            self._decoder.reset()
            return held + data


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


def _pipes(*, has_input: bool = True) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Ours and the program's; without input it reads that there is none."""
    (said, stdout), (told, stderr) = os.pipe(), os.pipe()
    stdin, typed = os.pipe() if has_input else (os.open(os.devnull, os.O_RDONLY), said)
    return (typed, said, told), (stdin, stdout, stderr)
