"""What becomes of an error of ours (one line in the log that the request's id finds, and 500 for the client), and the
answer to a request that is not taken at all.
"""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from pathlib import Path

from pyfc.errors import Internal, PyfcError
from pyfc.model.names import request_id

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


def refusal(error: PyfcError, date: str, number: str = "") -> bytes:
    """The response to a request that is not taken at all; the last one of its connection. `number`: its id."""
    body = error.document()
    number = number or request_id()
    if error.retry_after is not None:
        date = f"{date}Retry-After: {error.retry_after}\r\n"
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Fc-Request-Id: {number}\r\nX-Fc-Error-Type: FcCommonError\r\n"
        f"{date}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
