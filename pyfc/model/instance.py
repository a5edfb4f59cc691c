"""The life of an instance, in one total table.

Rule 1: whatever changes the state of an instance goes through `advance`. Rule 2: every pair of state and event has an
answer, a new state or "cannot happen", which is our own bug and raised as one. How busy an instance is, is a number
(`in_flight`), not a state.
"""

from __future__ import annotations

from enum import Enum

from pyfc.errors import Internal


class State(Enum):
    """Where an instance is in its life."""

    STARTING = "starting"
    """The worker is being started and loads the user's module (RuntimeInitialize)."""
    INITIALIZING = "initializing"
    """The user's initializer runs."""
    READY = "ready"
    """Takes calls."""
    FREEZING = "freezing"
    """Runs its preFreeze hook and takes no call."""
    FROZEN = "frozen"
    """Idle without any use of the processor, until a call thaws it."""
    DRAINING = "draining"
    """Takes no new call and ends with the last of those it has."""
    STOPPING = "stopping"
    """Was told to stop and may clean up."""
    KILLED = "killed"
    """Was sent SIGKILL."""
    STUCK = "stuck"
    """Did not die of SIGKILL in time; its place stays counted."""
    DEAD = "dead"
    """The process is gone."""


class Event(Enum):
    """What happens to an instance."""

    LOADED = "loaded"
    INITIALIZED = "initialized"
    FREEZE = "freeze"
    FROZE = "froze"
    THAW = "thaw"
    RETIRE = "retire"
    STOP = "stop"
    KILL = "kill"
    OVERDUE = "overdue"
    DIED = "died"


_NEXT: dict[State, dict[Event, State]] = {
    State.STARTING: {
        Event.LOADED: State.INITIALIZING,
        Event.INITIALIZED: State.READY,
    },
    State.INITIALIZING: {
        Event.INITIALIZED: State.READY,
    },
    State.READY: {
        Event.FREEZE: State.FREEZING,
        Event.FROZE: State.FROZEN,
        Event.RETIRE: State.DRAINING,
    },
    State.FREEZING: {
        Event.FROZE: State.FROZEN,
        Event.THAW: State.READY,
    },
    State.FROZEN: {
        Event.THAW: State.READY,
    },
    State.DRAINING: {
        Event.RETIRE: State.DRAINING,
    },
    State.STOPPING: {},
    State.KILLED: {
        Event.OVERDUE: State.STUCK,
    },
    State.STUCK: {},
    State.DEAD: {},
}
"""What is particular to a state. What comes from outside comes at any time; what was under way when the
instance was told to end changes nothing any more (`_LATE`).
"""
_ENDING = (State.STOPPING, State.KILLED, State.STUCK, State.DEAD)
_FROM_OUTSIDE = (Event.DIED, Event.KILL, Event.STOP, Event.OVERDUE)
_LATE = (Event.LOADED, Event.INITIALIZED, Event.FREEZE, Event.RETIRE)


def _following(state: State, event: Event) -> State | None:
    """The state after `event`; None if that cannot happen."""
    own = _NEXT[state].get(event)
    if own is not None:
        return own
    if state is State.DEAD:
        return state if event not in {Event.FROZE, Event.THAW} else None
    if event in _FROM_OUTSIDE:
        return _ended(state, event)
    return state if state in _ENDING and event in _LATE else None


def _ended(state: State, event: Event) -> State | None:
    """After what comes at any time."""
    if event is Event.DIED:
        return State.DEAD
    if event is Event.KILL:
        return state if state is State.STUCK else State.KILLED
    if event is Event.STOP:
        return state if state in _ENDING else State.STOPPING
    return state if state is State.STUCK else None


TRANSITIONS: dict[tuple[State, Event], State | None] = {
    (state, event): _following(state, event) for state in State for event in Event
}
"""Every pair; None means that it cannot happen."""


def advance(state: State, event: Event) -> State:
    """The state after `event`. Raises Internal for a pair that cannot happen."""
    following = TRANSITIONS[state, event]
    if following is None:
        raise Internal(detail=f"an instance that is {state.value} was told '{event.value}'")
    return following
