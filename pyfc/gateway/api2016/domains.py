"""Custom domains, whose routes name services here and none in the newer API."""

from __future__ import annotations

from collections.abc import Callable

from pyfc.documents import shapes
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.resources import Domain
from pyfc.registry.documents import domain_document
from pyfc.registry.registry import Record

VERSION = "2016-08-15"


class Domains:
    """The operations on custom domains."""

    def __init__(self, document: Callable[[Call, Record[Domain]], Document], service: str = "") -> None:
        """`document`: how a domain is told; `service`: of routes that name none."""
        self._document = document
        self._service = service

    def _answer(self, call: Call, record: Record[Domain]) -> Answer:
        return Answer(self._document(call, record), record=record)

    async def create(self, call: Call) -> Answer:
        """Make a domain whose requests go to functions."""
        return self._answer(call, await call.api.domains.create(call.document, self._service))

    async def get(self, call: Call) -> Answer:
        """Tell a domain."""
        return self._answer(call, await call.api.domains.get(call.names["domain"]))

    async def update(self, call: Call) -> Answer:
        """Change what is sent."""
        changed = await call.api.domains.update(call.names["domain"], call.document, call.etag, self._service)
        return self._answer(call, changed)

    async def delete(self, call: Call) -> Answer:
        """Delete a domain."""
        await call.api.domains.delete(call.names["domain"], call.etag)
        return GONE

    async def list(self, call: Call) -> Answer:
        """List domains."""
        found = await call.api.operations.page(Domain, wanted=call.wanted)
        return page("customDomains", [self._document(call, record) for record in found.records], found.next_token)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them."""
        many, one = "/custom-domains", "/custom-domains/{domain}"
        return (
            Endpoint("POST", many, "CreateCustomDomain", self.create, body=shapes.Domain),
            Endpoint("GET", many, "ListCustomDomains", self.list, LIST),
            Endpoint("GET", one, "GetCustomDomain", self.get),
            Endpoint("PUT", one, "UpdateCustomDomain", self.update, body=shapes.Domain),
            Endpoint("DELETE", one, "DeleteCustomDomain", self.delete),
        )


def _document(call: Call, record: Record[Domain]) -> Document:
    return domain_document(record, call.api.settings.account_id, VERSION)


ENDPOINTS = Domains(_document).endpoints()
