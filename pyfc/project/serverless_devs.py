"""Serverless Devs' s.yaml: components fc (FC 2) and fc3 (FC 3, whose functions stand in service `default`)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Service
from pyfc.model.names import DEFAULT_SERVICE
from pyfc.model.resources import Domain, Route
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.files import MOST, read_bytes
from pyfc.project.interface import Project
from pyfc.project.properties import (
    FUNCTION,
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

NAMES = ("s.yaml", "s.yml")
_ROOT = ("edition", "name", "access", "vars", "services", "resources", "actions", "flow", "template", "extend")
_LATER = ("role", "vpcConfig", "nasConfig", "ossMountConfig", "vpcBinding", "tracingConfig", "tags")
_FC3_SERVICE = ("region", "internetAccess", "logConfig", "triggers", *_LATER)
_TOOL_ONLY = ("endpoint", "annotations", "supplement", "buildDir")
_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
_CALL = re.compile(r"(\w+)\((.*)\)")


class _Expressions:
    """Resolves `${...}`: vars, env, path and file; anything else is left as it is and noted."""

    def __init__(self, document: Field, project: Project) -> None:
        self._vars = document.get("vars")
        self._project = project
        self._files: dict[Path, Field | str] = {}

    def __call__(self, field: Field, text: str) -> Field | str:
        whole = _EXPRESSION.fullmatch(text.strip())
        return self._value(field, whole.group(1).strip()) if whole is not None else self._replaced(field, text)

    def _replaced(self, field: Field, text: str) -> str:
        """Text with each expression in it resolved. Variables are not resolved again, so they can not multiply."""
        found: list[str] = []
        at = size = 0
        for match in _EXPRESSION.finditer(text):
            value = self._value(field, match.group(1).strip())
            found += [text[at : match.start()], value.text() if isinstance(value, Field) else value]
            at = match.end()
            size += len(found[-1])
            if size > MOST:
                raise field.error("too long with what it stands for", f"at most {MOST} characters")
        return "".join([*found, text[at:]])

    def _value(self, field: Field, expression: str) -> Field | str:
        if expression.startswith("vars."):
            return self._variable(field, expression)
        if expression.startswith("env."):
            return self._environment(field, expression.removeprefix("env."), None)
        call = _CALL.fullmatch(expression)
        if call is not None and call.group(1) == "file":
            return self._file(field, call.group(2).strip().strip("'\""))
        if call is not None and call.group(1) in {"env", "path"}:
            arguments = [part.strip().strip("'\"") for part in call.group(2).split(",", 1)]
            if call.group(1) == "path":
                return self._path(field, arguments[0])
            return self._environment(field, arguments[0], arguments[1] if len(arguments) > 1 else None)
        note = f"${{{expression}}} in {field.name}"
        if note not in self._project.unsupported:
            self._project.unsupported.append(note)
        return f"${{{expression}}}"

    def _path(self, field: Field, name: str) -> str:
        """A place beside the template, which need not be there."""
        path = field.file.parent / name
        try:
            self._project.boundary.check(path)
        except InvalidArgument as error:
            raise ProjectError(where=field.where, message=str(error)) from error
        return str(path)

    def _file(self, field: Field, name: str) -> Field | str:
        """What stands in a file beside the template: YAML as a value, anything else as text."""
        path = field.file.parent / name
        if path not in self._files:
            self._files[path] = self._read(field, path)
        return self._files[path]

    def _read(self, field: Field, path: Path) -> Field | str:
        if path.suffix in {".yml", ".yaml", ".json"}:
            return read_document(path, self._project.boundary, field.where)
        try:
            return read_bytes(path, self._project.boundary, field.where).decode("utf-8")
        except UnicodeDecodeError as error:
            raise field.error(f"'${{file({path.name})}}'", f"a file of text that can be read ({error})") from error

    def _variable(self, field: Field, expression: str) -> Field | str:
        value = self._vars
        for name in expression.split(".")[1:]:
            value = value.get(name) if value is not None and value.is_mapping() else None
        if value is None:
            raise field.error(f"'${{{expression}}}'", "a name that stands under vars")
        return value

    @staticmethod
    def _environment(field: Field, name: str, default: str | None) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise field.error(f"'${{env.{name}}}'", f"an environment variable that is set ({name} is not)")
        return value


def read(path: Path, boundary: Boundary) -> Project:
    """The project that the template declares. Raises ProjectError with file and line."""
    plain = read_document(path, boundary)
    project = Project(root=path.parent, boundary=boundary, source=path)
    document = Field(plain.file, plain.name, plain.node, _Expressions(plain, project))
    project.warnings.extend(document.unknown(_ROOT))
    if document.get("extend") is not None:
        project.unsupported.append("extend")
    resources = document.get("resources") or document.get("services")
    for name, resource in resources.items() if resources is not None else []:
        component = resource.need("component").text()
        kind = component.split("@")[0].rstrip("/").rsplit("/", 1)[-1]
        if kind == "fc":
            _fc(resource.need("props"), project)
        elif kind == "fc3":
            _fc3(resource.need("props"), project)
        else:
            project.unsupported.append(f"component {component} of {name}")
    return project


def _fc(props: Field, project: Project) -> None:
    service = props.need("service")
    name = check_name(service.need("name"), "service")
    what = f"service {name}"
    project.warnings.extend(service.unknown(SERVICE))
    note_later(service, _LATER, what, project, capital=False)
    log_project, log_store = log_names(service, what, project, capital=False)
    description = service.get("description")
    _add_service(
        Service(
            name=name,
            description=description.text() if description is not None else "",
            log_project=log_project,
            log_store=log_store,
            internet_access=internet_access(service),
        ),
        project,
    )
    domains = props.get("customDomains")
    function = props.get("function")
    own = (name, function.need("name").text()) if function is not None else None
    for domain in domains.elements() if domains is not None else []:
        _domain(domain, own, project)
    if function is not None:
        function_name = check_name(function.need("name"), "function")
        _add_function(function, function, name, function_name, project)
        _triggers(props, (name, function_name), project, style="fc")


def _domain(field: Field, own: tuple[str, str] | None, project: Project) -> None:
    """A domain. `own`: service and function of the same declaration. `auto` is the name that the function has here
    anyway, and every path is the function's if nothing else is said.
    """
    name, protocol, configs = field.need("domainName").text(), field.get("protocol"), field.get("routeConfigs")
    found: list[Route] = []
    if name == "auto" and own is not None:
        service, function = own
        name = f"{function}.{service}.localhost"
        if configs is None:
            found.append(Route(path="/*", service=service, function=function))
    if not found:
        routes = field.need("routeConfigs").elements()
        found += [read_route(each.need("path"), each.need("path").text(), each) for each in routes]
    project.domains.append(
        Domain(
            name=name.lower(),
            protocol=read_protocol(protocol),
            routes=tuple(found),
        )
    )


def _fc3(props: Field, project: Project) -> None:
    name = check_name(props.need("functionName"), "function")
    what = f"function {name}"
    known = [*FUNCTION, *_FC3_SERVICE, *_TOOL_ONLY]
    note_later(props, _LATER, what, project, capital=False)
    log_names(props, what, project, capital=False)
    _add_service(Service(name=DEFAULT_SERVICE), project)
    before = len(project.warnings)
    _add_function(props, props, DEFAULT_SERVICE, name, project)
    project.warnings[before:] = props.unknown(known)
    _triggers(props, (DEFAULT_SERVICE, name), project, style="fc3")


def _add_service(service: Service, project: Project) -> None:
    """Several functions of a file may name the same service; the first description stands."""
    if all(known.name != service.name for known in project.services):
        project.services.append(service)


def _add_function(field: Field, named: Field, service: str, name: str, project: Project) -> None:
    for other in project.functions:
        if (other.function.service, other.function.name) == (service, name):
            raise ProjectError(
                where=named.where,
                message=f"function {service}/{name} is declared a second time (first at {other.where})",
            )
    project.functions.append(read_function(field, service, name, project, capital=False))


def _triggers(props: Field, function: tuple[str, str], project: Project, *, style: str) -> None:
    triggers = props.get("triggers")
    keys = ("name", "type", "config") if style == "fc" else ("triggerName", "triggerType", "triggerConfig")
    for trigger in triggers.elements() if triggers is not None else []:
        name, kind = trigger.need(keys[0]).text(), trigger.need(keys[1]).text()
        if kind == "http":
            convention = "handler" if style == "fc" else "event"
            project.triggers.append(http_trigger(trigger, function, name, trigger.need(keys[2]), convention=convention))
        else:
            project.unsupported.append(f"{kind} trigger {name} of function {function[0]}/{function[1]}")
