"""What becomes of an error of ours: one line in the log that the request's id finds, and 500 for the client."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from pyfc.errors import Internal

_log = logging.getLogger(__name__)
_LONGEST = 300
_FRAMES = 4


def failed(number: str, what: str, error: BaseException) -> Internal:
    """Leave the line; what the client is told. `number`: the request's id; `what`: its method and path."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    shown = ascii(what)[1:-1][:_LONGEST], type(error).__name__, ascii(str(error))[1:-1][:_LONGEST]
    _log.error("500 for request %s, %s: %s: %s (%s)", number, *shown, where)
    return Internal(detail="see the server's log")
