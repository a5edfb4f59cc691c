"""What the errors of the stand-ins have in common: a code, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ServiceFault(Exception):
    """A request is answered with an error."""

    statuses: ClassVar[Mapping[str, int]]
    """Those of the service's codes."""

    def __init__(self, code: str, message: str) -> None:
        """`code`: one of `statuses`."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = self.statuses[code]
