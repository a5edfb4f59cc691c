"""Sources of events: what fires the triggers of one type. A source knows nothing of queues, functions and calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pyfc.errors import InvalidArgument, PyfcError
from pyfc.model.asynchronous import Event, Status
from pyfc.model.invocation import Trace
from pyfc.model.trigger import Trigger

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """Names a trigger."""

    service: str
    function: str
    name: str

    @classmethod
    def of(cls, trigger: Trigger) -> Key:
        """That of a trigger."""
        return cls(trigger.service, trigger.function, trigger.name)


class Firing(NamedTuple):
    """A trigger fires."""

    trigger: Trigger
    payload: bytes
    """The event."""
    identity: str
    """Always the same for what happened: a source that is not sure whether it has told it tells it again."""
    mark: str
    """What is remembered of the trigger in the same step, instead of what was; '' for that."""
    depth: int = 0
    """How many calls led to it."""
    is_held: bool = False
    """Whether it is no call yet: its source takes it back (see Holding) and fires once for several."""
    trace: Trace | None = None
    """What of an OpenTracing trace the calls had that led to it."""


class Emit(Protocol):
    """The one way from a source into the queue."""

    async def __call__(self, *firings: Firing) -> None:
        """Returns when the calls are promised, in this order, and what was to be remembered is; of all or of none,
        unless one of them was told before. Raises PyfcError.
        """


class Holding(Protocol):
    """What was fired and is held for its source."""

    async def take(self, key: Key, limit: int) -> Sequence[Event]:
        """The first of what is held for a trigger, in order; nobody else gets it then. Raises PyfcError."""

    async def release(self, events: Sequence[Event], firing: Firing | None) -> str:
        """Forget what was taken, and in the same step promise the call that it has led to, whose request id is
        returned ('' without one). Raises PyfcError: then it is to be tried again.
        """

    async def calls(self, key: Key) -> Mapping[str, Status]:
        """The calls of a trigger that have not ended or were given up, by their request ids. Raises PyfcError."""


class State(NamedTuple):
    """How a trigger is."""

    is_enabled: bool = True
    next: float | None = None
    """When it fires the next time, as far as that is known; seconds since the epoch."""
    error: str = ""
    """What keeps it from firing."""
    is_stopped: bool = False
    """Whether it has stopped at something, and somebody has to say that it goes on."""


@runtime_checkable
class Pacing(Protocol):
    """A source to which it matters what becomes of the calls of its triggers."""

    def heard(self, key: Key, number: str, status: Status | None) -> None:
        """Something has become of a call, by its request id; None: its record was dropped."""


class Source(Protocol):
    """The source of one type of triggers."""

    @property
    def type(self) -> str:
        """The type's name."""

    def use(self, triggers: Mapping[Key, Trigger], marks: Mapping[Key, str]) -> Mapping[Key, str]:
        """From now on these are there. `marks`: what was remembered of those that were there before the server was
        started, and of others (of every type) that have not come back yet; nothing of new ones. What is to be
        remembered of some from now on.
        """

    async def run(self) -> None:
        """Fire, until it is cancelled. When it fails it is called again, after a while."""

    def state(self, key: Key) -> State:
        """How one of them is."""

    def upcoming(self, key: Key, count: int) -> Sequence[float]:
        """When it fires the next times, as far as that is known."""


class Watched(Protocol):
    """What a source keeps of a trigger that it fires."""

    @property
    def error(self) -> str:
        """What keeps it from firing now."""


def state_of(watched: Watched | None, error: str, absent: str = "") -> State:
    """How a trigger is: `watched`, or not taken into use for an error, or switched off. `absent`: what it is for and is
    not there, see deleted.
    """
    error = error or (watched.error or absent if watched is not None else "")
    return State(watched is not None or bool(error), None, error)


def failed(key: Key, error: Exception) -> str:
    """What keeps a trigger from firing. A mistake of ours is in the log too, and must not end the firing."""
    if not isinstance(error, PyfcError):
        _log.error("the trigger %s could not fire", "/".join(key), exc_info=error)
    return str(error) or type(error).__name__


def deleted(what: str) -> str:
    """Why a trigger does not fire whose bucket, queue or the like somebody has deleted."""
    return f"{what} is not there: it was deleted, and the trigger fires again when it is made"


def option(config: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A property of a trigger's configuration, whatever the case of its letters: clients send those of the template."""
    for key, value in config.items():
        if key.lower() == name.lower():
            return value
    return default


def within(config: Mapping[str, Any], outer: str, name: str) -> Any:
    """A property of one of the objects in a configuration."""
    return option(option(config, outer) or {}, name)


def is_enabled(config: Mapping[str, Any]) -> bool:
    """Whether a trigger is switched on."""
    value = option(config, "enable", default=True)
    return value if isinstance(value, bool) else str(value).lower() not in {"false", "0", "no", "off"}


def wrong(name: str, found: object, reason: str) -> InvalidArgument:
    """A property of a configuration that cannot be used."""
    return InvalidArgument(message=f"triggerConfig.{name} is {found!r}: {reason}")
