"""Processes that a function forks: they are the function's own, and end as those of a plain interpreter do."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

_ENDS = {signal.SIGTERM}
_held = threading.local()
_is_copying = False


def leave_behind(handler: Any) -> None:
    """SIGTERM, which this process handles by `handler`, ends what it forks from now on. Pools end their processes so:
    with a handler in Python one that begins to wait for a lock just then would not notice, and one that is ended before
    it has its own way would lose the signal, so the signal waits until the fork is done.
    """

    def before() -> None:
        _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)

    def after_in_child() -> None:
        if not _is_copying and signal.getsignal(signal.SIGTERM) == handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after_in_child)


def copied(bear: Callable[[], int]) -> int:
    """What `bear` gives: a fork whose child is a worker as this process is, and handles its signals."""
    global _is_copying
    _is_copying = True
    try:
        return bear()
    finally:
        _is_copying = False
