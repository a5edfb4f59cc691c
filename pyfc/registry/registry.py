"""The desired state: services, functions and triggers in a Store, and what changes in it.

Keys: `services/S`, `functions/S/F`, `triggers/S/F/T`; values: the declared object as JSON. A trigger is written after
its function and a function after its service, so whoever follows the changes always knows what one belongs to.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from pyfc.model.function import (
    Code,
    Function,
    Hook,
    Limits,
    Program,
    Provision,
    ScheduledAction,
    Service,
    TrackingPolicy,
)
from pyfc.model.names import Target
from pyfc.model.trigger import Trigger
from pyfc.stores.interface import Change as StoreChange
from pyfc.stores.interface import Store

Declared = Service | Function | Trigger
_PAGE = 1000


class Change(NamedTuple):
    """One change of desired state."""

    revision: int
    value: Declared | None
    """What there is now; None: it was deleted."""
    target: Target | None
    """The function that was deleted, if it was one."""


class Registry:
    """Reads and writes declared objects."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, value: Declared) -> int:
        """Write one object; the store's revision. Writing what is there already changes nothing."""
        key, data = _key(value), json.dumps(dataclasses.asdict(value), sort_keys=True).encode()
        entry = await self._store.get(key)
        if entry is not None and entry.value == data:
            return entry.revision
        return await self._store.put(key, data)

    async def delete_function(self, service: str, function: str) -> int:
        """Remove a function and its triggers; the store's revision."""
        for entry in await self._store.list(f"triggers/{service}/{function}/", limit=_PAGE):
            await self._store.delete(entry.key)
        return await self._store.delete(f"functions/{service}/{function}")

    async def functions(self) -> list[Function]:
        """Every function, in order of service and name."""
        found: list[Function] = []
        after = ""
        while page := await self._store.list("functions/", after=after, limit=_PAGE):
            found += [_function(json.loads(entry.value)) for entry in page]
            after = page[-1].key
        return found

    def changes(self) -> AsyncIterator[list[Change]]:
        """What changes from this call on, in batches."""
        batches = self._store.watch("")

        async def translate() -> AsyncIterator[list[Change]]:
            async for batch in batches:
                yield [_change(change) for change in batch]

        return translate()


def _key(value: Declared) -> str:
    if isinstance(value, Service):
        return f"services/{value.name}"
    if isinstance(value, Function):
        return f"functions/{value.service}/{value.name}"
    return f"triggers/{value.service}/{value.function}/{value.name}"


def _change(change: StoreChange) -> Change:
    kind, *names = change.key.split("/")
    if change.value is None:
        return Change(change.revision, None, Target(*names) if kind == "functions" else None)
    fields = json.loads(change.value)
    if kind == "services":
        return Change(change.revision, Service(**fields), None)
    return Change(change.revision, _function(fields) if kind == "functions" else Trigger(**fields), None)


def _function(fields: dict[str, Any]) -> Function:
    code = Code(**fields["code"]) if fields["code"] is not None else None
    hooks = {name: Hook(**fields[name]) for name in ("pre_freeze", "pre_stop")}
    provision = Provision(
        target=fields["provision"]["target"],
        scheduled_actions=tuple(ScheduledAction(**each) for each in fields["provision"]["scheduled_actions"]),
        target_tracking_policies=tuple(
            TrackingPolicy(**each) for each in fields["provision"]["target_tracking_policies"]
        ),
    )
    program = Program(**{**fields["program"], "command": tuple(fields["program"]["command"])})
    parts = {"provision": provision, "code": code, "program": program, "limits": Limits(**fields["limits"])}
    return Function(**{**fields, **hooks, **parts})
