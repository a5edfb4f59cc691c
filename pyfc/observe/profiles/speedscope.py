"""What profilers tell becomes a document of speedscope's format. A profiler has looked into a process that a function
writes: what it tells is checked like what a stranger has sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pyfc.version import VERSION

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_MOST_FRAMES = 50_000
_MOST_SAMPLES = 200_000
"""Of all threads together: half an hour of one."""
_MOST_THREADS = 256
_DEEPEST = 1000
_LONGEST = 500
"""Characters of a name."""
_MICROSECONDS = 1e6


class Frame(NamedTuple):
    """A function on a stack."""

    name: str
    file: str
    line: int
    """0 if nobody knows."""

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Thread(NamedTuple):
    """What was seen of one thread: stacks of frames, the outermost first, and for how many seconds each counts."""

    name: str
    samples: list[list[int]]
    weights: list[float]


class Stacks(NamedTuple):
    """A profile."""

    frames: list[Frame]
    threads: list[Thread]

    @property
    def seconds(self) -> float:
        """How long was looked at something that ran, all threads together."""
        return sum(sum(thread.weights) for thread in self.threads)


class _File(msgspec.Struct):
    """A document of speedscope, as far as it is read."""

    class Shared(msgspec.Struct):
        frames: list[_Frame]

    class Part(msgspec.Struct):
        name: str
        samples: list[list[int]]
        weights: list[float]
        unit: str = "seconds"

    shared: Shared
    profiles: list[Part]


class _Frame(msgspec.Struct):
    name: str
    file: str | None = ""
    line: int | None = 0


class _CallFrame(msgspec.Struct, rename="camel"):
    function_name: str = ""
    url: str = ""
    line_number: int = -1


class _Node(msgspec.Struct, rename="camel"):
    id: int
    call_frame: _CallFrame
    children: list[int] = []


class _Profile(msgspec.Struct, rename="camel"):
    """What V8's profiler tells."""

    nodes: list[_Node]
    samples: list[int] = []
    time_deltas: list[int] = []


def read(data: bytes) -> Stacks:
    """A document of speedscope, from py-spy or of our own. Raises ValueError for what is none."""
    file = msgspec.json.decode(data, type=_File)
    frames = [Frame(each.name, each.file or "", each.line or 0) for each in file.shared.frames]
    unit = {"seconds": 1.0, "milliseconds": 1000.0}
    threads = []
    for part in file.profiles:
        if part.unit not in unit or len(part.samples) != len(part.weights):
            raise ValueError("its samples and their weights do not belong together")
        threads.append(Thread(part.name, part.samples, [weight / unit[part.unit] for weight in part.weights]))
    return _checked(Stacks(frames, threads))


def read_v8(data: bytes) -> Stacks:
    """What V8's profiler tells, without the time in which nothing ran. Raises ValueError for what is none."""
    profile = msgspec.json.decode(data, type=_Profile)
    if len(profile.nodes) > _MOST_FRAMES:
        raise ValueError("it has too many frames")
    numbers: dict[Frame, int] = {}
    frame_of: dict[int, int] = {}
    parent: dict[int, int] = {}
    idle = {-1}
    for node in profile.nodes:
        told = node.call_frame
        if told.function_name in {"(root)", "(idle)", "(program)"} and not told.url:
            idle.add(node.id)
        name, file = told.function_name or "(anonymous)", told.url.removeprefix("file://")
        frame = Frame(name, file, max(told.line_number + 1, 0))
        frame_of[node.id] = numbers.setdefault(frame, len(numbers))
        parent.update(dict.fromkeys(node.children, node.id))
    samples: list[list[int]] = []
    weights: list[float] = []
    stacks: dict[int, list[int]] = {}
    for number, delta in zip(profile.samples, [*profile.time_deltas[1:], 0], strict=False):
        if number in idle or delta <= 0:
            continue
        if number not in stacks:
            stacks[number] = _stack(number, parent, frame_of, idle)
        samples.append(stacks[number])
        weights.append(delta / _MICROSECONDS)
    return _checked(Stacks(list(numbers), [Thread("main", samples, weights)]))


def _stack(number: int, parent: dict[int, int], frame_of: dict[int, int], idle: set[int]) -> list[int]:
    """Raises ValueError for a circle, or a node that there is not."""
    found: list[int] = []
    while number not in idle:
        if number not in frame_of or len(found) > _DEEPEST:
            raise ValueError("its stacks have no root")
        found.append(frame_of[number])
        number = parent.get(number, -1)
    return found[::-1]


def _checked(stacks: Stacks) -> Stacks:
    """With names that are not too long, and without threads of which nothing was seen."""
    frames, threads = stacks
    samples = sum(len(thread.samples) for thread in threads)
    if len(frames) > _MOST_FRAMES or len(threads) > _MOST_THREADS or samples > _MOST_SAMPLES:
        raise ValueError("there is too much of it")
    for thread in threads:
        _check(thread, len(frames))
    kept = [Thread(_short(name), samples, weights) for name, samples, weights in threads if samples]
    return Stacks([Frame(_short(name), _short(file), line) for name, file, line in frames], kept)


def _check(thread: Thread, frames: int) -> None:
    if not all(0 <= weight < _MICROSECONDS for weight in thread.weights):
        raise ValueError("a sample counts for no time")
    for stack in thread.samples:
        if len(stack) > _DEEPEST + 1 or not all(0 <= number < frames for number in stack):
            raise ValueError("a sample is of frames that there are not")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def document(stacks: Stacks, head: str) -> dict[str, Any]:
    """For speedscope. `head`: what it is of."""
    return {
        "$schema": SCHEMA,
        "name": head,
        "exporter": f"pyfc {VERSION}",
        "activeProfileIndex": 0,
        "shared": {"frames": [_told(frame) for frame in stacks.frames]},
        "profiles": [
            {
                "type": "sampled", "name": name, "unit": "seconds", "startValue": 0, "endValue": sum(weights),
                "samples": samples, "weights": weights,
            }
            for name, samples, weights in stacks.threads
        ],
    }  # fmt: skip


def _told(frame: Frame) -> dict[str, Any]:
    return {"name": frame.name, "file": frame.file, **({"line": frame.line} if frame.line else {})}


class Share(NamedTuple):
    """How long one function was seen."""

    frame: Frame
    own: float
    """Seconds in which it ran itself."""
    total: float
    """With what it has called."""


def hottest(stacks: Stacks, most: int) -> Sequence[Share]:
    """The functions that ran longest themselves."""
    own: dict[int, float] = {}
    total: dict[int, float] = {}
    for thread in stacks.threads:
        for stack, weight in zip(thread.samples, thread.weights, strict=True):
            if stack:
                own[stack[-1]] = own.get(stack[-1], 0.0) + weight
            for number in set(stack):
                total[number] = total.get(number, 0.0) + weight
    order = sorted(own, key=lambda number: -own[number])[:most]
    return [Share(stacks.frames[number], own[number], total[number]) for number in order]
