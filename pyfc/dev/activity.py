"""What functions do now, from what the server tells (`Client.overview`): its numbers, and how people read them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Live(NamedTuple):
    """An instance."""

    id: str
    version: str
    state: str
    created: float
    """Seconds since the epoch; 0 if the server does not know."""
    requests: int
    """Calls that it runs."""
    memory: float
    """MB; 0 if nothing is known."""
    cpu: float | None
    """Per cent of one processor since it was asked last; None if it was not, or nothing is known."""


class Activity(NamedTuple):
    """A function. Times are in milliseconds, None without calls."""

    name: str
    rate: float
    """Calls a second."""
    calls: int
    failed: int
    throttled: int
    """Of those that failed."""
    cold: int
    p50: float | None
    p99: float | None
    waiting: int
    backlog: int
    limit: int
    """MB that an instance may have."""
    instances: list[Live]

    @property
    def memory(self) -> float:
        """MB of all instances."""
        return sum(each.memory for each in self.instances)

    @property
    def cpu(self) -> float | None:
        """Per cent of one processor; None if it is not known of any instance."""
        known = [each.cpu for each in self.instances if each.cpu is not None]
        return sum(known) if known else None

    @property
    def running(self) -> int:
        """Calls that run."""
        return sum(each.requests for each in self.instances)


def activities(found: dict[str, Any], before: dict[str, Any] | None) -> list[Activity]:
    """Of each function; `before` is what was told before that. Raises KeyError, TypeError, ValueError for what no
    server of this version tells.
    """
    used = _used(before) if before is not None else None
    past = 0.0 if before is None else float(found["time"]) - float(before["time"])
    return [_activity(str(name), each, found, used, past) for name, each in found["functions"].items()]


def _used(found: dict[str, Any]) -> dict[str, float]:
    """Seconds of processors, by instance."""
    rows = found["functions"].values()
    return {str(each["id"]): float(each["cpuSeconds"] or 0) for row in rows for each in row["instances"]}


def _activity(
    name: str, row: dict[str, Any], found: dict[str, Any], used: dict[str, float] | None, past: float
) -> Activity:
    p50, p99 = (None if row[key] is None else float(row[key]) for key in ("p50Ms", "p99Ms"))
    return Activity(
        name,
        rate=int(row["calls"]) / max(float(found["seconds"]), 1.0),
        calls=int(row["calls"]),
        failed=int(row["failed"]),
        throttled=int(row["throttled"]),
        cold=int(row["coldStarts"]),
        p50=p50,
        p99=p99,
        waiting=int(row["waiting"]),
        backlog=int(row["backlog"]),
        limit=int(row["memorySize"]),
        instances=[_live(each, used, past) for each in row["instances"]],
    )


def _live(each: dict[str, Any], used: dict[str, float] | None, past: float) -> Live:
    cpu = None
    if used is not None and past > 0 and each["cpuSeconds"] is not None:
        cpu = max(float(each["cpuSeconds"]) - used.get(str(each["id"]), 0.0), 0.0) / past * 100
    return Live(
        str(each["id"]), str(each["version"]), str(each["state"]), float(each["created"] or 0),
        int(each["requests"]), float(each["memoryMb"] or 0), cpu,
    )  # fmt: skip


# for people


def number(value: float) -> str:
    """A number of at most six characters; `-` for none at all."""
    if not value:
        return "-"
    if value >= 10_000:
        return f"{value / 1000:.0f}k" if value < 999_500 else f"{value / 1_000_000:.1f}M"
    digits = 0 if isinstance(value, int) or value >= 100 else 1 if value >= 1 else 2
    return f"{value:.{digits}f}"


def share(part: int, whole: int) -> str:
    """Per cent; `-` for none."""
    if not part or not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.1f}%"


def milliseconds(value: float | None) -> str:
    """A time of at most six characters."""
    if value is None:
        return "-"
    return age(value / 1000) if value >= 10_000 else f"{value:.0f}ms" if value >= 100 else f"{value:.1f}ms"


def age(seconds: float) -> str:
    """A time of seconds, minutes, hours or days."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 3 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def megabytes(value: float) -> str:
    """Memory in at most six characters."""
    if not value:
        return "-"
    return f"{value:.0f}MB" if value < 10_000 else f"{value / 1024:.0f}GB"
