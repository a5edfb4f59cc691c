"""Tasks that live beside the calls: none dies unnoticed, and nobody waits for what a dead one was to bring about.

1. An owner begins its tasks with `Tasks.begin`. It keeps them alive (the loop itself does not), and what one dies of is
   written to the server's log by its name.
2. Who waits for something that a task brings about waits with `while_alive`: the task's death is an error then, never a
   wait without end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from pyfc.errors import Unavailable

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(
        self,
        name: str,
        work: Coroutine[Any, Any, T],
        on_death: Callable[[BaseException], object] = lambda _: None,
    ) -> asyncio.Task[T]:
        """Run `work`. `name` tells people what stands still without it, like "the table of functions". `on_death` hears
        what it died of, after the log; not of an orderly end and not when it is cancelled.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)

        def ended(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _log.error("%s: this task has died of %r", name, error, exc_info=error)
                on_death(error)

        task.add_done_callback(ended)
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(list(self._tasks))

    def cancel(self) -> None:
        """Ask all of them to end."""
        for task in self:
            task.cancel()

    async def close(self) -> None:
        """End all of them, and wait until they have."""
        self.cancel()
        await asyncio.gather(*self, return_exceptions=True)


async def while_alive(task: asyncio.Task[Any], wanted: Awaitable[T]) -> T:
    """What `wanted` gives. Raises Unavailable if `task`, which is to bring it about, ends before that, or has ended."""
    waiting = asyncio.ensure_future(wanted)
    has_ended = task.done()
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if has_ended or not waiting.done():
            raise Unavailable(message=f"{task.get_name()}: {end_of(task)}; restart the server, its log says more")
        return waiting.result()
    finally:
        waiting.cancel()


def end_of(task: asyncio.Task[Any]) -> str:
    """How a task that is done has ended, for people."""
    if task.cancelled():
        return "this has been stopped"
    return f"this task has died of {task.exception()!r}" if task.exception() is not None else "this has ended"
