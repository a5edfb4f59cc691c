"""Funcraft's template (`Transform: Aliyun::Serverless-2018-04-03`), as `fun` 3.6 reads it."""

from __future__ import annotations

from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.model.function import Service
from pyfc.model.resources import Domain
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Given, Project
from pyfc.project.properties import (
    SERVICE,
    check_name,
    http_trigger,
    internet_access,
    log_names,
    note_later,
    read_function,
    read_protocol,
    read_route,
)

NAMES = ("template.yml", "template.yaml", "faas.yml")
_TRANSFORM = "Aliyun::Serverless-2018-04-03"
_SERVICE_TYPE = "Aliyun::Serverless::Service"
_DOMAIN_TYPE = "Aliyun::Serverless::CustomDomain"
_FUNCTION_TYPE = "Aliyun::Serverless::Function"
_LATER = ("role", "policies", "vpcConfig", "nasConfig", "tracingConfig")
_EVENTS = ("HTTP", "Timer", "Log", "OSS", "MNSTopic", "RDS", "TableStore", "CDN", "Datahub", "Api")
_ROOT = (
    "ROSTemplateFormatVersion", "Transform", "Description", "Parameters", "Mappings", "Conditions", "Outputs",
    "Globals", "Resources", "Metadata",
)  # fmt: skip


def read(path: Path, boundary: Boundary, _: Given) -> Project:
    """The project that the template declares. Raises ProjectError with file and line."""
    document = read_document(path, boundary)
    project = Project(root=path.parent, boundary=boundary, source=path)
    project.warnings.extend(document.unknown(_ROOT))
    document.need("Transform").choice([_TRANSFORM])
    if document.get("Globals") is not None:
        project.unsupported.append("Globals")
    resources = document.get("Resources")
    for name, resource in resources.items() if resources is not None else []:
        with project.tolerating():
            kind = resource.need("Type").text()
            if kind == _SERVICE_TYPE:
                _service(name, resource, project)
            elif kind == _DOMAIN_TYPE and name != "Auto":
                _domain(name, resource, project)
            else:
                project.unsupported.append(f"{kind.removeprefix('Aliyun::Serverless::')} {name}")
    return project


def _service(name: str, resource: Field, project: Project) -> None:
    check_name(resource, "service", name)
    what = f"service {name}"
    properties = resource.get("Properties")
    log_project = log_store = description = ""
    if properties is not None:
        project.warnings.extend(properties.unknown([key[:1].upper() + key[1:] for key in SERVICE]))
        note_later(properties, _LATER, what, project, capital=True)
        log_project, log_store = log_names(properties, what, project, capital=True)
        text = properties.get("Description")
        description = text.text() if text is not None else ""
    service = Service(
        name=name,
        description=description,
        log_project=log_project,
        log_store=log_store,
        internet_access=properties is None or internet_access(properties),
    )
    project.services.append(service)
    for key, field in resource.items():
        if key not in {"Type", "Properties"}:
            with project.tolerating((name, key)):
                _function(name, key, field, project)


def _domain(name: str, resource: Field, project: Project) -> None:
    properties = resource.need("Properties")
    named, protocol = properties.get("DomainName"), properties.get("Protocol")
    text = named.text() if named is not None else name
    if text == "Auto":
        text = f"{name}.localhost"  # FC makes up a name that leads to it; this one leads to this machine
    routes = properties.need("RouteConfig").get("Routes")
    project.domains.append(
        Domain(
            name=text.lower(),
            protocol=read_protocol(protocol),
            routes=tuple(read_route(each, path, each) for path, each in (routes.items() if routes is not None else [])),
        )
    )


def _function(service: str, name: str, field: Field, project: Project) -> None:
    field.need("Type").choice([_FUNCTION_TYPE])
    check_name(field, "function", name)
    project.functions.append(read_function(field.need("Properties"), service, name, project, capital=True))
    events = field.get("Events")
    for event, value in events.items() if events is not None else []:
        with project.tolerating():
            _event(event, value, (service, name), project)


def _event(name: str, field: Field, function: tuple[str, str], project: Project) -> None:
    kind = field.need("Type").choice(_EVENTS)
    if kind == "HTTP":
        project.triggers.append(http_trigger(field, function, name, field.need("Properties"), convention="handler"))
    else:
        project.unsupported.append(f"{kind} trigger {name} of function {function[0]}/{function[1]}")
