"""What asynchronous calls count for in the metrics of their functions."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pyfc.dispatch.counts import Counts
from pyfc.dispatch.outcomes import message, next_event
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import LATEST, Target
from pyfc.observe.metrics.counting import Counting
from pyfc.observe.metrics.point import Series
from pyfc.settings import Settings

ONE = Target("s", "one")
SERIES = Series("s", "one", LATEST)
QUEUE = "acs:mns:cn-hangzhou:1:/queues/q/messages"


def event(status: Status = Status.ENQUEUED, ended: float = 0.0, *, runs: tuple[float, ...] = ()) -> Event:
    """One that came at second 100."""
    made = Event(id="a", request_id="a", target=ONE, payload=b"x", enqueued=100.0)
    for moment in runs:
        made.note(Status.RUNNING, moment)
    made.ended = ended
    made.note(status, ended or 100.0)
    return made


def follower(address: str, status: Status = Status.ENQUEUED) -> Event:
    """The message about a call of ONE that goes to an address."""
    about = event(Status.SUCCEEDED, 101.0)
    made = next_event(address, message(about, Settings(), Status.SUCCEEDED), about, "1")
    assert made is not None
    made.note(status, 102.0)
    return made


class Noted:
    def __init__(self) -> None:
        self.counting = Counting()
        self.counts = Counts(self.counting.note)

    def of(self, series: Series = SERIES) -> Mapping[str, int]:
        return self.counting.take()[0][series].values


def test_an_event_waits_from_its_coming_to_its_first_run() -> None:
    noted = Noted()
    noted.counts.arrived(event())
    noted.counts.arrived(event())
    noted.counts.settled(event(Status.SUCCEEDED, 109.0, runs=(100.25, 105.0)))
    noted.counts.settled(event(Status.FAILED, 102.0, runs=(101.0,)))

    assert noted.of() == {
        "enqueued": 2, "dequeued": 2, "async_wait_us": 1_250_000, "async_wait_max_us": 1_000_000,
    }  # fmt: skip


def test_an_event_that_is_too_old_waits_to_its_end_and_counts_as_expired() -> None:
    noted = Noted()
    noted.counts.settled(event(Status.EXPIRED, 160.0))

    assert noted.of() == {
        "dequeued": 1, "expired": 1, "async_wait_us": 60_000_000, "async_wait_max_us": 60_000_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "field"),
    [
        (Status.SUCCEEDED, "destination_successes"),
        (Status.FAILED, "destination_errors"),
        (Status.EXPIRED, "destination_errors"),
    ],
)
def test_a_message_to_a_destination_counts_for_the_function_that_it_is_about(status: Status, field: str) -> None:
    noted = Noted()
    noted.counts.arrived(follower(QUEUE))
    noted.counts.followed(follower(QUEUE))
    noted.counts.settled(follower(QUEUE, status))

    assert noted.of() == {field: 1}


def test_a_function_that_is_a_destination_has_its_message_when_that_is_in_the_queue() -> None:
    noted = Noted()
    other = follower("acs:fc:cn-hangzhou:1:services/s/functions/other")
    noted.counts.followed(other)
    noted.counts.arrived(other)

    points, _ = noted.counting.take()
    assert {series.function: point.values for series, point in points.items()} == {
        "one": {"destination_successes": 1},
        "other": {"enqueued": 1},
    }


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{", b'{"requestContext": {}}', b'{"requestContext": {"functionArn": 7}}']
)
def test_what_is_no_message_about_a_call_counts_for_nobody(payload: bytes) -> None:
    noted = Noted()
    noted.counts.settled(Event(id="a", request_id="a", target=Target("", ""), payload=payload, address=QUEUE))

    assert noted.counting.take()[0] == {}
