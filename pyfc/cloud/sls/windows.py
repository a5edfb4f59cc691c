"""What of the logstores their triggers ask for."""

from __future__ import annotations

from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.model import cursor_of
from pyfc.cloud.sls.store import Store
from pyfc.errors import InvalidArgument, NotFound, Unavailable
from pyfc.triggers.log import Window

_NEW = "SELECT max(number), max(received) FROM groups WHERE logstore = ? AND number >= ?"


class Windows:
    """The logstores of one log service, see Shards."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def next(self) -> int:
        """What comes from now on has this number or a higher one."""
        return self._store.newest + 1

    async def have(self, project: str, logstore: str) -> None:
        """See Shards. Raises InvalidArgument for what can be none, Unavailable."""
        try:
            await self._store.have(project, logstore, "made for a trigger")
        except Fault as fault:
            kind = Unavailable if fault.code == "ServerBusy" else InvalidArgument
            raise kind(message=f"logstore {logstore[:100]} of project {project[:100]}: {fault.message}") from None

    def has(self, project: str, logstore: str) -> bool:
        """See Shards."""
        return (project, logstore) in self._store.logstores

    async def window(self, project: str, logstore: str, begin: int) -> Window | None:
        """What a logstore has from a number on; None for nothing. Raises NotFound, Unavailable."""
        try:
            found = self._store.logstore(project, logstore)
            ((last, received),) = await self._store.read(_NEW, (found.number, begin))
        except Fault as fault:
            kind = Unavailable if fault.code == "ServerBusy" else NotFound
            raise kind(message=f"logstore {logstore} of project {project}: {fault.message}") from None
        if last is None:
            return None
        depth = self._store.depths.since(found.number, begin)
        return Window(last + 1, cursor_of(begin), cursor_of(last + 1), received, depth)
