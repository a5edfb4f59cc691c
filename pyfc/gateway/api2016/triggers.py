"""Triggers, of functions of a service here and of functions without one in the newer API."""

from __future__ import annotations

from collections.abc import Callable

from pyfc.documents import triggers
from pyfc.documents.reader import Document
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page, trigger_url
from pyfc.model.names import LATEST
from pyfc.model.trigger import Trigger
from pyfc.registry.documents import trigger_document
from pyfc.registry.registry import Record


class Triggers:
    """The operations on triggers of the function that a path names."""

    def __init__(
        self,
        service: Callable[[Call], str],
        document: Callable[[Call, Record[Trigger]], Document],
        body: type[triggers.AnyTrigger],
        convention: str,
    ) -> None:
        """`service` of the function; `document`: how a trigger is told; `body`: how it is sent; `convention`: see
        triggers/http.py.
        """
        self._service = service
        self._document = document
        self._body = body
        self._convention = convention

    def _answer(self, call: Call, record: Record[Trigger]) -> Answer:
        return Answer(self._document(call, record), record=record)

    async def create(self, call: Call) -> Answer:
        """Make a trigger of a function."""
        names = (self._service(call), call.function)
        return self._answer(call, await call.api.functions.create_trigger(*names, call.document, self._convention))

    async def get(self, call: Call) -> Answer:
        """Tell a trigger."""
        names = (self._service(call), call.function, call.names["trigger"])
        return self._answer(call, await call.api.functions.trigger(*names))

    async def update(self, call: Call) -> Answer:
        """Change a trigger's configuration, role, qualifier or description."""
        names = (self._service(call), call.function, call.names["trigger"])
        changed = await call.api.functions.update_trigger(*names, call.document, call.etag, self._convention)
        return self._answer(call, changed)

    async def delete(self, call: Call) -> Answer:
        """Delete a trigger."""
        names = (self._service(call), call.function, call.names["trigger"])
        await call.api.functions.delete_trigger(*names, call.etag)
        return GONE

    async def list(self, call: Call) -> Answer:
        """List the triggers of a function."""
        names = (self._service(call), call.function)
        await call.api.functions.function(*names)
        found = await call.api.operations.page(Trigger, *names, wanted=call.wanted)
        return page("triggers", [self._document(call, record) for record in found.records], found.next_token)

    def endpoints(self, path: str) -> tuple[Endpoint, ...]:
        """Below the path of a function."""
        many, one = path + "/triggers", path + "/triggers/{trigger}"
        return (
            Endpoint("POST", many, "CreateTrigger", self.create, body=self._body),
            Endpoint("GET", many, "ListTriggers", self.list, LIST),
            Endpoint("GET", one, "GetTrigger", self.get),
            Endpoint("PUT", one, "UpdateTrigger", self.update, body=self._body),
            Endpoint("DELETE", one, "DeleteTrigger", self.delete),
        )


def document(call: Call, record: Record[Trigger]) -> Document:
    """FC's Trigger object."""
    trigger, settings = record.value, call.api.settings
    place = f"services/{trigger.service}.{trigger.qualifier or LATEST}/functions/{trigger.function}"
    arn = f"acs:fc:{settings.region}:{settings.account_id}:{place}"
    url = trigger_url(call, trigger.service, trigger.function, trigger.qualifier)
    told = trigger_document(record, arn, url)
    if trigger.type == "eventbridge" and not trigger.source_arn:
        told["sourceArn"] = _rule_of(call, trigger)
    return told


def _rule_of(call: Call, trigger: Trigger) -> str:
    """The ARN of the rule that FC makes for a trigger of EventBridge, on a bus of its own unless events come by
    themselves.
    """
    kind = trigger.config.get("eventSourceConfig", {}).get("eventSourceType", "Default")
    bus = "default" if kind == "Default" else f"{kind}-{trigger.function}-{trigger.name}"
    rule = f"{trigger.service}-{trigger.function}-{trigger.name}"
    settings = call.api.settings
    return f"acs:eventbridge:{settings.region}:{settings.account_id}:eventbus/{bus}/rule/{rule}"


ENDPOINTS = Triggers(lambda call: call.service, document, triggers.Trigger, "handler").endpoints(
    "/services/{service}/functions/{function}"
)
