"""Store: keys and values with revisions, compare-and-set, and a watch. Small because every engine has these natively.

Promises of every engine: a revision is a positive integer that grows with each change of the store; `put` with
`expect` changes nothing unless the key's revision is the expected one; a watch sees every change after it began, in
order, none twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """One key as it is now."""

    key: str
    value: bytes
    revision: int


class Change(NamedTuple):
    """One change; `value` is None when the key was deleted."""

    key: str
    value: bytes | None
    revision: int


class Store(Protocol):
    """One database of keys."""

    async def get(self, key: str) -> Entry | None:
        """The key as it is now, None if there is none."""

    async def put(self, key: str, value: bytes, *, expect: int | None = None) -> int:
        """Write; the new revision. `expect`: the revision it must have now, 0 for none. Raises Conflict."""

    async def delete(self, key: str, *, expect: int | None = None) -> int:
        """Remove; the revision of the change, 0 if there was no such key. Raises Conflict."""

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """The first `limit` keys that begin with `prefix` and come after `after`, in order."""

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """Changes from now on of keys that begin with `prefix`, in batches."""

    async def close(self) -> None:
        """End every watch."""
