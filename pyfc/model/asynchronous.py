"""Asynchronous calls: what waits in the queue, what became of it, and the rules of retrying (FC's asynchronous
invocation, contract §7).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from pyfc.model.function import Function
from pyfc.model.invocation import HttpRequest, Trace
from pyfc.model.names import LATEST, Target
from pyfc.model.policy import doubled

DEFAULT_RETRIES = 3
MAXIMUM_PAYLOAD = 128 * 1024
"""Bytes of an event (FC: 128 KB)."""
DEEPEST = 16
"""Calls that may have led to one that is made, by destinations and triggers: loops end with the call after that one."""
LOOP = "LoopDetected"
"""Why it is not."""
LOOP_STATUS = 508
_FIRST_DELAY = 0.5
_DAY = 86400.0
_LONGEST_PUSH = 512.0
HELD = "held:"
"""How the addresses of events begin that wait for the source of their trigger to take them back."""


class Status(StrEnum):
    """FC's states of an asynchronous call."""

    ENQUEUED = "Enqueued"
    RUNNING = "Running"
    RETRYING = "Retrying"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    EXPIRED = "Expired"
    INVALID = "Invalid"

    @property
    def is_final(self) -> bool:
        """Whether nothing will become of it any more."""
        return self in _FINAL


_FINAL = {Status.SUCCEEDED, Status.FAILED, Status.STOPPED, Status.EXPIRED, Status.INVALID}


class Event(msgspec.Struct, kw_only=True):
    """One call in the queue. Times are seconds since the epoch, unless they are said to be the queue's own."""

    id: str
    """The caller's, or the request's."""
    request_id: str
    target: Target
    http: Sequence[Any] | None = None
    """The request of an HTTP function, as HttpRequest."""
    enqueued: float = 0.0
    due: float = 0.0
    """Not before, in the queue's own time."""
    is_stateful: bool = False
    """Whether its record is kept when it succeeds."""
    address: str = ""
    """Where it goes if that is no function: the ARN of a destination; the payload is the message."""
    depth: int = 0
    """How many calls led to it."""
    status: Status = Status.ENQUEUED
    attempts: int = 0
    """Executions that the function has ended, or that ended it."""
    started: float = 0.0
    ended: float = 0.0
    error: str = ""
    """FC's error type of the last execution."""
    result: bytes = b""
    instance_id: str = ""
    version: str = ""
    """The version that ran it, and the checksum of its code."""
    log: bytes = b""
    condition: str = ""
    """Why it was given up."""
    history: list[tuple[str, float, str]] = []
    """Status, time, detail."""
    born: float = 0.0
    """When it was put into the queue, in the queue's own time: its age counts from there."""
    trace: Trace | None = None
    """What of an OpenTracing trace came with the request that put it there."""
    trigger: str = ""
    """The name of the trigger that has fired it, '' for none."""
    payload: bytes
    number: int = 0
    """The queue's own, in order of arrival."""
    size: int = 0
    """Bytes that the queue counts it for."""
    refusals: int = 0
    """Times in a row that pyfc has failed with it, since the server's start."""

    @property
    def lane(self) -> Target:
        """Events of one lane are taken in order; lanes are served in turn."""
        return self.target if not self.address else Target("", self.address)

    def note(self, status: Status, now: float, detail: str = "") -> None:
        """It is in another state now."""
        self.status = status
        self.history.append((status.value, now, detail))

    def copy(self, **changes: Any) -> Event:
        """One that may be changed without a change of this one."""
        return msgspec.structs.replace(self, **{"history": list(self.history), **changes})


KEPT = tuple(name for name in Event.__struct_fields__ if name not in {"payload", "number", "size", "refusals"})
"""Fields of an event that make its record, in this order: what an engine keeps is an array of them. The order does not
change, and new ones come last (with the next version of the data folder, data/version.py). The payload never changes
and is kept apart; the others belong to the engine, or to nobody.
"""


