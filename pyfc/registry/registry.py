"""The desired state: everything that a user declares, in a Store, and what changes in it.

Keys are the kind and the names that make a thing unique, with `/` between them: `functions/shop/pay`,
`versions/shop/-/0000000001`. Values are JSON: the declared object and when it was made and changed. One `write` is one
step: it happens as a whole or not at all, and nobody sees a part of it.

What is written is read again before that, so nothing is kept that could not be. A record that cannot be read all the
same (another version's, a damaged disk's) is set aside when the server starts, under `aside/` and its own key: what
else there is stays in service.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pyfc.errors import Internal, InvalidArgument
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
_ASIDE = "aside/"
_PROBLEMS = (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
"""Of what cannot be written as JSON or read from it."""
_log = logging.getLogger(__name__)


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


class Unreadable(NamedTuple):
    """A record that cannot be read, by its key."""

    key: str
    reason: str


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
    """The key of what these names make unique, or the beginning of the keys of all that belongs to them. Raises
    InvalidArgument.
    """
    for name in names:
        if "/" in name:
            raise InvalidArgument(message=f"{name!r} can not be a name: it has a /")
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
        return None if entry is None else _read(kind, entry)

    async def page(
        self, kind: type[T], *names: str, prefix: str = "", after: str = "", limit: int = _PAGE
    ) -> list[Record[T]]:
        """At most `limit` of the objects that belong to `names`, in order: those whose next name begins with `prefix`
        and comes after `after` (with every name that follows it).
        """
        start = key(kind, *names, "")
        entries = await self._store.list(start + prefix, after=start + after if after else "", limit=limit)
        return [_read(kind, entry) for entry in entries]

    async def all(self, kind: type[T], *names: str) -> list[Record[T]]:
        """All objects that belong to `names`, in order."""
        entries = await self._entries(key(kind, *names, ""))
        return [_read(kind, entry) for entry in entries]

    async def set_aside(self) -> list[Unreadable]:
        """Take what cannot be read out of the desired state, and put back what could not be read and can be now, as
        after an update of pyfc. Returns what is aside, for whoever starts a server to tell.
        """
        entries = {entry.key: entry.value for entry in await self._entries("")}
        moved: dict[str, bytes | None] = {}
        for key, data in entries.items():
            name = key.removeprefix(_ASIDE)
            if key == name and _problem(name, data):
                moved |= {name: None, _ASIDE + name: data}
            elif key != name and name not in entries and not _problem(name, data):
                moved |= {key: None, name: data}
        if moved:
            await self._store.write(moved)
        return unreadable(entries)

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
        read it. Raises Conflict, InvalidArgument for what could not be read again.
        """
        data: dict[str, bytes | None] = dict.fromkeys(deleted)
        now = time.time()
        for value in values:
            name = key_of(value)
            old = known.get(name) if known is not None else await self.get(type(value), *name.split("/")[1:])
            if old is not None and old.value == value and (expect or {}).get(name) != 0:
                continue
            kept = (old.id, old.created) if old is not None else (str(uuid.uuid4()), now)
            data[name] = _encoded(name, {"value": value, "id": kept[0], "created": kept[1], "modified": now})
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
            # What may need another is read before that, so that a write meanwhile leaves nothing without what it needs.
            found = {name: await self._entries(f"{name}/") for name in reversed(_KINDS)}
            # Of revision 0: a write meanwhile may be here in part, and is reached with its batch, which has it whole.
            yield [_change(each.key, each.value, 0) for name in _KINDS for each in found[name]]
            async for batch in batches:
                yield [_change(each.key, each.value, each.revision) for each in batch]

        return whole()


def unreadable(entries: Mapping[str, bytes]) -> list[Unreadable]:
    """The records of a whole store that cannot be read, those that were set aside for it among them."""
    found = ((key.removeprefix(_ASIDE), data) for key, data in entries.items())
    return [Unreadable(name, problem) for name, data in found if (problem := _problem(name, data))]


def readable(entries: Mapping[str, bytes]) -> list[Declared]:
    """What a whole store declares, as far as that can be read."""
    known = ((_KINDS.get(name.partition("/")[0]), name, data) for name, data in entries.items())
    return [_record(kind, data, 0).value for kind, name, data in known if kind is not None and not _problem(name, data)]


def _problem(name: str, data: bytes) -> str:
    """Why a record cannot be read; '' if it can."""
    kind = _KINDS.get(name.partition("/")[0])
    if kind is None:
        return "this version of pyfc knows no such kind of record"
    try:
        value = _record(kind, data, 0).value
        return "" if key_of(value) == name else f"it is the record of {key_of(value)}"
    except (*_PROBLEMS, InvalidArgument) as error:
        return str(error)


def _encoded(name: str, record: dict[str, Any]) -> bytes:
    """What the store keeps of a record, after it has been read again. Raises InvalidArgument."""
    try:
        data = msgspec.json.encode(record)
        _record(type(record["value"]), data, 0)
    except _PROBLEMS as error:
        raise InvalidArgument(message=f"{name} can not be kept as it was given: {error}") from None
    return data


def _change(name: str, data: bytes | None, revision: int) -> Change:
    """What cannot be read is served as little as what was deleted."""
    kind = _KINDS.get(name.partition("/")[0])
    if data is None or kind is None:
        return Change(revision, name, None)
    try:
        return Change(revision, name, _record(kind, data, revision).value)
    except _PROBLEMS as error:
        _log.error("the record %s can not be read and is not served: %s", name, error)
        return Change(revision, name, None)


class _Stored(msgspec.Struct, Generic[T]):
    """A value of the store."""

    value: T
    id: str
    created: float
    modified: float


_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(_Stored[kind]) for kind in _KINDS.values()  # type: ignore[valid-type]
}  # fmt: skip


def _read(kind: type[T], entry: Entry) -> Record[T]:
    """A record of the store. Raises Internal if it cannot be read, which is mended by the next start."""
    try:
        return _record(kind, entry.value, entry.revision)
    except _PROBLEMS as error:
        detail = f"the record {entry.key} can not be read ({error}); restart the server, which sets it aside"
        raise Internal(detail=detail) from None


def _record(kind: type[T], data: bytes, revision: int) -> Record[T]:
    stored = _DECODERS[kind].decode(data)
    return Record(stored.value, revision, stored.id, stored.created, stored.modified)
