"""What the connections of one server share."""

from __future__ import annotations

from email.utils import formatdate

from pyfc.calls.table import Table
from pyfc.gateway.heads import Known
from pyfc.gateway.invocations import Invocations
from pyfc.gateway.sites import Sites
from pyfc.settings import Settings


class ServerContext:
    """What all connections of one server share."""

    def __init__(self, settings: Settings, invocations: Invocations, sites: Sites) -> None:
        self.settings = settings
        self.invocations = invocations
        self.sites = sites
        self.known: dict[bytes, Known] = {}
        """Heads that were parsed before, by their bytes: they lead where the table did."""
        self.date = ""
        """The Date header's line."""
        self.now = 0.0
        """Loop time of the last tick: precise enough for a client's time-outs."""

    def use(self, table: Table) -> None:
        """Serve what `table` holds from now on."""
        self.invocations.use(table)
        self.sites.use(table)
        self.known.clear()

    def tick(self, now: float) -> str:
        """Another second: the date, as HTTP has it."""
        date = formatdate(usegmt=True)
        self.date, self.now = f"Date: {date}\r\n", now
        return date
