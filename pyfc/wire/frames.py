"""The frames between supervisor, zygote and worker: declarations only. runtimes/README.md explains each of them.

    frame = u32 length | u8 type | u32 call id | u16 header length | msgpack header | raw payload

Integers are big-endian; `length` counts what follows it; call id 0 means none. A header is a msgpack array whose
items are the fields below, in order: a reader ignores items beyond those it knows and frame types it does not know,
so fields are only ever appended.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

VERSION = 1
PREFIX = struct.Struct(">IBIH")
"""Length, type, call id, header length."""
MAXIMUM_UNARY = 1024 * 1024
"""Most payload bytes of an Invoke, Reply, Ready, End or HookDone; what is left follows in Data frames."""
MAXIMUM_DATA = 256 * 1024
"""Most payload bytes of a Data frame, and the first credit, which needs no frame."""
MAXIMUM_HEADER = 65535
MAXIMUM_FRAME = PREFIX.size - 4 + MAXIMUM_HEADER + MAXIMUM_UNARY
"""Largest legal value of `length`."""

INIT, INVOKE, DATA, CREDIT, CANCEL, HOOK, STOP = range(1, 8)
HELLO, READY, REPLY, END, HOOK_DONE, LOG = range(16, 22)
FORK, SHUTDOWN, KEEP, BEAR, EXEC, FURNISH = range(32, 38)
FORKED, EXITED, NESTED, FURNISHED = range(48, 52)

Fault = tuple[str, str, str]
"""Kind (`UNHANDLED` or `HANDLED`), message, type. The payload of the same frame is the language's error JSON. Of kind
`PLATFORM` the type is one of FC's error codes, with which the call is refused.
"""


class Init(NamedTuple):
    """To the worker, once, after its Hello: what it is to be."""

    handler: str
    initializer: str
    code: str
    """The folder with the function's code."""
    environment: dict[str, str]
    """The whole environment of the worker."""
    context: dict[str, Any]
    """What does not change between calls: credentials, function, service, region, account_id, jaeger_endpoint."""
    packages: list[str]
    """Folders that come last on the module path."""
    cache: str
    """A folder that outlives the instance and belongs to this code alone, for compiled modules; '' for none."""
    source: str
    """The folder the code was deployed from, for messages to its author; '' if it was an archive."""
    concurrency: int
    """Most calls that it is given at once."""
    mark: str
    """With it and the call's id (u32) the worker ends each call's output; '' when nobody looks for marks."""
    sandbox: dict[str, Any]
    """What it settles into before it loads any code of the user: sandbox/sandbox.py writes it,
    sandbox/inside/enter.py does it."""
    template: dict[str, Any]
    """With it the worker is to be a template: `preload`: modules that it imports; `load`: whether it then loads the
    handler's; `snapshot`: whether it runs the initializer. {} for an instance.
    """
    hooks: dict[str, str]
    """Handlers (or the programs of commands) of `preFreeze` and `preStop`, where there are any."""
    debug_port: int = 0
    """Port at which it waits for a debugger before it loads the handler's module; 0 for none."""
    traces: bool = False
    """Ready's payload is a tree of what was imported and how long it took: JSON, [[name, seconds, [...]], ...]."""
    program: dict[str, Any] = {}  # noqa: RUF012  never changed
    """Of a custom runtime: `command`; `port` where it listens; `pulls`, if it asks for its calls instead; `health`,
    FC's customHealthCheckConfig; `hooks`, those that are commands.
    """
    debugger: str = "attach"
    """How it is debugged: `attach`: something attaches at the port; `pycharm`: PyCharm listens there."""
    profiler: str = ""
    """Path of a UNIX socket at which the language's own profiler is had; '' for none (runtimes/README.md)."""


class Invoke(NamedTuple):
    """To the worker: one call. Payload: the event or the request's body, or its first 1 MiB."""

    more: bool
    """Data frames follow until the body has `size` bytes."""
    size: int
    request_id: str
    kind: int
    """0 event, 1 HTTP."""
    attempt: int
    deadline: int
    """Milliseconds since the epoch at which the call times out."""
    http: tuple[Any, ...] | None
    """method, path, request uri, client ip, [[header, value], ...]"""
    trace: tuple[Any, ...] | None
    """Span context ('' for none), {baggage}."""
    alias: str = ""
    """By which the function was called, if by one; else it is not sent."""


