"""The life of one bridge: Hello, Init, the user's program, then calls: frames to pyfc, HTTP to the program's server.
What may happen to one call is in calls.py and pull.py.

1. Init's `program` says what to start and where it listens. Ready is sent when it does, or when it has ended.
2. A program that ends, ends its instance: calls in flight are answered with FC's CAExited.
3. A go1 program is no server: it asks for its calls (pull.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from typing import Any

import calls
import client
import commands
import enter
import framing
import loopback
import program
import pull
import script
import wire

NAME = "custom"
_POLL = 0.003
_PATIENCE = 3.0
"""Seconds until a program that does not listen where it should is told of what it does instead."""
_STOP_GRACE = 0.8
_NOT_STARTED = (126, 127)
_HOOKS = {"initializer": ("POST", "/initialize"), "preFreeze": ("GET", "/pre-freeze"), "preStop": ("GET", "/pre-stop")}


class Bridge:
    """One instance's. See calls.Bridge."""

    def __init__(self, channel: wire.Channel, init: wire.Init, child: program.Program) -> None:
        self._channel = channel
        self._init = init
        self._child = child
        self._wanted: dict[str, Any] = init.program
        self.port: int = self._wanted["port"]
        self._calls: dict[int, Any] = {}
        self._parser = framing.Parser()
        self._is_ready = self._is_stopping = False
        ports = (self.port, pull.PORT) if self._wanted["pulls"] else (self.port,)
        self._loopback = None
        if child.listener >= 0:
            self._loopback = loopback.Loopback(child.listener, ports, own=child.own)
        self.upstream = client.Upstream(self._place)
        self.fixed = _fixed_headers(init)
        self._environment: dict[str, str] = {}
        """The program's."""
        self._pull: pull.Pull | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def _place(self) -> tuple[str, int]:
        port = self._loopback.places[self.port] if self._loopback is not None else self.port
        return "127.0.0.1", port

    async def serve(self) -> None:
        """Until the end of this process."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._child.reap, self._exited)
        loop.add_signal_handler(signal.SIGTERM, self._child.signal, signal.SIGTERM)
        if self._loopback is not None:
            loop.add_reader(self._loopback.listener, self._loopback.answer)
        os.set_blocking(3, False)
        loop.add_reader(3, self._readable)
        environment = {**self._init.environment, **self._variables()}
        if self._wanted["pulls"]:
            self._pull = pull.Pull(self, self._started, self._loopback.is_own if self._loopback else lambda _: True)
            port = await self._pull.listen(own=self._child.own)
            environment["FC_RUNTIME_API"] = "127.0.0.1:%d" % port
            if self._loopback is not None:
                self._loopback.take_in(port)
        self._environment = environment
        self._child.run(self._wanted["command"], environment, self._init.code)
        if not self._wanted["pulls"]:
            self._spawn(self._wait_for_server())
        await loop.create_future()

    def _variables(self) -> dict[str, str]:
        return {
            "FC_CUSTOM_LISTEN_PORT": str(self.port),
            "FC_SERVER_PORT": str(self.port),
            "BOOTSTRAP_FILE": "bootstrap",
        }

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for_server(self) -> None:
        """Ready when the program listens, and its health is good if it has a health check. The server measures."""
        health = self._wanted["health"]
        hint = asyncio.get_running_loop().call_later(_PATIENCE, self._tell_other_ports)
        while True:
            try:
                connection = await self.upstream.connect() if self._place()[1] else None
                if connection is not None:
                    connection.abort()
                    break
            except OSError:
                pass
            await asyncio.sleep(_POLL)
        hint.cancel()
        if health:
            await asyncio.sleep(health["initialDelaySeconds"])
            successes = 0
            while (successes := successes + 1 if await self._is_healthy() else 0) < health["successThreshold"]:  # noqa: ASYNC110
                await asyncio.sleep(health["periodSeconds"])
            self._spawn(self._look_after())
        self._started()

    def _tell_other_ports(self) -> None:
        """It may listen, but not where it is asked to."""
        if self._loopback is not None and self._loopback.others:
            found = ", ".join(map(str, sorted(self._loopback.others)))
            text = "the program has taken port %s and not %d, where its calls come: caPort would say so\n"
            os.write(2, (text % (found, self.port)).encode())

    async def _is_healthy(self) -> bool:
        health = self._wanted["health"]
        try:
            async with asyncio.timeout(health["timeoutSeconds"]):
                answer = await client.ask(self.upstream, "GET", health["httpGetUrl"], self.fixed)
        except (OSError, client.BrokenAnswer, TimeoutError):
            return False
        return 200 <= answer.status < 400

    async def _look_after(self) -> None:
        """A program that fails its health check several times in a row is ended."""
        health, failures = self._wanted["health"], 0
        while failures < health["failureThreshold"]:
            await asyncio.sleep(health["periodSeconds"])
            failures = 0 if await self._is_healthy() else failures + 1
        os.write(2, b"the health check has failed %d times: the instance is ended\n" % failures)
        self._child.signal(signal.SIGKILL)

    def _started(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self.send(wire.READY, 0, (None,))

    def _exited(self, status: int) -> None:
        """The program has ended, and the instance with it. What it was doing, if it asks for its calls, has
        the error of FC's own runtimes; a server's call has that of a custom runtime.
        """
        if not self._is_stopping:
            how = "was killed by signal %d" % -status if status < 0 else "exited with status %d" % status
            fault = ("PLATFORM", "the custom runtime %s" % how, "CAExited")
            if not self._is_ready:
                before = " before it asked for a call" if self._wanted["pulls"] else " before it listened"
                self.send(wire.READY, 0, ((fault[0], fault[1] + before + self._reason(status), fault[2]),))
            if self._pull is not None:
                os.write(2, ("the program %s\n" % how).encode())
            for call in list(self._calls.values()) if self._pull is None else []:
                call.fail(fault)
        os._exit(1)

    def _reason(self, status: int) -> str:
        """Why it could not be started, where that is what happened."""
        if status not in _NOT_STARTED:
            return ""
        path = self._init.environment.get("PATH", os.defpath)
        why = script.why_not(self._wanted["command"][0], self._init.code, path)
        return ": " + why if why else ""

    # frames

    def send(self, kind: int, number: int, header: tuple[Any, ...], payload: bytes = b"") -> None:
        """See calls.Bridge."""
        try:
            self._channel.write(kind, number, header, payload)
        except OSError:
            os._exit(0)  # pyfc has gone

    def done(self, number: int) -> None:
        """See calls.Bridge."""
        self._calls.pop(number, None)

    def _readable(self) -> None:
        try:
            data = os.read(3, 262144)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)
        try:
            for kind, number, header, payload in self._parser.feed(data):
                self._take(kind, number, wire.unpack(header), bytes(payload))
        except Exception:  # a fault of ours or of pyfc's: who ends is replaced, and its calls are answered
            traceback.print_exc()
            os._exit(1)

    def _take(self, kind: int, number: int, header: list[Any], payload: bytes) -> None:
        if kind == wire.INVOKE:
            call: Any
            if self._pull is not None:
                call = pull.PulledCall(self, self._pull, number, header, payload)
            else:
                call = calls.Call(self, number, header, payload)
            self._calls[number] = call
            call.start()
        elif kind == wire.HOOK:
            self._spawn(self._hook(number, header[0], header[1]))
        elif kind == wire.STOP:
            self._spawn(self._stop())
        elif number in self._calls:
            self._calls[number].take(kind, header, payload)

    async def _hook(self, number: int, name: str, request_id: str) -> None:
        method, path = _HOOKS[name]
        own = [("x-fc-request-id", request_id), ("x-fc-control-path", path)]
        try:
            if name in self._wanted["hooks"]:
                fault, body = await self._command(self._wanted["hooks"][name]), b""
            elif self._pull is not None:
                fault, body = await self._pull.hook(name, request_id)
            else:
                answer = await client.ask(self.upstream, method, path, [*self.fixed, *own])
                fault, body = None, answer.body
                if answer.status >= 400 or answer.headers.get(b"x-fc-status") == b"404":
                    fault = ("UNHANDLED", "%s answered %d" % (path, answer.status), "")
        except (OSError, client.BrokenAnswer) as error:
            fault, body = ("UNHANDLED", "%s: %s" % (path, error), ""), b""
        self.send(wire.HOOK_DONE, number, (fault,), body if fault is not None else b"")

    async def _command(self, command: list[str]) -> tuple[str, str, str] | None:
        """Run the command of a hook beside the program; its fault."""
        assert self._child.hooks is not None
        words = commands.words_of(command, self._environment, self._init.code)
        status = await commands.run(self._child.hooks, words)
        how = "was killed by signal %d" % -status if status < 0 else "exited with status %d" % status
        return ("UNHANDLED", "the command %s %s" % (command[0], how), "") if status else None

    async def _stop(self) -> None:
        """Let the program end by itself; then so does this process."""
        self._is_stopping = True
        self._child.signal(signal.SIGTERM)
        await asyncio.sleep(_STOP_GRACE)
        os._exit(0)


def _fixed_headers(init: wire.Init) -> list[tuple[str, str]]:
    told = init.context
    hooks = {name: handler for name, handler in init.hooks.items() if name not in init.program["hooks"]}
    function, service, credentials = told["function"], told["service"], told["credentials"]
    fixed = {
        "access-key-id": credentials["access_key_id"],
        "access-key-secret": credentials["access_key_secret"],
        "security-token": credentials["security_token"],
        "function-name": function["name"],
        "function-handler": function["handler"],
        "function-memory": function["memory"],
        "function-timeout": function["timeout"],
        "function-initializer": function["initializer"],
        "initialization-timeout": function["initialization_timeout"],
        "instance-lifecycle-pre-stop-handler": hooks.get("preStop", ""),
        "instance-lifecycle-pre-freeze-handler": hooks.get("preFreeze", ""),
        "service-name": service["name"],
        "service-logproject": service["log_project"],
        "service-logstore": service["log_store"],
        "qualifier": service["qualifier"],
        "version-id": service["version_id"],
        "region": told["region"],
        "account-id": told["account_id"],
    }
    if told.get("jaeger_endpoint"):
        fixed["tracing-jaeger-endpoint"] = told["jaeger_endpoint"]
    return [("x-fc-" + name, str(value)) for name, value in fixed.items()]


def main(incoming: int, outgoing: int, cage: enter.Cage) -> None:
    """Serve calls until told to stop. Descriptors: frames in, frames out."""
    channel = wire.Channel(incoming, outgoing)
    channel.write(wire.HELLO, 0, (wire.VERSION, NAME))
    frame = channel.read()
    if frame is None or frame[0] != wire.INIT:
        return
    init = wire.Init.of(frame[2])
    child = program.prepare(cage, init.sandbox, has_commands=bool(init.program["hooks"]))
    asyncio.run(Bridge(channel, init, child).serve())
