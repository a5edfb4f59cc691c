"""One call, its answer, and the door every call goes through.

Everything that answers calls is a Route; everything that waits for an answer is a Reply. They are callbacks, not
awaitables, because a task and a future per request cost as much as the whole hand-over to a worker. `invoke` is the
thin awaitable for everyone who is not the gateway.
"""

from __future__ import annotations

import asyncio
import json
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol

from pyfc.errors import Internal, PyfcError
from pyfc.model.bodies import Incoming, Stream
from pyfc.model.names import Target


class Kind(IntEnum):
    """How the function is called."""

    EVENT = 0
    """handler(event, context)"""
    HTTP = 1
    """handler(environ, start_response) or the language's own HTTP form"""


class HttpRequest(NamedTuple):
    """The request of an HTTP function, as the function sees it."""

    method: str
    path: str
    """Decoded path after the function's name, '/' if empty."""
    request_uri: str
    """Path and query as they were sent."""
    client_ip: str
    headers: list[tuple[str, str]]


Trace = tuple[str, dict[str, str]]
"""OpenTracing span context ('' for none) and baggage items, as the caller sent them."""


class Cause(NamedTuple):
    """The event of the queue that a call was made for."""

    event: str
    """Its id."""
    trigger: str
    """The name of the trigger that has fired it, '' for none."""
    queued: float
    """Seconds since it came into the queue."""


class Invocation(NamedTuple):
    """One call of one function."""

    request_id: str
    target: Target
    kind: Kind
    body: bytes
    http: HttpRequest | None = None
    trace: Trace | None = None
    """What of an OpenTracing trace came with it."""
    attempt: int = 0
    incoming: Incoming | None = None
    """What of a large body of an HTTP function is still on its way; then `body` is its beginning."""
    session: str = ""
    """The session that it belongs to, if its function has such (affinity.py)."""
    cause: Cause | None = None
    """Of an asynchronous call."""
    caller_span: int = 0
    """The span that the trace came with, if that is exported: `trace` is then the one that the function goes on from;
    0 for none.
    """

    @property
    def size(self) -> int:
        """Bytes of the whole body."""
        return len(self.body) if self.incoming is None else self.incoming.size


class FaultKind(StrEnum):
    """How user code failed."""

    UNHANDLED = "UNHANDLED"
    HANDLED = "HANDLED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    EXITED = "EXITED"
    INIT_FAILED = "INIT_FAILED"
    PLATFORM = "PLATFORM"
    """FC refuses the call with an error code of its own, the fault's type."""

    @property
    def error_type(self) -> str:
        """The value of FC's header X-Fc-Error-Type."""
        return "HandledInvocationError" if self is FaultKind.HANDLED else "UnhandledInvocationError"

    @property
    def metric_type(self) -> str:
        """The errorType of FC's metrics of requests."""
        return _METRIC_TYPES.get(self.value, "FunctionUnhandledError")


_METRIC_TYPES = {"TIMEOUT": "FunctionTimeoutError", "OUT_OF_MEMORY": "FunctionOOMError"}


class Fault(NamedTuple):
    """A failure of user code; the language's own error JSON is the body of the Result that carries it."""

    kind: FaultKind
    message: str
    type: str = ""

    def document(self) -> bytes:
        """FC's error JSON for a fault that no runtime could put into words itself."""
        fields = {"errorMessage": self.message, "errorType": self.type}
        return json.dumps({key: text for key, text in fields.items() if text}).encode()


class Phases(NamedTuple):
    """What a cold start consisted of, in seconds; FC's names."""

    prepare_code: float
    """Until there is a process in its sandbox with the code in its place."""
    runtime_initialize: float
    """Until the handler's module is loaded."""
    initializer: float


class Start(NamedTuple):
    """How a call that did not begin at once came to its instance."""

    waited: float
    """Seconds from its arrival until it was handed to a worker."""
    why: str
    """What it waited for, in words."""
    phases: Phases | None
    """Of its instance, if it was the first call there."""


class Usage(NamedTuple):
    """What a call used, measured by the supervisor and the kernel, never told by user code."""

    duration: float
    """Seconds from handing the call to the worker until its answer."""
    peak_memory: float
    """Largest resident memory of the instance so far, in MB."""
    cold: bool
    """Whether the call was the first of its instance."""
    instance_id: str
    start: Start | None = None
    """None for a call that began at once."""


class Result(NamedTuple):
    """The answer to one call. `fault` is None on success."""

    fault: Fault | None
    body: bytes | memoryview
    usage: Usage
    status: int = 200
    headers: list[tuple[str, str]] | None = None
    log: bytes = b""
    """What the call wrote to its output, the newest part of it if it wrote very much."""
    startup: bytes = b""
    """What was written while the call's instance was loaded and initialized, with FC's Initialize markers."""
    size: int | None = None
    """In the head of a result that comes in pieces: the bytes of its body, if that is known."""


class Reply(Protocol):
    """Waits for one answer. Called in the loop: exactly one of `result` and `refuse`, exactly once."""

    @property
    def streams(self) -> bool:
        """Whether it takes a result piece by piece; else that is gathered."""

    def head(self, head: Result, stream: Stream) -> None:
        """A result begins whose body comes in pieces, of `head.size` bytes if that is known; `result` ends it."""

    def piece(self, data: bytes | memoryview) -> bool:
        """The next bytes of such a body. False: no more until `stream.resume`."""

    def result(self, result: Result) -> None:
        """The function ran (or failed by its own fault)."""

    def refuse(self, error: PyfcError) -> None:
        """pyfc could not run it."""


class Ticket(Protocol):
    """The caller's hold on a submitted call."""

    def cancel(self) -> bool:
        """Nobody waits any more. True: the call had not begun and never will; False: it runs to its end unheard."""


class Route(Protocol):
    """Something that answers calls: a pool of instances, later a weighted alias or another machine."""

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        """Hand the call over; never waits. Raises PyfcError when the call is refused at once."""


class WholeReply:
    """What Replies share that never get a result in pieces."""

    def head(self, head: Result, stream: Stream) -> None:
        """See Reply."""
        raise Internal(detail="a result in pieces for somebody who wants it whole")

    def piece(self, data: bytes | memoryview) -> bool:
        """See Reply."""
        raise Internal(detail="a piece for somebody who wants the whole")


class _FutureReply(WholeReply):
    streams = False

    def __init__(self, future: asyncio.Future[Result]) -> None:
        self.future = future

    def result(self, result: Result) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def refuse(self, error: PyfcError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


async def invoke(route: Route, call: Invocation) -> Result:
    """Submit one call and wait for its result. Raises PyfcError when it was refused."""
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    ticket = route.submit(call, _FutureReply(future))
    try:
        return await future
    finally:
        if future.cancelled():
            ticket.cancel()
