"""Services, their tags and the networks they are bound to."""

from __future__ import annotations

from pyfc.documents import shapes
from pyfc.documents.objects import text_of
from pyfc.errors import InvalidArgument
from pyfc.gateway.management import GONE, LIST, Answer, Call, Endpoint, page
from pyfc.model.function import Service
from pyfc.registry.documents import service_document

_TAGS = 20
"""Most tags of a service."""


async def create(call: Call) -> Answer:
    """Make a service."""
    record = await call.api.functions.create_service(call.document)
    return Answer(service_document(record), record=record)


async def get(call: Call) -> Answer:
    """Tell a service, or what it was when it was published."""
    record = await call.api.functions.service(call.service, call.qualifier)
    return Answer(service_document(record), record=record)


async def update(call: Call) -> Answer:
    """Change what is sent."""
    record = await call.api.functions.update_service(call.service, call.document, call.etag)
    return Answer(service_document(record), record=record)


async def delete(call: Call) -> Answer:
    """Delete an empty service."""
    await call.api.functions.delete_service(call.service, call.etag)
    return GONE


async def list_(call: Call) -> Answer:
    """List services, those with given tags if there are parameters `tag_NAME`; without a value any will do."""
    tags = {name[4:]: value for name, value in call.query.items() if name.startswith("tag_")}
    if not tags:
        found = await call.api.operations.page(Service, wanted=call.wanted)
        return page("services", [service_document(record) for record in found.records], found.next_token)
    records = [
        record
        for record in await call.api.operations.registry.all(Service)
        if _has(record.value, tags) and record.value.name.startswith(call.wanted.prefix)
    ]
    return page("services", [service_document(record) for record in records], "")


def _has(service: Service, tags: dict[str, str]) -> bool:
    return all(key in service.tags and value in {"", service.tags[key]} for key, value in tags.items())


async def bind(call: Call) -> Answer:
    """Bind the service to a network; it is kept and told."""
    await call.api.functions.service(call.service)
    await call.api.configs.bind(call.service, "", call.document.get("vpcId", ""), bound=True)
    return Answer({})


async def bindings(call: Call) -> Answer:
    """List the networks that the service is bound to."""
    await call.api.functions.service(call.service)
    return Answer({"vpcIds": await call.api.configs.bindings(call.service)})


async def unbind(call: Call) -> Answer:
    """Unbind the service from a network."""
    await call.api.functions.service(call.service)
    await call.api.configs.bind(call.service, "", call.names["vpc"], bound=False)
    return GONE


async def unbind_named(call: Call) -> Answer:
    """The same, with the network in the body."""
    await call.api.functions.service(call.service)
    await call.api.configs.bind(call.service, "", call.document.get("vpcId", ""), bound=False)
    return Answer({})


def _tagged(arn: str) -> str:
    """The service that an ARN means; it may begin anywhere."""
    before, found, name = arn.rpartition("services/")
    if not found or "/" in name or (before and not before.endswith(":")):
        raise InvalidArgument(message=f"resourceArn is '{arn}'; it must end with services/NAME")
    return name


def arn(call: Call, service: str) -> str:
    """FC's name of a service."""
    return f"acs:fc:{call.api.settings.region}:{call.api.settings.account_id}:services/{service}"


async def tag(call: Call) -> Answer:
    """Set tags of a service."""
    name = _tagged(call.document["resourceArn"])
    tags = {key: text_of(value) for key, value in call.document.get("tags", {}).items()}
    old = await call.api.functions.service(name)
    if len({**old.value.tags, **tags}) > _TAGS:
        raise InvalidArgument(message=f"a service has at most {_TAGS} tags")
    await call.api.functions.tag_service(name, tags, [])
    return Answer({"requestId": call.request_id})


async def untag(call: Call) -> Answer:
    """Remove tags of a service, those that are named or all."""
    name = _tagged(call.document["resourceArn"])
    removed = None if call.document.get("all") is True else call.document.get("tagKeys", [])
    await call.api.functions.tag_service(name, {}, removed)
    return Answer({"requestId": call.request_id})


async def tags(call: Call) -> Answer:
    """Tell the tags of a service."""
    record = await call.api.functions.service(_tagged(call.query.get("resourceArn", "")))
    name = arn(call, record.value.name)
    return Answer({"requestId": call.request_id, "resourceArn": name, "tags": dict(record.value.tags)})


ENDPOINTS = (
    Endpoint("POST", "/services", "CreateService", create, body=shapes.Service),
    Endpoint("GET", "/services", "ListServices", list_, LIST),
    Endpoint("GET", "/services/{service}", "GetService", get, ("qualifier",)),
    Endpoint("PUT", "/services/{service}", "UpdateService", update, body=shapes.Service),
    Endpoint("DELETE", "/services/{service}", "DeleteService", delete),
    Endpoint("POST", "/services/{service}/binding", "CreateVpcBindingOld", bind, body=shapes.Binding),
    Endpoint("DELETE", "/services/{service}/binding", "DeleteVpcBindingOld", unbind_named, body=shapes.Binding),
    Endpoint("POST", "/services/{service}/bindings", "CreateVpcBinding", bind, body=shapes.Binding),
    Endpoint("GET", "/services/{service}/bindings", "ListVpcBindings", bindings),
    Endpoint("DELETE", "/services/{service}/bindings/{vpc}", "DeleteVpcBinding", unbind),
    Endpoint("POST", "/tag", "TagResource", tag, body=shapes.Tags),
    Endpoint("GET", "/tag", "GetResourceTags", tags, ("resourceArn",)),
    Endpoint("DELETE", "/tag", "UntagResource", untag, body=shapes.Tags),
    Endpoint("PUT", "/tag", "UntagResourceByPut", untag, body=shapes.Tags),
)
