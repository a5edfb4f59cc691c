"""Operations on custom domains."""

from __future__ import annotations

from pyfc.documents.objects import domain_of
from pyfc.documents.reader import Document
from pyfc.errors import DomainNameAlreadyExists, DomainNameNotFound
from pyfc.model.resources import Domain
from pyfc.registry.operations import Operations
from pyfc.registry.registry import Record


class Domains:
    """Custom domains."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def create(self, document: Document, service: str = "") -> Record[Domain]:
        """A new domain. `service`: of routes that name none. Raises DomainNameAlreadyExists."""
        domain = domain_of(document, service=service)
        async with self._operations.turn:
            return await self._operations.create(domain, DomainNameAlreadyExists(domain=domain.name))

    async def get(self, name: str) -> Record[Domain]:
        """A domain. Raises DomainNameNotFound."""
        return await self._operations.need(DomainNameNotFound(domain=name), Domain, name.lower())

    async def update(self, name: str, document: Document, etag: str, service: str = "") -> Record[Domain]:
        """Change what `document` names."""
        async with self._operations.turn:
            old = await self.get(name)
            return await self._operations.replace(old, domain_of(document, old.value, service=service), etag)

    async def delete(self, name: str, etag: str) -> None:
        """Delete a domain."""
        async with self._operations.turn:
            await self._operations.delete(await self.get(name), etag)
