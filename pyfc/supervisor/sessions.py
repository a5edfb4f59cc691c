"""Sessions of one function version: which there are, and how they begin and end.

A session begins with its first call, or when it is asked for, and ends after its `ttl`, when it has had no call for its
`idle_timeout`, or when it is deleted. Sessions live in memory, as what they are for does; one whose instance has died
goes on in a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyfc.errors import SessionAlreadyExists, SessionExpired, SessionNotFound
from pyfc.model.affinity import Affinity
from pyfc.supervisor.pool import Pool

_MOST_ENDED = 1000
"""Sessions that are told of when they have ended."""
_LEAST_PAUSE = 0.05
"""Seconds between two looks for sessions that have ended."""
_monotonic = time.monotonic


@dataclass(slots=True, kw_only=True)
class Session:
    """One session. `began` and `used` are seconds of the monotonic clock, `created` and `modified` since the epoch."""

    id: str
    qualifier: str
    ttl: int
    idle_timeout: int
    forbids_reuse: bool
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What else was declared, in FC's names: it is kept and told."""
    home: Pool
    began: float
    used: float
    created: float
    modified: float
    has_ended: bool = False
    instance: str = ""
    """The instance that it has, or had last."""

    @property
    def ends(self) -> float:
        """When it ends if it gets no further call."""
        whole = self.began + self.ttl
        return min(whole, self.used + self.idle_timeout) if self.idle_timeout else whole

    def see(self) -> None:
        """Remember the instance that it has."""
        self.instance = next((each.id for each in self.home.roster.instances), self.instance)


class Sessions:
    """Those that last, and the newest that have ended. `home` finds or makes the pool of a new one, by how many each
    has, and raises ResourceExhausted; `left` hears of one that has none any more.
    """

    def __init__(
        self,
        function: str,
        affinity: Affinity,
        home: Callable[[Mapping[Pool, int]], Pool],
        left: Callable[[Pool], None],
    ) -> None:
        self._function = function
        self._affinity = affinity
        self._home = home
        self._left = left
        self._lasting: dict[str, Session] = {}
        self._ended: dict[str, Session] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._lasting)

    def live_in(self, home: Pool) -> bool:
        """Whether there is one."""
        return any(session.home is home for session in self._lasting.values())

    def used(self, name: str, qualifier: str) -> Session:
        """The session of a call. Raises as `begin` does."""
        session = self._lasting.get(name) or self.begin(name, qualifier)
        session.used = _monotonic()
        return session

    def begin(self, name: str, qualifier: str, *, is_new: bool = False, **wishes: Any) -> Session:
        """A session of this name. `wishes`: its fields that are not the function's, None for those that are. Raises
        SessionExpired for one that cannot be begun again, ResourceExhausted where there is no instance for it; with
        `is_new` SessionAlreadyExists.
        """
        if is_new and name in self._lasting:
            raise SessionAlreadyExists(session=name)
        old = self._ended.get(name)
        if old is not None and old.forbids_reuse:
            raise SessionExpired(session=name)
        affinity, now, wall = self._affinity, _monotonic(), time.time()
        fields = {
            "ttl": affinity.ttl, "idle_timeout": affinity.idle_timeout, "forbids_reuse": affinity.forbids_reuse,
            **{name: wish for name, wish in wishes.items() if wish is not None},
        }  # fmt: skip
        home = self._home(Counter(each.home for each in self._lasting.values()))
        session = Session(
            id=name, qualifier=qualifier, home=home, began=now, used=now, created=wall,
            modified=wall, **fields,
        )  # fmt: skip
        self._ended.pop(name, None)
        self._lasting[name] = session
        self._arm()
        return session

    def find(self, name: str) -> Session:
        """A session that lasts, or has ended. Raises SessionNotFound."""
        session = self._lasting.get(name) or self._ended.get(name)
        if session is None:
            raise SessionNotFound(session=name, function=self._function)
        session.see()
        return session

    def all(self) -> list[Session]:
        """In the order in which they began."""
        found = [*self._lasting.values(), *self._ended.values()]
        for session in found:
            session.see()
        return sorted(found, key=lambda each: each.created)

    def change(self, name: str, **wishes: Any) -> Session:
        """Change fields of a session, None for what stays. Raises SessionNotFound, SessionExpired."""
        session = self.find(name)
        if session.has_ended:
            raise SessionExpired(session=name)
        for field_name, wish in wishes.items():
            if wish is not None:
                setattr(session, field_name, wish)
        session.modified = time.time()
        self._arm()
        return session

    def delete(self, name: str) -> None:
        """End a session now; calls that it has made are answered. Raises SessionNotFound."""
        session = self.find(name)
        if not session.has_ended:
            self._end(session)
        if not session.forbids_reuse:
            del self._ended[name]

    def forget(self, session: Session) -> None:
        """It could not begin."""
        self._end(session)
        del self._ended[session.id]

    def close(self) -> None:
        """Nobody looks for ends any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, session: Session) -> None:
        session.see()
        session.has_ended = True
        del self._lasting[session.id]
        while len(self._ended) >= _MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = session
        if not self.live_in(session.home):
            self._left(session.home)

    def _arm(self) -> None:
        """Look again when the next session may end."""
        self.close()
        soonest = min((session.ends for session in self._lasting.values()), default=None)
        if soonest is not None:
            pause = max(_LEAST_PAUSE, soonest - _monotonic())
            self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    def _look(self) -> None:
        now = _monotonic()
        for session in list(self._lasting.values()):
            if session.ends > now:
                continue
            if session.began + session.ttl > now and _has_call(session):
                session.used = now
            else:
                self._end(session)
        self._arm()


def _has_call(session: Session) -> bool:
    """Whether a call of it runs, or waits."""
    home = session.home
    links = [instance.link for instance in home.roster.instances if instance.link is not None]
    running = [flight.call for link in links for flight in link.in_flight.values()]
    return any(call.session == session.id for call in (*running, *(waiter.call for waiter in home.waiting)))
