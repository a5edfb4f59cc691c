"""Workers that are nothing but pipes, for tests of what talks to them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import msgpack

from pyfc.host.process import Process
from pyfc.sandbox.inside import framing
from pyfc.sandbox.sandbox import Cell
from pyfc.wire import frames
from pyfc.workers.ahead import open_claims
from pyfc.workers.launch import Worker


class Silent(Process):
    """A process that nobody has started, which dies of SIGKILL."""

    def __init__(self) -> None:
        super().__init__(0, None)
        self.killed = False

    def send_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGKILL and not self.killed:
            self.killed = True
            asyncio.get_running_loop().call_soon(self.reported, 9, 0)

    def send_signal_to_all(self, number: signal.Signals) -> None:
        """It has no processor anyway."""


class Pipes:
    """Both ends of a worker's pipes; those of the worker are closed when it is given back."""

    def __init__(self, *, claims: bool = False) -> None:
        incoming, outgoing, output = os.pipe(), os.pipe(), os.pipe()
        ours = [incoming[0], outgoing[1], output[0]]
        self.theirs = [incoming[1], outgoing[0], output[1]]
        for descriptor in [*ours, *self.theirs]:
            os.set_blocking(descriptor, False)
        self.process = Silent()
        self.is_closed = False
        self._parser = framing.Parser()
        self._heard: set[int] = set()
        self.worker = Worker(
            process=self.process,
            incoming=ours[0],
            outgoing=ours[1],
            output=ours[2],
            claims=open_claims(outgoing[0]) if claims else -1,
            cell=Cell(0, None, None, lambda _: None),
            give_back=self._closed,
        )

    def _closed(self, _cell: Cell) -> None:
        assert not self.is_closed, "closed twice"
        self.is_closed = True
        for descriptor in self.theirs:
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        """As the worker."""
        if not self.is_closed:
            os.write(self.theirs[0], data)

    def say(self, kind: int, header: Any, payload: bytes = b"", call: int = 0) -> None:
        """A frame of the worker's."""
        packed = msgpack.packb(header)
        self.write(frames.PREFIX.pack(7 + len(packed) + len(payload), kind, call, len(packed)) + packed + payload)

    async def heard(self, kind: int) -> None:
        """Return when the worker has been sent a frame of this kind."""
        async with asyncio.timeout(5):
            while kind not in self._kinds():
                await asyncio.sleep(0)

    def _kinds(self) -> set[int]:
        try:
            self._heard.update(kind for kind, *_ in self._parser.feed(os.read(self.theirs[1], 65536)))
        except BlockingIOError:
            pass
        return self._heard