class Data(NamedTuple):
    """Both ways: the next bytes of a body."""

    more: bool
    """False in the last of a request's body. A result's body is ended by End."""


class Credit(NamedTuple):
    """Both ways: the reader took `size` bytes of Data of this call; as many more may be sent."""

    size: int


class Cancel(NamedTuple):
    """To the worker: nobody waits for this call any more; what of its body has not been sent never will be."""

    reason: str
    """`disconnected`: the caller has left; `timeout`: answered already (say where it is, in a Log)."""


class Hook(NamedTuple):
    """To the worker: run a lifecycle hook (`initializer`, `preFreeze`, `preStop`)."""

    name: str
    request_id: str


class Hello(NamedTuple):
    """From the worker, first: the wire version it speaks and what it is."""

    version: int
    runtime: str


class Ready(NamedTuple):
    """From the worker: the user's module is loaded, or could not be."""

    fault: Fault | None


class Reply(NamedTuple):
    """From the worker: the answer to a call. Payload: the result, or its first bytes, or the error JSON."""

    more: bool
    """Data frames follow, and then End."""
    size: int | None
    """Bytes of the whole body; None if `more` and nobody knows yet."""
    fault: Fault | None
    status: int
    """HTTP status of an HTTP function, else 200."""
    headers: list[list[str]] | None
    """Response headers of an HTTP function."""
    written: bool = True
    """Whether there is output to be read for this answer; if there are marks, it ends with the call's."""


class End(NamedTuple):
    """From the worker: the end of an answer that came in more than one frame."""

    fault: Fault | None
    """What broke the body off."""
    written: bool = True
    """See Reply."""


class Log(NamedTuple):
    """From the worker: output of one of several calls at once. Payload: the bytes. No fields."""


class HookDone(NamedTuple):
    """From the worker: the hook has run. Payload: the error JSON if it failed."""

    fault: Fault | None


class Fork(NamedTuple):
    """To the zygote, with descriptors (frames in, frames out, output, then tickets to join control groups): fork a
    worker. Call id: the token.
    """

    limits: dict[str, int]
    """Resource limits by the name after RLIMIT_."""


class Keep(NamedTuple):
    """To the zygote, with the descriptor of a control socket: fork a keeper, which serves it. Call id: the token."""

    wish: dict[str, Any]
    """`network`: whether its instances have one."""


class Bear(NamedTuple):
    """To a keeper, with descriptors as for Fork: have its template make a copy of itself. Call id: the token."""

    uid: int
    """The copy's own user as the server sees it; 0 where it keeps the server's."""
    group: str
    """The name of its control groups, '' where there are none."""
    disk: int
    """MB of its /tmp."""
    processes: int
    """Most processes it may have, where no control group counts them; else 0."""


class Exec(NamedTuple):
    """To the zygote, with descriptors as for Fork: fork a worker that settles and becomes another program."""

    limits: dict[str, int]
    """Resource limits by the name after RLIMIT_."""
    sandbox: dict[str, Any]
    """As in Init."""
    argv: list[str]
    environment: dict[str, str]


class Furnish(NamedTuple):
    """To the zygote or a keeper, with the pidfd of a worker that was started before its code was known: show it."""

    sandbox: dict[str, Any]
    """As in Init: of it `digest`, `cache`, `packages` and `opt` count."""


class Furnished(NamedTuple):
    """From the zygote or a keeper: the answer to Furnish."""

    reason: str
    """What failed, in words; '' if nothing did."""


class Forked(NamedTuple):
    """From a zygote or a keeper, with a pidfd where the system has them. A negative pid is the errno of what failed."""

    pid: int
    has_pidfd: bool
    reason: str = ""
    """What failed, in words."""


class Exited(NamedTuple):
    """From the zygote: a worker has ended and was waited for."""

    pid: int
    status: int
    """As from waitpid."""
    peak_memory: int
    """Largest resident size in bytes."""


class Nested(NamedTuple):
    """From the zygote, first: how it and its workers are locked in."""

    mode: str
    """`root`, `user`, `plain` or `off`: see sandbox/inside/enter.py."""
    refused: dict[str, str]
    """Layers that this host refuses, with its words."""
