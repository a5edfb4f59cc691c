"""Serverless Devs' s.yaml: components fc (FC 2) and fc3 (FC 3, whose functions stand in service `default`)."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyfc.boundary import Boundary
from pyfc.build.actions import Action
from pyfc.documents.triggers import TYPES
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Service
from pyfc.model.names import DEFAULT_SERVICE
from pyfc.model.resources import Route
from pyfc.project import components, inheritance, overlays
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Given, Project
from pyfc.project.properties import BESIDE_TRIGGERS, check_name, read_domain, read_function, read_route, read_service
from pyfc.project.scope import Scope
from pyfc.project.shapes import Elsewhere, FileFunction
from pyfc.project.triggers import http_trigger, other_trigger

NAMES = ("s.yaml", "s.yml")
_ROOT = ("edition", "name", "access", "vars", "services", "resources", "actions", "flow", "template", "extend", "env")
_BEFORE = ("pre-deploy", "pre-build")
_OF_TOOLS = ("s ", "fun ")
"""How command lines begin that call the tool itself: what they build is built anyway."""
_RESOURCE = ("component", "props", "actions", "access", "extend")


_USUAL = {"runtime": "nodejs10", "handler": "index.handler"}
"""What component fc makes of a function that does not say."""


class _Fc3Function(FileFunction):
    """A function of FC 3, with what stands beside it."""

    region: Elsewhere = None
    triggers: Elsewhere = None
    endpoint: Elsewhere = None
    annotations: Elsewhere = None
    supplement: Elsewhere = None
    build_dir: Elsewhere = None


def read(path: Path, boundary: Boundary, given: Given) -> Project:
    """The project that the template declares. Raises ProjectError with file and line."""
    project = Project(root=path.parent, boundary=boundary, source=path, given=given)
    plain = inheritance.filled(
        inheritance.extended(read_document(path, boundary), boundary, given, project.files), project
    )
    scope = Scope.over(plain, boundary, given)
    if given.environment and plain.get("resources") is not None:
        scope = Scope.over(overlays.applied(scope, project), boundary, given)
    document = scope.document
    project.warnings.extend(document.unknown(_ROOT))
    _actions(document, project.root.name, project)
    resources = document.get("resources") or document.get("services")
    for name, resource in resources.items() if resources is not None else []:
        with project.tolerating():
            _resource(name, resource.read_by(scope.of(name)), project, given)
    wrong = {str(each.error.fields["where"]) for each in project.mistakes}
    project.warnings.extend(text for where, text in scope.warnings() if where not in wrong)
    return project


def _resource(name: str, resource: Field, project: Project, given: Given) -> None:
    kind = components.kind_of(resource, project.boundary)
    if kind is None:
        project.unsupported.append(f"component {resource.need('component').text()} of {name}")
        return
    project.warnings.extend(resource.unknown(_RESOURCE))
    _actions(resource, name, project)
    props = resource.need("props")
    if kind == components.FC:
        _fc(props, project, given)
    elif kind == components.FC3:
        _fc3(props, project, given)
    else:
        _domain(props, props.need("routeConfig").need("routes"), None, project)


def _actions(field: Field, what: str, project: Project) -> None:
    """Command lines before a deployment, which `pyfc build` runs; all others are named."""
    with project.tolerating():
        actions = field.get("actions")
        for hook, steps in actions.items() if actions is not None and actions.is_mapping() else []:
            for step in steps.elements() if not steps.is_null() else []:
                _action(step, hook, what, project)


def _action(step: Field, hook: str, what: str, project: Project) -> None:
    line, path = step.get("run"), step.get("path")
    text = line.text() if line is not None else ""
    if hook in _BEFORE and text and not text.startswith(_OF_TOOLS):
        folder = _checked(step, project.root / (path.text() if path is not None else ""), project)
        project.actions.append(Action(step.where, text, folder))
    else:
        shown = text or next(
            (f"{name} {step.need(name).text()}" for name in ("component", "plugin") if step.get(name)), ""
        )
        project.unsupported.append(f"action {hook} of {what} ({shown[:80]})")


def _checked(field: Field, path: Path, project: Project) -> Path:
    try:
        return project.boundary.check(path)
    except InvalidArgument as error:
        raise ProjectError(where=field.where, message=str(error)) from error


def _fc(props: Field, project: Project, given: Given) -> None:
    service = props.need("service")
    name = check_name(service.need("name"), "service")
    _add_service(read_service(service, name, project, capital=False), project)
    function = props.get("function")
    own = None
    if function is not None:
        own = (name, check_name(function.need("name"), "function"))
        if _is_chosen(function, own, _region(props), project, given):
            with project.tolerating(own):
                _add_function(function, own, _region(props), project)
                _triggers(props, own, project, style="fc")
    domains = props.get("customDomains")
    for domain in domains.elements() if domains is not None else []:
        with project.tolerating():
            _domain(domain, domain.get("routeConfigs"), own, project)


def _domain(field: Field, routes: Field | None, own: tuple[str, str] | None, project: Project) -> None:
    """A domain. `own`: service and function of the same declaration. `auto` is the name that its function has here
    anyway, and every path is the function's if nothing else is said.
    """
    named = field.need("domainName")
    name = named.text()
    is_auto = name.lower() == "auto"
    if routes is None and is_auto and own is not None:
        found = [Route(path="/*", service=own[0], function=own[1])]
    else:
        routes = routes or field.need("routeConfigs")
        found = [read_route(each.need("path").text(), each, project, own) for each in routes.elements()]
    if is_auto:
        name = _made_up(found, own)
    elif "${" in name or "{{" in name:
        raise named.error(f"'{name}'", "the name of a domain, or auto")
    project.domains.append(read_domain(field, name, found, project))


def _made_up(routes: Sequence[Route], own: tuple[str, str] | None) -> str:
    """The name of a domain that is `auto`: that of its function, or the first."""
    service, function = own or next(((each.service, each.function) for each in routes), (DEFAULT_SERVICE, "auto"))
    return f"{function}.{service}.localhost"


def _fc3(props: Field, project: Project, given: Given) -> None:
    name = check_name(props.need("functionName"), "function")
    _add_service(Service(name=DEFAULT_SERVICE), project)
    own = (DEFAULT_SERVICE, name)
    if _is_chosen(
        props, own, _region(props), project, given
    ):  # a second one is a mistake that the first has no part in
        with project.tolerating(own):
            _add_function(props, own, _region(props), project, _Fc3Function)
            _triggers(props, own, project, style="fc3")


def _add_service(service: Service, project: Project) -> None:
    """Several functions of a file may name the same service; the first description stands."""
    if all(known.name != service.name for known in project.services):
        project.services.append(service)


def _region(props: Field) -> str:
    region = props.get("region")
    return region.text() if region is not None else ""


def _is_chosen(field: Field, own: tuple[str, str], region: str, project: Project, given: Given) -> bool:
    """Whether this function is served: of those of one name that differ in region only the one for this server's is, or
    the first. Takes one that was read before out of the project. Raises ProjectError for a second one of one region.
    """
    other = next((each for each in project.functions if (each.function.service, each.function.name) == own), None)
    if other is None:
        return True
    if not region or not other.region or region == other.region:
        message = f"function {own[0]}/{own[1]} is declared a second time (first at {other.where})"
        raise ProjectError(where=field.where, message=message)
    is_new = region == given.region
    left, served, at = (other, region, field.where) if is_new else (field, other.region, other.where)
    project.warnings.append(
        f"{left.where}: function {own[0]}/{own[1]} is left out: the one for {served} is served, declared at {at} "
        "(PYFC_REGION chooses)"
    )
    if is_new:
        project.functions.remove(other)
        for kind in (project.triggers, project.event_triggers, project.configs):
            _take_out(kind, own)
    return is_new


def _take_out(kind: list[Any], own: tuple[str, str]) -> None:
    kind[:] = [each for each in kind if (each.service, each.function) != own]


def _add_function(
    field: Field, own: tuple[str, str], region: str, project: Project, shape: type[FileFunction] = FileFunction
) -> None:
    usual = _USUAL if shape is FileFunction else None
    declaration = read_function(field, *own, project, capital=False, shape=shape, usual=usual)
    project.functions.append(dataclasses.replace(declaration, region=region))


def _triggers(props: Field, function: tuple[str, str], project: Project, *, style: str) -> None:
    triggers = props.get("triggers")
    for trigger in triggers.elements() if triggers is not None else []:
        with project.tolerating():
            _trigger(trigger, function, project, style)


def _trigger(field: Field, function: tuple[str, str], project: Project, style: str) -> None:
    keys = ("name", "type", "config") if style == "fc" else ("triggerName", "triggerType", "triggerConfig")
    name, kind = field.need(keys[0]).text(), field.need(keys[1]).text()
    project.warnings.extend(field.unknown((*keys, *BESIDE_TRIGGERS)))
    if kind == "http":
        convention = "handler" if style == "fc" else "event"
        config = field.need(keys[2])
        project.triggers.append(http_trigger(field, function, name, config, project, convention=convention))
    elif kind in TYPES:
        project.event_triggers.append(other_trigger(field, function, name, kind, field.get(keys[2]), project))
    else:
        _check_type(field.need(keys[1]), kind)
        project.unsupported.append(f"{kind} trigger {name} of function {function[0]}/{function[1]}")


def _check_type(field: Field, kind: str) -> None:
    """Raises ProjectError for a type of triggers that seems to be meant for one of FC's."""
    if difflib.get_close_matches(kind, TYPES, 1):
        raise field.error(f"'{kind}'", f"one of {', '.join(sorted(TYPES))}")
