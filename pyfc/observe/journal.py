"""What the call path leaves behind: plain records, appended during calls and read in batches outside of them.

The call path does nothing but `if not inbox: wake(); inbox.append(record)`; everyone who wants to know what happened
(function logs, the console, later metrics and billing) listens to the batches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pyfc.model.function import Function
from pyfc.model.invocation import Invocation, Result
from pyfc.observe.lives import Life, Passed

_log = logging.getLogger(__name__)
_BATCH_DELAY = 0.004
"""Seconds between the first record of a batch and its reading: long enough to gather some, too short to stall."""


class CallRecord(NamedTuple):
    """One finished call."""

    time: float
    """When it ended, seconds since the epoch."""
    function: Function
    call: Invocation
    status: int
    """HTTP status that the caller was answered; 499 if the caller had left."""
    result: Result | None
    """None when pyfc refused the call."""
    error: str
    """FC's error code when refused, else ''."""


class OutputRecord(NamedTuple):
    """What an instance wrote and no call's record carries: between calls, or more than a record holds."""

    time: float
    function: Function
    instance_id: str
    request_id: str
    """'' outside of calls."""
    data: bytes


Record = CallRecord | OutputRecord
Listener = Callable[[list[Record]], None]


class Journal:
    """The one batch of records that nobody has read yet."""

    def __init__(self) -> None:
        self.inbox: list[Record] = []
        self.listeners: list[Listener] = []
        self.followers: list[Callable[[Life], None]] = []
        """Who is told what instances go through, at once."""
        self.wake: Callable[[], object] = partial(asyncio.get_running_loop().call_later, _BATCH_DELAY, self.flush)
        """Read the inbox soon. To be called when it is empty, before a record is appended."""

    def add(self, record: Record) -> None:
        """Append a record, from anywhere but the call path."""
        if not self.inbox:
            self.wake()
        self.inbox.append(record)

    def wrote(self, function: Function, instance_id: str, request_id: str, data: bytes) -> None:
        """Append what an instance wrote; see OutputRecord."""
        self.add(OutputRecord(time.time(), function, instance_id, request_id, data))

    def passed(self, function: Function, instance_id: str, passed: Passed, when: float) -> None:
        """Tell what an instance has gone through; `when`: seconds since the epoch."""
        for follower in self.followers:
            follower(Life(when, function, instance_id, passed))

    def flush(self) -> None:
        """Hand everything to the listeners now."""
        batch, self.inbox = self.inbox, []
        if batch:
            for listener in self.listeners:
                try:
                    listener(batch)
                except Exception:  # of one that fails the others must not suffer
                    _log.exception("what has happened could not be told to %r", listener)
