"""What every operation of the management API shares: reading what must be there, writing it if it is still the same,
and telling when it is served.

All operations of a server take their turn, since some need several things to stay as they are meanwhile; what takes
long (unpacking code) comes before. The revisions that a write expects guard against other writers of the same store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pyfc.bundles.bundle import Bundles
from pyfc.errors import Conflict, InvalidArgument, NotFound, PreconditionFailed
from pyfc.model.names import whole
from pyfc.registry.registry import Declared, Record, Registry, key_of
from pyfc.settings import Settings
from pyfc.tasks import Tasks

T = TypeVar("T", bound=Declared)
Served = Callable[[int], Awaitable[None]]
_SURROGATES = range(0xD800, 0xE000)
"""What is no character by itself."""
_DEFAULT_LIMIT, _MAXIMUM_LIMIT = 20, 100
_LONGEST = 100
"""Characters of a value in a message."""


class Page(NamedTuple):
    """Part of a list. `next_token` is '' at its end."""

    records: Sequence[Record[Any]]
    next_token: str


class Wanted(NamedTuple):
    """Which part of a list a client wants."""

    limit: int = _DEFAULT_LIMIT
    prefix: str = ""
    start: str = ""
    """The first name, itself included."""
    token: str = ""
    """What came with the part before: the first name of this one."""

    @classmethod
    def read(cls, query: Mapping[str, str], prefix: str = "prefix", most: int = _MAXIMUM_LIMIT) -> Wanted:
        """From the parameters of FC's lists, which have at most so many members. Raises InvalidArgument."""
        text = query.get("limit") or str(_DEFAULT_LIMIT)
        number = whole(text)
        if not number:
            raise InvalidArgument(message=f"limit is {text[:_LONGEST]!r}; it must be a whole number from 1 to {most}")
        start, token = query.get("startKey", ""), query.get("nextToken", "")
        return cls(min(number, most), query.get(prefix, ""), start, token)

    @property
    def after(self) -> str:
        """The name after which it begins."""
        first = self.token or self.start
        if not first:
            return ""
        last = ord(first[-1])
        if not last:
            return first[:-1]
        before = last - 1 if not _SURROGATES.start < last <= _SURROGATES.stop else _SURROGATES.start - 1
        return first[:-1] + chr(before) + "\U0010ffff"


def etag_of(record: Record[Any]) -> str:
    """FC's opaque ETag."""
    return f"{record.revision:016x}"


class Operations:
    """Reads and writes for the operations of one server."""

    def __init__(
        self,
        registry: Registry,
        bundles: Bundles,
        settings: Settings,
        served: Served,
        in_use: Callable[[], Iterable[str]],
        *,
        sweeps: bool = True,
    ) -> None:
        """`served` returns when everything up to a revision is served; `in_use` tells digests of code that stays also
        when nothing declares it any more; with `sweeps` other code is removed.
        """
        self._in_use = in_use
        self._tasks = Tasks()
        self._sweeps = sweeps
        self.registry = registry
        self.bundles = bundles
        self.settings = settings
        self.turn = asyncio.Lock()
        self._served = served

    async def need(self, error: NotFound, kind: type[T], *names: str) -> Record[T]:
        """One object. Raises `error` if there is none."""
        record = await self.registry.get(kind, *names)
        if record is None:
            raise error
        return record

    async def create(self, value: T, error: Conflict, also: Iterable[Declared] = ()) -> Record[T]:
        """Write a new object, with others that it needs. Raises `error` if there is one."""
        try:
            revision = await self.registry.write([*also, value], expect={key_of(value): 0})
        except Conflict:
            raise error from None
        return await self._written(value, revision)

    async def replace(self, old: Record[T], value: T, etag: str = "") -> Record[T]:
        """Write another state of an object. Raises PreconditionFailed if `etag` is given and not that of `old`,
        Conflict if somebody else was faster.
        """
        if etag and etag.strip('"') != etag_of(old):
            raise PreconditionFailed
        revision = await self.registry.write([value], expect={key_of(value): old.revision})
        return await self._written(value, revision)

    async def _written(self, value: T, revision: int) -> Record[T]:
        await self._served(revision)
        record = await self.registry.get(type(value), *key_of(value).split("/")[1:])
        if record is None:
            raise Conflict(message=f"'{key_of(value)}' was deleted by somebody else")
        return record

    async def delete(self, record: Record[Any], etag: str = "", also: Iterable[str] = ()) -> None:
        """Delete an object, and other keys with it. Raises as `replace` does."""
        if etag and etag.strip('"') != etag_of(record):
            raise PreconditionFailed
        name = key_of(record.value)
        await self._served(await self.registry.write((), deleted=[name, *also], expect={name: record.revision}))

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Code is being kept that nobody declares yet. If nothing comes of it, it is removed again a moment later."""
        try:
            with self.bundles.busy():
                yield
        except BaseException:
            self.collect()
            raise

    def collect(self) -> None:
        """A moment from now remove code that nothing needs any more."""
        if self._sweeps and not self._tasks:
            self._tasks.begin("removing code that nothing needs", self._sweep())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_after)
            async with self.turn:
                if await self.bundles.sweep(self._needed):
                    return

    async def _needed(self) -> list[str]:
        return [*self._in_use(), *await self.registry.codes()]

    def close(self) -> None:
        """The server stops: what is left to remove is so at the next start."""
        self._tasks.cancel()

    async def page(
        self, kind: type[Any], *names: str, wanted: Wanted, where: Callable[[Any], bool] | None = None
    ) -> Page:
        """Part of what belongs to `names`; with `where`, of those values alone for which that is so."""
        least = wanted.limit + 1
        found: list[Record[Any]] = []
        after = wanted.after
        while True:
            records = await self.registry.page(kind, *names, prefix=wanted.prefix, after=after, limit=least)
            found += [record for record in records if where is None or where(record.value)]
            if len(records) < least or len(found) >= least:
                return part_of(found[:least], len(names), wanted)
            after = _name(records[-1], len(names))


def part_of(found: Sequence[Record[Any]], depth: int, wanted: Wanted) -> Page:
    """The page of a list that may go on: `found` has one more than is wanted then. `depth`: how many names all of its
    keys share.
    """
    if len(found) <= wanted.limit:
        return Page(found, "")
    return Page(found[: wanted.limit], _name(found[wanted.limit], depth))


def _name(record: Record[Any], depth: int) -> str:
    """What tells it from others whose keys share `depth` names."""
    return "/".join(key_of(record.value).split("/")[1 + depth :])
