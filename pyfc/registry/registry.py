"""The desired state: everything that a user declares, in a Store, and what changes in it.

Keys are the kind and the names that make a thing unique, with `/` between them: `functions/shop/pay`,
`versions/shop/-/0000000001`. Values are JSON: the declared object and when it was made and changed. One `write` is one
step: it happens as a whole or not at all, and nobody sees a part of it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pyfc.model.function import Function, Service
from pyfc.model.resources import Alias, Config, Domain, Layer, Version
from pyfc.model.trigger import Trigger
from pyfc.stores.interface import Entry, Store

Declared = Service | Function | Trigger | Version | Alias | Layer | Domain | Config
T = TypeVar("T", bound=Declared)
_KINDS: dict[str, type[Declared]] = {
    "services": Service,
    "functions": Function,
    "versions": Version,
    "aliases": Alias,
    "configs": Config,
    "triggers": Trigger,
    "layers": Layer,
    "domains": Domain,
}
"""In the order in which one may need another to be known."""
_PREFIXES: dict[type[Any], str] = {kind: name for name, kind in _KINDS.items()}
_PAGE = 1000
_DIGITS = 10


class Record(NamedTuple, Generic[T]):
    """A declared object as it is kept."""

    value: T
    revision: int
    """Of the store; of this object no other state has the same."""
    id: str
    created: float
    """Seconds since the epoch."""
    modified: float


class Change(NamedTuple):
    """One change of desired state. `key` as in this module's docstring; `value` is None when it was deleted."""

    revision: int
    key: str
    value: Declared | None


def key_of(value: Declared) -> str:
    """The key of a declared object."""
    match value:
        case Service():
            names: tuple[str, ...] = (value.name,)
        case Function():
            names = (value.service, value.name)
        case Trigger():
            names = (value.service, value.function, value.name)
        case Version():
            names = (value.service, value.scope, number(value.number))
        case Alias():
            names = (value.service, value.scope, value.name)
        case Config():
            names = (value.kind, value.service, value.function, value.qualifier)
        case Layer():
            names = (value.name, number(value.number))
        case Domain():
            names = (value.name,)
    return key(type(value), *names)


def key(kind: type[Any], *names: str) -> str:
    """The key of what these names make unique, or the beginning of the keys of all that belongs to them."""
    return "/".join((_PREFIXES[kind], *names))


def number(value: int) -> str:
    """A number as a part of a key: such keys are in the order of their numbers."""
    return f"{value:0{_DIGITS}}"


class Registry:
    """Reads and writes declared objects."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, kind: type[T], *names: str) -> Record[T] | None:
        """One object; None if there is none."""
        entry = await self._store.get(key(kind, *names))
        return None if entry is None else _record(kind, entry.value, entry.revision)

    async def page(
        self, kind: type[T], *names: str, prefix: str = "", after: str = "", limit: int = _PAGE
    ) -> list[Record[T]]:
        """At most `limit` of the objects that belong to `names`, in order: those whose next name begins with `prefix`
        and comes after `after` (with every name that follows it).
        """
        start = key(kind, *names, "")
        entries = await self._store.list(start + prefix, after=start + after if after else "", limit=limit)
        return [_record(kind, entry.value, entry.revision) for entry in entries]

    async def all(self, kind: type[T], *names: str) -> list[Record[T]]:
        """All objects that belong to `names`, in order."""
        entries = await self._entries(key(kind, *names, ""))
        return [_record(kind, entry.value, entry.revision) for entry in entries]

    async def _entries(self, prefix: str) -> list[Entry]:
        """Every key that begins with `prefix`, page by page."""
        found: list[Entry] = []
        while True:
            page = await self._store.list(prefix, after=found[-1].key if found else "", limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return found

    async def write(
        self,
        values: Iterable[Declared],
        *,
        deleted: Iterable[str] = (),
        expect: Mapping[str, int] | None = None,
        known: Mapping[str, Record[Any]] | None = None,
    ) -> int:
        """Write objects and delete keys in one step; the store's revision, 0 if everything was already so.

        `expect`: revisions that keys must have now, 0 for none. `known`: what is there now, by key, if the caller has
        read it. Raises Conflict.
        """
        data: dict[str, bytes | None] = dict.fromkeys(deleted)
        now = time.time()
        for value in values:
            name = key_of(value)
            old = known.get(name) if known is not None else await self.get(type(value), *name.split("/")[1:])
            if old is not None and old.value == value and (expect or {}).get(name) != 0:
                continue
            kept = (old.id, old.created) if old is not None else (str(uuid.uuid4()), now)
            data[name] = msgspec.json.encode({"value": value, "id": kept[0], "created": kept[1], "modified": now})
        return await self._store.write(data, expect or {}) if data else 0

    async def codes(self) -> list[str]:
        """Digests of all code that something declares."""
        functions = [record.value for record in await self.all(Function)]
        for version in await self.all(Version):
            functions += version.value.functions
        layers = [record.value.code.digest for record in await self.all(Layer)]
        return [*layers, *(digest for function in functions for digest in function.codes)]

    def changes(self) -> AsyncIterator[list[Change]]:
        """Everything there is, as the first batch, and then what changes from this call on, in batches."""
        batches = self._store.watch("")

        async def whole() -> AsyncIterator[list[Change]]:
            first: list[Change] = []
            for name, kind in _KINDS.items():
                entries = await self._entries(f"{name}/")
                first += [Change(each.revision, each.key, _record(kind, each.value, 0).value) for each in entries]
            yield first
            async for batch in batches:
                yield [_change(each.key, each.value, each.revision) for each in batch]

        return whole()


def _change(name: str, data: bytes | None, revision: int) -> Change:
    kind = _KINDS[name.partition("/")[0]]
    return Change(revision, name, None if data is None else _record(kind, data, revision).value)


class _Stored(msgspec.Struct, Generic[T]):
    """A value of the store."""

    value: T
    id: str
    created: float
    modified: float


_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(_Stored[kind]) for kind in _KINDS.values()  # type: ignore[valid-type]
}  # fmt: skip


def _record(kind: type[T], data: bytes, revision: int) -> Record[T]:
    stored = _DECODERS[kind].decode(data)
    return Record(stored.value, revision, stored.id, stored.created, stored.modified)
