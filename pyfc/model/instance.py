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
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.INITIALIZING: {
        Event.INITIALIZED: State.READY,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.READY: {
        Event.FREEZE: State.FREEZING,
        Event.FROZE: State.FROZEN,
        Event.RETIRE: State.DRAINING,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.FREEZING: {
        Event.FROZE: State.FROZEN,
        Event.THAW: State.READY,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.FROZEN: {
        Event.THAW: State.READY,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.DRAINING: {
        Event.RETIRE: State.DRAINING,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.STOPPING: {
        Event.RETIRE: State.STOPPING,
        Event.STOP: State.STOPPING,
        Event.KILL: State.KILLED,
        Event.DIED: State.DEAD,
    },
    State.KILLED: {
        Event.RETIRE: State.KILLED,
        Event.LOADED: State.KILLED,
        Event.INITIALIZED: State.KILLED,
        Event.STOP: State.KILLED,
        Event.KILL: State.KILLED,
        Event.OVERDUE: State.STUCK,
        Event.DIED: State.DEAD,
    },
    State.STUCK: {
        Event.STOP: State.STUCK,
        Event.KILL: State.STUCK,
        Event.OVERDUE: State.STUCK,
        Event.DIED: State.DEAD,
    },
    State.DEAD: {
        Event.STOP: State.DEAD,
        Event.KILL: State.DEAD,
        Event.OVERDUE: State.DEAD,
        Event.DIED: State.DEAD,
    },
}

TRANSITIONS: dict[tuple[State, Event], State | None] = {
    (state, event): _NEXT[state].get(event) for state in State for event in Event
}
"""Every pair; None means that it cannot happen."""


def advance(state: State, event: Event) -> State:
    """The state after `event`. Raises Internal for a pair that cannot happen."""
    following = TRANSITIONS[state, event]
    if following is None:
        raise Internal(detail=f"an instance that is {state.value} was told '{event.value}'")
    return following
