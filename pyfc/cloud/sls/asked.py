"""One request to an operation of the log service, and its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pyfc.auth.keys import Key
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.heartbeats import Heartbeats
from pyfc.cloud.sls.model import Logstore
from pyfc.cloud.sls.request import Sent
from pyfc.cloud.sls.searchers import Searcher
from pyfc.cloud.sls.store import Store

_NONE: Mapping[str, str] = MappingProxyType({})
_MOST_DIGITS = 12


class Answer(NamedTuple):
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = _NONE
    body: bytes = b""
    type: str = "application/json"


class Environment(NamedTuple):
    """What every operation works with."""

    store: Store
    searcher: Searcher
    heartbeats: Heartbeats
    account: str
    region: str
    unindexed: set[int]
    """Logstores without an index of which the log has told."""
    led_by: Callable[[Key], int] = lambda _: 0
    """How many calls have led to what the holder of a key does."""


class Asked:
    """One request."""

    def __init__(
        self, environment: Environment, sent: Sent, project: str, names: tuple[str, ...], depth: int = 0
    ) -> None:
        """`names`: what of the path names something, like the logstore. `depth`: how many calls have led to it."""
        self.environment = environment
        self.store = environment.store
        self.sent = sent
        self.project = project
        self.names = names
        self.depth = depth
        self.query = sent.query

    @property
    def logstore(self) -> Logstore:
        """The logstore that the path names. Raises Fault."""
        return self.store.logstore(self.project, self.names[0])

    def document(self, body: bytes | None = None) -> dict[str, Any]:
        """The JSON object of the body, or of what it was when it was packed. Raises Fault PostBodyInvalid."""
        found = self.json(body)
        if not isinstance(found, dict):
            raise Fault("PostBodyInvalid", "The request body is not valid JSON object.")
        return found

    def json(self, body: bytes | None = None) -> Any:
        """The JSON of either. Raises Fault PostBodyInvalid."""
        try:
            return json.loads(self.sent.body if body is None else body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise Fault("PostBodyInvalid", "The request body is not valid JSON object.") from None

    def number(self, name: str, default: int) -> int:
        """A parameter that is a whole number. Raises Fault ParameterInvalid."""
        return whole(name, self.query.get(name, ""), default)

    def paging(self) -> tuple[int, int]:
        """How many of a list to leave out, and how many there are to be."""
        return self.number("offset", 0), min(self.number("size", 100), 500)


def whole(name: str, value: Any, default: int) -> int:
    """A whole number that a client sent, also as text; '' or None for the default. Raises Fault ParameterInvalid."""
    if value in ("", None):
        return default
    text = str(value)
    digits = text.removeprefix("-")
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise Fault("ParameterInvalid", f"{name} must be a whole number, and is {text[:50]!r}")
    return int(text)


def answer(document: Any, headers: Mapping[str, str] = _NONE) -> Answer:
    """JSON."""
    return Answer(headers=headers, body=json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))


def _no_number(text: str) -> None:
    raise ValueError(text)