class Pushes(StrEnum):
    """How EventBridge tries again what a function has failed with."""

    BACKOFF = "BACKOFF_RETRY"
    """Three times, every 10 to 20 seconds."""
    DECAY = "EXPONENTIAL_DECAY_RETRY"
    """176 times in a day at the most, with pauses that double, up to 512 seconds."""

    @property
    def usual(self) -> tuple[int, float]:
        """Attempts after the first, and the age in seconds after which there are no more; 0 for any."""
        return (3, 0.0) if self is Pushes.BACKOFF else (176, _DAY)

    def delay(self, attempts: int) -> float:
        """Seconds until what has failed so often is tried again."""
        if self is Pushes.BACKOFF:
            return random.uniform(10.0, 20.0)  # noqa: S311  no secret
        return min(2.0 ** min(attempts - 1, 10), _LONGEST_PUSH)


class Policy(NamedTuple):
    """A function's asynchronous configuration, or how the source of a trigger goes on pushing."""

    retries: int = DEFAULT_RETRIES
    maximum_age: float = 0.0
    """Seconds; 0 for any."""
    on_success: str = ""
    on_failure: str = ""
    is_stateful: bool = False
    pushes: Pushes | None = None
    """None for FC's own pauses."""
    dead_letters: str = ""
    """Where the event itself goes when it is given up; '' for nowhere."""

    def delay(self, attempts: int, first: float) -> float:
        """Seconds until an event is tried again that has failed so often. `first`: see retry_delay."""
        return self.pushes.delay(attempts) if self.pushes is not None else retry_delay(attempts, first)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Policy:
        """From FC's async-invoke-config of either API."""
        destinations = document.get("destinationConfig") or {}

        def arn(name: str) -> str:
            return str((destinations.get(name) or {}).get("destination") or "")

        return cls(
            retries=int(document.get("maxAsyncRetryAttempts", DEFAULT_RETRIES)),
            maximum_age=float(document.get("maxAsyncEventAgeInSeconds") or 0),
            on_success=arn("onSuccess"),
            on_failure=arn("onFailure"),
            is_stateful=bool(document.get("statefulInvocation") or document.get("asyncTask")),
        )


def retry_delay(attempts: int, first: float) -> float:
    """Seconds until an event is tried again that has failed so often: doubling, with a quarter of chance."""
    return doubled(first, attempts) * random.uniform(0.75, 1.25)  # noqa: S311  no secret


def refusal_delay(refusals: int) -> float:
    """Seconds until there may be room again (FC: from half a second on, doubling)."""
    return doubled(_FIRST_DELAY, refusals) * random.uniform(0.75, 1.25)  # noqa: S311


class Ran(NamedTuple):
    """What has run an event: the version of its function, the checksum of the code, and the digests of that, of its
    installed packages and of its layers, where there are any.
    """

    version: str = LATEST
    checksum: str = ""
    code: str = ""
    packages: str = ""
    layers: str = ""

    @classmethod
    def of(cls, function: Function) -> Ran:
        """What runs a function."""
        code, layers = function.code, function.opt
        version, opt = function.version_id or LATEST, layers.digest if layers is not None else ""
        return cls(version, code.checksum, code.digest, code.packages, opt) if code is not None else cls(version)

    @classmethod
    def read(cls, text: str) -> Ran:
        """From a record."""
        return cls(*("" if word == "-" else word for word in text.split()))

    @property
    def text(self) -> str:
        """As a record keeps it."""
        return " ".join(word or "-" for word in self)

    @property
    def digests(self) -> list[str]:
        """Of all that it takes to run it again."""
        return [digest for digest in self[2:] if digest]


def request_of(kept: Sequence[Any] | None) -> HttpRequest | None:
    """The request of an HTTP function, as an event keeps it."""
    if kept is None:
        return None
    method, path, uri, client, headers = kept
    return HttpRequest(method, path, uri, client, [(name, value) for name, value in headers])
