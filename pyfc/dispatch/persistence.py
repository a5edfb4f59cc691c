"""Steps that must be done, whatever they fail by: each failure is logged with its cause, and the step is tried again,
more and more seldom.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyfc.errors import Internal, PyfcError
from pyfc.model.policy import back_off

T = TypeVar("T")
_log = logging.getLogger(__name__)


def report(what: str, error: Exception) -> None:
    """Log what a step failed by; with a traceback where that is a fault of pyfc's."""
    if isinstance(error, PyfcError) and not isinstance(error, Internal):
        _log.warning("%s: %s", what, error)
    else:
        _log.error("%s: %r", what, error, exc_info=error)


async def until_done(what: str, step: Callable[[], Awaitable[T]]) -> T:
    """What a step gives, once it has succeeded. `what` tells people what waits for that."""
    failures = 0
    while True:
        try:
            return await step()
        except Exception as error:
            failures += 1
            pause = back_off(failures)
            report(f"{what} (tried again in {pause:g} s)", error)
        await asyncio.sleep(pause)
