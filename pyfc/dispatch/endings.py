"""What becomes of an event: it is tried again, or it has ended, with the message to its destination in the same step.

What succeeded is forgotten unless it is stateful; what was given up keeps its payload, error and log: a dead letter,
until somebody drops or retries it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pyfc.dispatch.outcomes import message, next_event
from pyfc.dispatch.persistence import report
from pyfc.model.asynchronous import Event, Policy, Ran, Status
from pyfc.queues.interface import Outcome
from pyfc.settings import Settings

_log = logging.getLogger(__name__)


class Endings:
    """Decides; `write` makes an outcome durable, `now` is the queue's time."""

    def __init__(self, settings: Settings, now: Callable[[], float], write: Callable[[Outcome], None]) -> None:
        self._settings = settings
        self._now = now
        self._write = write
        self.kept_codes: set[str] = set()
        """Digests of the code of events that were given up: it stays, so that they can be replayed."""

    def keep_code(self, event: Event) -> None:
        """Of an event that was given up."""
        try:
            self.kept_codes.update(Ran.read(event.version).digests)
        except TypeError as error:
            report(f"what has run {event.request_id} can not be told from its record", error)

    def is_too_old(self, event: Event, policy: Policy) -> bool:
        """Whether it is older than its function allows."""
        return 0 < policy.maximum_age < self._now() - event.born

    def retry(self, event: Event, policy: Policy = Policy()) -> None:  # noqa: B008  it is immutable
        """Later, since it failed by itself."""
        event.due = self._now() + policy.delay(event.attempts, self._settings.async_retry_delay)
        event.note(Status.RETRYING, time.time(), event.error)
        self._write(Outcome(event))

    def finish(self, event: Event, status: Status, policy: Policy = Policy()) -> None:  # noqa: B008  it is immutable
        """It has ended. `policy`: says where that is told."""
        event.ended = time.time()
        event.note(status, event.ended, event.error)
        if status is not Status.SUCCEEDED:
            self.keep_code(event)
        also = self._followers(event, status, policy) if not event.address and status is not Status.STOPPED else []
        self._write(Outcome(event, also, forget=status is Status.SUCCEEDED and not event.is_stateful))

    def _followers(self, event: Event, status: Status, policy: Policy) -> list[Event]:
        """What its end leads to: a message about it, and the event itself where it is given up."""
        is_done = status is Status.SUCCEEDED
        texts: list[tuple[str, bytes]] = []
        if address := policy.on_success if is_done else policy.on_failure:
            texts.append((address, message(event, self._settings, status)))
        if policy.dead_letters and not is_done:
            texts.append((policy.dead_letters, event.payload))
        made = [next_event(address, text, event, self._settings.account_id) for address, text in texts]
        if None in made:
            _log.warning("%s: destinations have led to it %s times, it ends there", event.target, event.depth)
        return [each for each in made if each is not None]
