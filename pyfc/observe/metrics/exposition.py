"""What was counted, as Prometheus reads it: the text format 0.0.4, or OpenMetrics 1.0.0, whose lines may name a call
that stands for others (an exemplar).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from pyfc.observe.metrics.buckets import HIGHEST, OFFSET, PER_DOUBLING, Buckets, longest
from pyfc.observe.metrics.point import OUTCOMES, Point, Series
from pyfc.observe.metrics.totals import Example, Totals

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_EDGES = [OFFSET + PER_DOUBLING * power for power in range(-10, 11)]
"""Buckets whose longest duration is told of: from a 1024th of a second to 1024 seconds, each twice the one before."""
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_WORDS = {
    "": "success",
    "function_errors": "function_error",
    "client_errors": "client_error",
    "throttles": "throttled",
    "resource_throttles": "resource_throttled",
    "server_errors": "server_error",
}
_PHASES = {
    "prepare_code_us": "PrepareCode",
    "runtime_initialize_us": "RuntimeInitialize",
    "initializer_us": "Initializer",
}
_DELIVERED = {"success": "destination_successes", "error": "destination_errors"}
_MICRO, _MEBI = 1e-6, 1024 * 1024


class Family(NamedTuple):
    """Samples of one name. `samples`: labels and value of each; a counter's name is told with `_total`."""

    name: str
    kind: str
    """`counter` or `gauge`."""
    told: str
    """What it is, in a sentence."""
    samples: Iterable[tuple[Mapping[str, str], float]]


def labels(names: Mapping[str, str]) -> str:
    """Labels as they stand in a line; whatever they hold, they end with it."""
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in names.items())


def exposition(totals: Totals, others: Iterable[Family], *, is_open: bool, has_examples: bool) -> Iterator[str]:
    """The text, in parts. `is_open`: in OpenMetrics; `has_examples`: with exemplars, which need that."""
    marked = _Marked(totals, is_open=is_open, has_examples=has_examples and is_open)
    yield from marked.invocations()
    for name, told, buckets, total in _HISTOGRAMS:
        yield from marked.histogram(name, told, buckets, total)
    for family in (*_families(totals), *others):
        yield from marked.family(family)
    if is_open:
        yield "# EOF\n"


def _duration_us(point: Point) -> int:
    return point["duration_us"]


def _latency_us(point: Point) -> int:
    return point["duration_us"] + point["wait_us"]


_HISTOGRAMS: tuple[tuple[str, str, Callable[[Point], Buckets], Callable[[Point], int]], ...] = (
    ("pyfc_invocation_duration_seconds", "How long calls ran.", lambda point: point.durations, _duration_us),
    (
        "pyfc_invocation_latency_seconds",
        "How long calls took from their arrival, with what they waited for an instance.",
        lambda point: point.latencies,
        _latency_us,
    ),
)


def named(series: Series) -> dict[str, str]:
    """The labels of a series."""
    return {"service": series.service, "function": series.function, "qualifier": series.qualifier}


def _families(totals: Totals) -> Iterator[Family]:
    """Those that have one number of each point."""
    points = totals.points

    def of(field: str, factor: float) -> list[tuple[Mapping[str, str], float]]:
        return [(named(series), point[field] * factor) for series, point in points.items() if point[field]]

    phases = [
        ({**named(series), "phase": phase}, point[field] * _MICRO)
        for series, point in points.items()
        if point["cold_starts"]
        for field, phase in _PHASES.items()
    ]
    yield Family("pyfc_cold_starts", "counter", "Calls for which an instance was started.", of("cold_starts", 1))
    yield Family("pyfc_cold_start_seconds", "counter", "What they waited for, by phase.", phases)
    yield Family("pyfc_billed_seconds", "counter", "Durations, each rounded up to a ms.", of("billed_ms", 1e-3))
    yield Family("pyfc_active_seconds", "counter", "Time in which instances ran calls.", of("active_ms", 1e-3))
    yield Family(
        "pyfc_vcpu_seconds",
        "counter",
        "Time in which instances ran calls, times the vCPU that were declared.",
        of("vcpu_ms", _MICRO),
    )
    yield Family(
        "pyfc_memory_byte_seconds",
        "counter",
        "Time in which instances ran calls, times the memory that was declared.",
        of("memory_mb_ms", _MEBI * 1e-3),
    )
    yield Family("pyfc_async_enqueued", "counter", "Asynchronous calls that were promised.", of("enqueued", 1))
    yield Family("pyfc_async_ended", "counter", "Asynchronous calls that have ended.", of("dequeued", 1))
    yield Family("pyfc_async_expired", "counter", "Those of them that were too old to run.", of("expired", 1))
    waited = of("async_wait_us", _MICRO)
    yield Family("pyfc_async_wait_seconds", "counter", "What those that have ended waited for their first run.", waited)
    delivered = [
        ({**named(series), "outcome": outcome}, point[field])
        for series, point in points.items()
        for outcome, field in _DELIVERED.items()
        if point[field]
    ]
    yield Family("pyfc_destination_messages", "counter", "Messages about asynchronous calls.", delivered)
    yield Family("pyfc_memory_limit_bytes", "gauge", "The memory that was declared.", of("memory_limit_mb", _MEBI))
    yield Family("pyfc_memory_peak_bytes", "gauge", "The most that an instance has held.", of("memory_max_kb", 1024))


