"""Store: keys and values with revisions, compare-and-set, and a watch. Small because every engine has these natively.

Promises of every engine: revisions are the engine's, positive integers that grow with each change of the store and are
never used again, also after a start and of keys that were deleted; the writes of one call happen all or not at all, and
have one revision; nothing happens unless every key that is expected to have a
revision has it; when `write` returns, what was written survives the end of the process and, on disk, a loss of power; a
watch sees every change after it began, in order, none twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
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


NOTHING: Mapping[str, int] = MappingProxyType({})


class Store(Protocol):
    """One database of keys."""

    async def get(self, key: str) -> Entry | None:
        """The key as it is now, None if there is none."""

    async def write(self, values: Mapping[str, bytes | None], expect: Mapping[str, int] = NOTHING) -> int:
        """Write keys, None deletes; the new revision, 0 if there was nothing to be done. `expect`: the revisions that
        keys must have now, 0 for none, of those that are written or of others. Raises Conflict naming the key,
        Unavailable if the engine fails.
        """

    async def list(self, prefix: str, *, after: str = "", limit: int = 100) -> Sequence[Entry]:
        """The first `limit` keys that begin with `prefix` and come after `after`, in order."""

    def watch(self, prefix: str) -> AsyncIterator[Sequence[Change]]:
        """Changes from now on of keys that begin with `prefix`, in batches."""

    async def close(self) -> None:
        """End every watch; what has been asked for before is done."""
