"""What limits a function at the moment, in sentences, and what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pyfc.dev.activity import Activity, megabytes, milliseconds, number, share
from pyfc.dev.output import first_line

_MANY_COLD = 0.05
"""Share of the calls from which on cold starts are worth a word."""
_NEARLY_FULL = 0.8
"""Share of its memory that an instance may use before that is told."""
_WHOLE = 90.0
"""Per cent of one processor."""


def sentences(row: Activity, failed: list[dict[str, Any]], slowest: list[dict[str, Any]], minutes: int) -> list[str]:
    """Of a function: how it is, what limits it, with the command that tells more. `failed`: records of its newest calls
    that failed in the last so many minutes; `slowest`: of those that took longest.
    """
    told = [line for found in (_errors(row, failed, minutes), _crowd(row), _cold(row), _use(row)) for line in found]
    return [
        _summary(row),
        "",
        *(told or ["Nothing limits it: no call failed, was refused or waits, and few are cold."]),
        *_slow(row, slowest, minutes),
        "",
        f"More: pyfc stats {row.name}    pyfc requests {row.name} --slow    pyfc logs {row.name}",
    ]


def _summary(row: Activity) -> str:
    durations = f"; half ran at most {milliseconds(row.p50)}, 99% {milliseconds(row.p99)}" if row.p50 else ""
    running = f", which run {row.running}" if row.running else ""
    return (
        f"{row.calls} calls in the last minute ({number(row.rate)} a second{durations}). "
        f"Instances: {len(row.instances)}{running}."
    )


def _errors(row: Activity, failed: list[dict[str, Any]], minutes: int) -> Iterator[str]:
    if row.throttled:
        yield (
            f"{row.throttled} of {row.calls} calls were refused, since too many came at once: the limit of the function"
            " or of the server is reached. Asynchronous calls wait instead."
        )
        yield f"  pyfc provision {row.name}"
    kinds = Counter(str(each["errorType"] or each["status"]) for each in failed)
    for kind, count in kinds.most_common(3):
        last = next(each for each in failed if str(each["errorType"] or each["status"]) == kind)
        said = f": {first_line(last['fault'])}" if last.get("fault") else ""
        yield f"Of its {len(failed)} newest failed calls in {minutes} minutes {count} had {kind}{said}"
        yield f"  pyfc why {last['requestId']}"


def _crowd(row: Activity) -> Iterator[str]:
    if row.waiting:
        yield f"{row.waiting} calls wait for an instance now: all {len(row.instances)} are busy or starting."
    if row.backlog:
        yield f"{row.backlog} asynchronous calls have not ended: they wait, are delayed or run."
        yield "  pyfc events"


def _cold(row: Activity) -> Iterator[str]:
    if row.cold and row.cold >= _MANY_COLD * row.calls:
        yield f"{row.cold} of {row.calls} calls were cold starts ({share(row.cold, row.calls)})."
        yield f"  pyfc explain {row.name}"


def _use(row: Activity) -> Iterator[str]:
    most = max((each.memory for each in row.instances), default=0.0)
    if most > _NEARLY_FULL * row.limit:
        yield f"An instance uses {megabytes(most)} of {row.limit} MB: it is ended when it needs more."
        yield f"  pyfc tune {row.name} -e EVENT"
    busy = sum((each.cpu or 0.0) > _WHOLE for each in row.instances)
    if busy:
        yield f"{busy} of {len(row.instances)} instances use a whole processor: its calls compute, they do not wait."


def _slow(row: Activity, slowest: list[dict[str, Any]], minutes: int) -> Iterator[str]:
    for each in slowest[:1]:
        took, waited = (milliseconds(float(each.get(key) or 0)) for key in ("durationMs", "waitedMs"))
        yield f"The slowest call of the last {minutes} minutes ran {took}; before that it had waited {waited}."
        yield f"  pyfc why {each['requestId']}"