class _Marked:
    """Lines in one of the two formats."""

    def __init__(self, totals: Totals, *, is_open: bool, has_examples: bool) -> None:
        self._totals = totals
        self._is_open = is_open
        self._has_examples = has_examples

    def _head(self, name: str, kind: str, told: str) -> str:
        whole = f"{name}_total" if kind == "counter" and not self._is_open else name
        return f"# HELP {whole} {told}\n# TYPE {whole} {kind}\n"

    def family(self, family: Family) -> Iterator[str]:
        """Head and samples, if there are any."""
        ending = "_total" if family.kind == "counter" else ""
        samples = list(family.samples)
        if samples:
            yield self._head(family.name, family.kind, family.told)
        for names, value in samples:
            told = f"{{{labels(names)}}}" if names else ""
            yield f"{family.name}{ending}{told} {_number(value)}\n"

    def invocations(self) -> Iterator[str]:
        """By outcome: that a function succeeded is always told."""
        if self._totals.points:
            yield self._head("pyfc_invocations", "counter", "Calls, by what became of them.")
        for series, point in self._totals.points.items():
            counts = {outcome: point[outcome] for outcome in OUTCOMES if point[outcome]}
            counts = {"": point["invocations"] - sum(counts.values()), **counts}
            for outcome, count in counts.items():
                names = labels({**named(series), "outcome": _WORDS[outcome]})
                found = self._totals.examples.get(series, {}).get(outcome)
                yield f"pyfc_invocations_total{{{names}}} {count}{self._example(found, 1)}\n"

    def histogram(
        self, name: str, told: str, buckets: Callable[[Point], Buckets], total: Callable[[Point], int]
    ) -> Iterator[str]:
        """Of each series one; its sum is in microseconds."""
        points = {series: point for series, point in self._totals.points.items() if point.runs}
        if points:
            yield self._head(name, "histogram", told)
        for series, point in points.items():
            examples = self._totals.examples.get(series, {}) if name.endswith("duration_seconds") else {}
            yield self._one_histogram(name, labels(named(series)), buckets(point), examples) + (
                f"{name}_sum{{{labels(named(series))}}} {_number(total(point) * _MICRO)}\n"
                f"{name}_count{{{labels(named(series))}}} {point.runs}\n"
            )

    def _one_histogram(self, name: str, own: str, counts: Buckets, examples: Mapping[str, Example]) -> str:
        lines, numbers, seen, least = [], sorted(counts, reverse=True), 0, 0.0
        for edge in (*_EDGES, HIGHEST):
            while numbers and numbers[-1] <= edge:
                seen += counts[numbers.pop()]
            most = longest(edge)
            within = next((each for each in examples.values() if each.is_within(least, most)), None)
            bound = "+Inf" if most == math.inf else repr(most)
            lines.append(f'{name}_bucket{{{own},le="{bound}"}} {seen}{self._example(within)}\n')
            least = most
        return "".join(lines)

    def _example(self, found: Example | None, value: float | None = None) -> str:
        """An exemplar; its value is the duration of the call if no other is given."""
        if found is None or not self._has_examples:
            return ""
        told = found.duration or 0.0 if value is None else value
        return f" # {{{labels({'request_id': found.request_id})}}} {_number(told)} {found.time:.3f}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}" if abs(value) < 1e8 else repr(value)


def wants_open(accept: str) -> bool:
    """Whether an Accept header prefers OpenMetrics to the text format."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for each in accept[:1000].split(","):
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        if kind in best:
            best[kind] = max(best[kind], _quality(parameters))
    return best["application/openmetrics-text"] > 0 and best["application/openmetrics-text"] >= best["text/plain"]


def _quality(parameters: Iterable[str]) -> float:
    text = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return float(text)
    except ValueError:
        return 0.0
