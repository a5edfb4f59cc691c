"""Funcraft's template (`Transform: Aliyun::Serverless-2018-04-03`), as `fun` 3.6 reads it."""

from __future__ import annotations

from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project import apis
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Given, Project
from pyfc.project.properties import check_name, read_domain, read_function, read_route, read_service
from pyfc.project.triggers import http_trigger, other_trigger

NAMES = ("template.yml", "template.yaml", "faas.yml")
_TRANSFORM = "Aliyun::Serverless-2018-04-03"
_SERVICE_TYPE = "Aliyun::Serverless::Service"
_DOMAIN_TYPE = "Aliyun::Serverless::CustomDomain"
_FUNCTION_TYPE = "Aliyun::Serverless::Function"
_EVENTS = ("HTTP", "Timer", "Log", "OSS", "MNSTopic", "RDS", "TableStore", "CDN", "Datahub", "Api")
_TYPES = {
    "Timer": "timer", "Log": "log", "OSS": "oss", "MNSTopic": "mns_topic", "RDS": "rds", "TableStore": "tablestore",
    "CDN": "cdn_events", "Datahub": "datahub",
}  # fmt: skip
"""Types of triggers that a source of events fires, by Funcraft's names."""
_ROOT = (
    "ROSTemplateFormatVersion", "Transform", "Description", "Parameters", "Mappings", "Conditions", "Outputs",
    "Globals", "Resources", "Metadata",
)  # fmt: skip


def is_foreign(path: Path, boundary: Boundary) -> bool:
    """Whether a file of such a name is another tool's, as a base that an s.yaml extends may be."""
    try:
        return not {"Transform", "Resources", "ROSTemplateFormatVersion"} & {
            *dict(read_document(path, boundary).items())
        }
    except ProjectError:
        return False  # whoever reads it says what is wrong with it


def read(path: Path, boundary: Boundary, given: Given) -> Project:
    """The project that the template declares. Raises ProjectError with file and line."""
    document = read_document(path, boundary)
    project = Project(root=path.parent, boundary=boundary, source=path, given=given)
    project.warnings.extend(document.unknown(_ROOT))
    document.need("Transform").choice([_TRANSFORM])
    if document.get("Globals") is not None:
        project.unsupported.append("Globals")
    resources = document.get("Resources")
    groups: list[tuple[str, Field]] = []
    """Of APIs, which call functions that may stand below them."""
    for name, resource in resources.items() if resources is not None else []:
        with project.tolerating():
            kind = resource.need("Type").text()
            if kind == _SERVICE_TYPE:
                _service(name, resource, project)
            elif kind == _DOMAIN_TYPE and name != "Auto":
                _domain(name, resource, project)
            elif kind == apis.TYPE:
                groups.append((name, resource))
            else:
                project.unsupported.append(f"{kind.removeprefix('Aliyun::Serverless::')} {name}")
    for name, resource in groups:
        with project.tolerating():
            apis.read_apis(name, resource, project)
    return project


def _service(name: str, resource: Field, project: Project) -> None:
    check_name(resource, "service", name)
    project.services.append(read_service(resource.get("Properties"), name, project, capital=True))
    for key, field in resource.items():
        if key not in {"Type", "Properties"}:
            with project.tolerating((name, key)):
                _function(name, key, field, project)


def _domain(name: str, resource: Field, project: Project) -> None:
    properties = resource.need("Properties")
    named = properties.get("DomainName")
    text = named.text() if named is not None else name
    if text == "Auto":
        text = f"{name}.localhost"  # FC makes up a name that leads to it; this one leads to this machine
    routes = properties.need("RouteConfig").get("Routes")
    found = [read_route(path, each, project) for path, each in (routes.items() if routes is not None else [])]
    project.domains.append(read_domain(properties, text, found, project))


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
    project.warnings.extend(field.unknown(("Type", "Properties")))
    if kind == "HTTP":
        trigger = http_trigger(field, function, name, field.need("Properties"), project, convention="handler")
        project.triggers.append(trigger)
    elif (named := _TYPES.get(kind)) is not None:
        config = field.get("Properties")
        project.event_triggers.append(other_trigger(config or field, function, name, named, config, project))
    else:
        project.unsupported.append(f"{kind} trigger {name} of function {function[0]}/{function[1]}")
