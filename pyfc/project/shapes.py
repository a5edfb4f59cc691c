"""What template files declare beside FC's own objects, or spell in a way of their own."""

from __future__ import annotations

from typing import Any

from msgspec import field

from pyfc.documents import scaling, shapes, triggers, values
from pyfc.model.names import LATEST

Elsewhere = Any
"""Of a property that a format reads itself, or that is only noted."""


class FileService(shapes.Service):
    """A service."""

    name: Elsewhere = None
    policies: Elsewhere = None
    vpc_binding: Elsewhere = None
    tags: Elsewhere = None


class FileFunction(shapes.AnyFunction):
    """A function."""

    name: Elsewhere = None
    policies: Elsewhere = None
    code_uri: Elsewhere = None
    code: Elsewhere = None
    oss_bucket: Elsewhere = None
    oss_bucket_name: Elsewhere = None
    oss_key: Elsewhere = None
    async_configuration: Elsewhere = None
    async_invoke_config: Elsewhere = None
    concurrency_config: Elsewhere = None
    provision_config: Elsewhere = None
    scaling_config: Elsewhere = None
    vpc_binding: Elsewhere = None
    tags: Elsewhere = None
    layers: list[str] = field(default_factory=list)


class FileDestinations(shapes.Shape):
    """Where outcomes go; an ARN alone will do."""

    on_success: str | scaling.Destination = ""
    on_failure: str | scaling.Destination = ""


class FileAsynchronous(scaling.Asynchronous):
    """How asynchronous calls are made, and of which qualifier."""

    destination: FileDestinations | None = None
    qualifier: str = LATEST


class FileHttpTrigger(triggers.HttpTrigger):
    """The configuration of an HTTP trigger, with what Funcraft has beside it."""

    is_open = False
    jwt_config: str | dict[str, Any] = ""
    """What older files call authConfig."""
    invocation_role: str = ""
    qualifier: str = ""


class FileRoute(shapes.Shape):
    """Where paths of a domain lead."""

    path: Elsewhere = None
    service_name: str = ""
    function_name: str = ""
    qualifier: str = ""
    methods: list[values.Method] = field(default_factory=list)
    rewrite_config: Elsewhere = None


class FileDomain(shapes.KeptOfDomain):
    """A custom domain."""

    protocol: values.Protocol = "HTTP"
    domain_name: Elsewhere = None
    cert_id: Elsewhere = None
    region: Elsewhere = None
    route_config: Elsewhere = None
    route_configs: Elsewhere = None
