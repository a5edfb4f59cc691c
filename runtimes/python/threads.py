"""Several calls at once in one worker (instanceConcurrency > 1): each runs in a thread, as in FC's Python runtime.
What is run is bootstrap.py's; a worker with one call at a time has none of this.

1. One thread at a time leads: it reads the channel and hands each frame to the call it belongs to. At first that is
   the main thread, which hands each call to a thread of its own. Threads are kept for the next calls.
2. When calls are measured to be so short that the hand-over costs more than they do, one of those threads leads and
   runs short calls itself. If one of them takes long after all, another thread is made the leader after 2 ms.
3. What a call prints and logs is told from its neighbours' by a context variable and sent in Log frames; what goes to
   the descriptors past Python, or comes from threads of the function's own, belongs to the instance.
"""

from __future__ import annotations

import functools
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import calls
import faults
import output
import wire

_SHORT = 0.0001
"""Seconds. A hand-over costs about half of it."""
_LONG = 0.01
"""Run time that is assumed of what is not known yet: three dozen short calls refute it."""
_WEIGHT = 1 / 16
_LOOK = 0.002
"""Seconds that a call may hold up the others which its thread should read."""
_IDLE_LOOKS = 5


class Threads:
    """Runs calls by `run(call, header)`. `actions` are its parts of the worker's loop, by frame type; one that returns
    true has seen the end of the channel.
    """

    def __init__(self, channel: wire.Channel, run: Callable[[calls.Call, list[Any]], None]) -> None:
        self.actions: dict[int, Callable[[int, list[Any], bytes], Any]] = {
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
        self._ready: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._calls: dict[int, calls.Call] = {}
        self._threads: dict[int, int] = {}
        self._run_time = _LONG
        self._lock = threading.Lock()
        self._turn = 0
        """Which leader it is; one that finds another number has been replaced."""
        self._since = 0.0
        """When the call began that the leader runs itself; 0 while it runs none."""
        self._watched = threading.Event()
        self._ended = threading.Event()

    def _invoke(self, number: int, header: list[Any], payload: bytes) -> bool:
        """The main thread has read a call."""
        if self._run_time > _SHORT:
            self._hand_over(number, header, payload)
            return False
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self._start(functools.partial(self._lead, (wire.INVOKE, number, header, payload)))
        self._ended.wait()
        return True

    def _hand_over(self, number: int, header: list[Any], payload: bytes) -> None:
        call = calls.Call(self._channel, number, header[1], payload, queue.SimpleQueue())
        self._calls[number] = call
        self._start(functools.partial(self._call, call, header))

    def _start(self, task: Callable[[], None]) -> None:
        self._ready.put(task)
        try:
            self._idle.pop()
        except IndexError:
            self._started += 1
            threading.Thread(target=self._work, name="call-%d" % self._started, daemon=True).start()

    def _work(self) -> None:
        try:
            while True:
                self._ready.get()()
                self._idle.append(True)
        except BaseException as error:  # sys.exit, or the channel is broken: it ends the process, as without threads
            if not isinstance(error, SystemExit):
                faults.tell(error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)

    def _call(self, call: calls.Call, header: list[Any]) -> None:
        began = time.monotonic()
        self._threads[call.number] = threading.get_ident()
        send = functools.partial(self._channel.write, wire.LOG, call.number, ())
        token = output.call_log.set(output.CallLog(header[2], send))
        try:
            self._run(call, header)
        finally:
            output.call_log.reset(token)
            self._calls.pop(call.number, None)
            self._threads.pop(call.number, None)
        self._run_time += (time.monotonic() - began - self._run_time) * _WEIGHT

    # short calls

    def _lead(self, frame: tuple[int, int, list[Any], bytes] | None) -> None:
        """Read the channel until it ends or somebody else has to. `frame` has been read already."""
        turn = self._turn
        frame = frame or self._channel.read()
        while frame is not None and frame[0] != wire.STOP:
            kind, number, header, payload = frame
            if kind != wire.INVOKE:
                action = self.actions.get(kind)
                if action is not None:
                    action(number, header, payload)
            elif self._run_time > _SHORT or header[3] != 0 or header[1] != len(payload):
                self._hand_over(number, header, payload)
            elif not self._run_here(number, header, payload, turn):
                return
            frame = self._channel.read()
        self._ended.set()

    def _run_here(self, number: int, header: list[Any], payload: bytes, turn: int) -> bool:
        """Run a call in the leader; whether it still leads."""
        call = self._calls[number] = calls.Call(self._channel, number, header[1], payload, queue.SimpleQueue())
        self._since = time.monotonic()
        if not self._watched.is_set():
            self._watched.set()
        self._call(call, header)
        with self._lock:
            leads = self._turn == turn
            if leads:
                self._since = 0.0
        return leads

    def _watch(self) -> None:
        """Look whether the leader is held up, as long as it runs calls."""
        looks = 0
        while True:
            self._watched.wait()
            time.sleep(_LOOK)
            with self._lock:
                is_late = self._since > 0 and time.monotonic() - self._since > _LOOK
                looks = 0 if self._since else looks + 1
                if is_late:
                    self._turn += 1
                    self._since = 0.0
                    self._run_time = _LONG
            if is_late:
                self._start(functools.partial(self._lead, None))
            elif looks > _IDLE_LOOKS:
                self._watched.clear()
                if self._since:
                    self._watched.set()

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
