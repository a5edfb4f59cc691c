"""Several calls at once in one worker (instanceConcurrency > 1): each runs in a thread, as in FC's Python runtime.

The main thread reads the channel and hands each frame to the call it belongs to. Threads are kept for the next calls.
What a call prints and logs is told from its neighbours' by a context variable and sent in Log frames; what goes to
the descriptors past Python, or comes from threads of the function's own, belongs to the instance.
"""

from __future__ import annotations

import functools
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import calls
import output
import wire


class Threads:
    """Runs calls by `run(call, header)`. `actions` are its parts of the worker's loop, by frame type."""

    def __init__(self, channel: wire.Channel, run: Callable[[calls.Call, list[Any]], None]) -> None:
        self.actions = {
            wire.INVOKE: self._invoke,
            wire.DATA: self._pass_on(wire.DATA),
            wire.CREDIT: self._pass_on(wire.CREDIT),
            wire.CANCEL: self._cancel,
        }
        self._channel = channel
        self._run = run
        self._started = 0
        self._idle: deque[bool] = deque()
        """One item per thread that waits: a list whose ends may be changed from any thread."""
        self._ready: queue.SimpleQueue[tuple[calls.Call, list[Any]]] = queue.SimpleQueue()
        self._calls: dict[int, calls.Call] = {}
        self._threads: dict[int, int] = {}

    def _invoke(self, number: int, header: list[Any], payload: bytes) -> None:
        call = calls.Call(self._channel, number, header[1], payload, queue.SimpleQueue())
        self._calls[number] = call
        self._ready.put((call, header))
        try:
            self._idle.pop()
        except IndexError:
            self._started += 1
            threading.Thread(target=self._work, name="call-%d" % self._started, daemon=True).start()

    def _work(self) -> None:
        while True:
            call, header = self._ready.get()
            self._threads[call.number] = threading.get_ident()
            send = functools.partial(self._channel.write, wire.LOG, call.number, ())
            token = output.call_log.set(output.CallLog(header[2], send))
            try:
                self._run(call, header)
            finally:
                output.call_log.reset(token)
                self._calls.pop(call.number, None)
                self._threads.pop(call.number, None)
            self._idle.append(True)

    def _pass_on(self, kind: int) -> Callable[[int, list[Any], bytes], None]:
        def pass_on(number: int, header: list[Any], payload: bytes) -> None:
            call = self._calls.get(number)
            if call is not None and call.inbox is not None:
                call.inbox.put((kind, number, header, payload))

        return pass_on

    def _cancel(self, number: int, header: list[Any], payload: bytes) -> None:
        """The call is answered already: say where it is, if it took too long; it finds out when it reads or writes."""
        frame = sys._current_frames().get(self._threads.get(number, 0))
        if header[0] == "timeout" and frame is not None:
            text = output.stacks({self._threads.get(number, 0): frame})
            self._channel.write(wire.LOG, number, (), text.encode("utf-8", "replace"))
        self._pass_on(wire.CANCEL)(number, header, payload)
