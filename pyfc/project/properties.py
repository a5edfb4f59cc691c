"""What template files declare, read by the shapes of FC's own objects (pyfc/documents): Funcraft's and Serverless Devs'
files differ in the case of letters, and in what is declared here.

What is wrong is told with file, line and property; what pyfc cannot honour yet is noted, never dropped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pyfc.documents import shapes, triggers, values
from pyfc.documents.configurations import config_of
from pyfc.documents.objects import domain_of, function_of, route_of, service_of
from pyfc.documents.reader import Document, Place, Reader, WrongProperty, names, properties, shown
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Service
from pyfc.model.mounts import can_mount
from pyfc.model.names import DEFAULT_SERVICE, LATEST, is_name
from pyfc.model.permissions import Policies
from pyfc.model.resources import ASYNC, Config, Domain, Route
from pyfc.project import automatic
from pyfc.project.document import Field
from pyfc.project.files import is_there
from pyfc.project.interface import Declaration, Project
from pyfc.project.policies import read_policies
from pyfc.project.shapes import (
    FileAsynchronous,
    FileDomain,
    FileFunction,
    FileRoute,
    FileService,
)

METHODS: tuple[str, ...] = get_args(values.Method)
_SERVED = ("python3", "nodejs", "custom", "go1")
_NOTED_OF_SERVICE = (
    "vpcConfig",
    "nasConfig",
    "ossMountConfig",
    "tracingConfig",
    "vpcBinding",
    "tags",
)
_NOTED_OF_FUNCTION = (
    "customContainerConfig", "customDNS", "instanceType", "instanceSoftConcurrency", "cpu", "gpuMemorySize",
    "gpuConfig", "ossBucket", "ossKey", "resourceGroupId", "concurrencyConfig", "sessionAffinity",
    "sessionAffinityConfig", "instanceIsolationMode", "provisionConfig", "scalingConfig", "idleTimeout",
    "disableOndemand", "vpcConfig", "nasConfig", "ossMountConfig", "vpcBinding", "tracingConfig", "tags",
)  # fmt: skip


_AUTO = "auto"
"""What has the tool make something in the cloud."""
_KEPT = names(shapes.Kept)
"""What may be text in files, such as Auto: a tool makes it in the cloud then."""
BESIDE_TRIGGERS = ("invocationRole", "role", "qualifier", "sourceArn", "description")
"""What triggers of every type have, which files also write among what one type has."""
_NAMES_OF_TOOLS: dict[type[shapes.Shape], tuple[str, ...]] = {
    shapes.NasMount: ("nasDir", "fcDir"),
    **dict.fromkeys(triggers.TRIGGERS.values(), BESIDE_TRIGGERS),
}
"""Names of tools for what FC's objects have elsewhere, or do not have."""


_TRUTH = {"yes": True, "on": True, "no": False, "off": False}
"""What YAML has besides true and false."""


class FileReader(Reader):
    """Reads parts of a file."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def truth(self, text: str) -> Any:
        """See Reader."""
        return _TRUTH.get(text.lower(), super().truth(text))

    def unfold(self, value: Any) -> Any:
        """A field as what stands there."""
        if not isinstance(value, Field):
            return value
        if value.is_null():
            return None
        field = value.resolved()
        if field.is_mapping():
            return dict(field.items())
        return field.elements() if field.is_list() else field.text()

    def _value(self, value: Any, kind: Any, place: Place) -> Any:
        if len(place) != 1 or place[0] not in _KEPT:
            return super()._value(value, kind, place)
        try:
            return super()._value(value, kind | dict[str, Any] if place[0] == "role" else str | kind, place)
        except ProjectError:
            return None  # it is computed in the cloud: noted like all that is made there

    def plain(self, value: Any) -> Any:
        """A field with everything in it."""
        return value.plain() if isinstance(value, Field) else value

    def unknown(self, value: Any, shape: type[shapes.Shape], strange: Sequence[str]) -> None:
        """A warning for each, with a guess; a mistake where it may be what says what fires a trigger."""
        if not properties(shape):
            return  # nothing is known of it
        known = [*names(shape), *(name for name, _ in value.items() if name not in strange)]
        known += _NAMES_OF_TOOLS.get(shape, ())
        _check_selecting(value, shape, strange)
        self._project.warnings.extend(value.unknown(known))

    def declared(self, field: Field, shape: type[shapes.Shape]) -> Document:
        """What a field says by the names of the shape, without what is read elsewhere."""
        with located(field):
            found = self.read(field, shape, partial=True)
        return {name: value for name, value in found.items() if properties(shape)[name.lower()].type is not Any}


def _check_selecting(value: Field, shape: type[shapes.Shape], strange: Sequence[str]) -> None:
    """Raises ProjectError for a name that seems to be meant for one of those that say what fires."""
    fields = dict(value.items())
    for name in strange:
        if (right := triggers.meant(shape, name)) and name not in _NAMES_OF_TOOLS.get(shape, ()):
            field = fields[name]
            text = f"is not a property that pyfc knows; {right} says what fires the function: did you mean that?"
            raise ProjectError(where=field.where, message=f"{field.problem_place} {text}")


@contextlib.contextmanager
def located(field: Field) -> Iterator[None]:
    """What is wrong below `field` is told with file and line."""
    try:
        yield
    except WrongProperty as mistake:
        raise error_of(field, mistake) from None


def error_of(field: Field, mistake: WrongProperty, above: str = "") -> ProjectError:
    """What is wrong below `field`, with file and line. `above`: what the place begins with that is the field itself."""
    return _error(field, mistake, mistake.place[1:] if above and mistake.place[:1] == (above,) else mistake.place)


def _error(field: Field, mistake: WrongProperty, rest: Place) -> ProjectError:
    while rest and (inner := _part(field, rest[0])) is not None:
        field, rest = inner, rest[1:]
    if mistake.missing and not rest:
        field.need(mistake.missing)  # it tells so itself, in the case that the file has
    if mistake.found and not rest:
        return field.error(mistake.found, mistake.allowed)
    place = ".".join(part for part in (field.problem_place, shown(rest)) if part)
    return ProjectError(where=field.where, message=f"{place} {mistake.text}")


def _part(field: Field, part: str | int) -> Field | None:
    if isinstance(part, int):
        elements = field.elements() if field.is_list() else []
        return elements[part] if part < len(elements) else None
    found = field.items() if field.is_mapping() else []
    return next((each for name, each in found if name.lower() == part.lower()), None)


def check_name(field: Field, what: str, text: str | None = None) -> str:
    """The name of a service, function or trigger."""
    name = field.text() if text is None else text
    if not is_name(name):
        raise field.error(f"the {what} name '{name}'", values.NAME)
    return name


def note_later(field: Field, noted: tuple[str, ...], what: str, project: Project, *, capital: bool) -> None:
    """Note the properties among `noted` that are set."""
    for name in noted:
        value = field.get(name)
        if value is not None and not _is_off(value) and not _is_mounted(name, value):
            shown_name = name[:1].upper() + name[1:] if capital else name
            project.unsupported.append(f"{shown_name} of {what}")


def _is_mounted(name: str, value: Field) -> bool:
    """Whether it declares mounts all of which are shown here."""
    if name not in {"nasConfig", "ossMountConfig"}:
        return False
    if not value.is_mapping():
        return name == "nasConfig" and not value.is_list() and value.text().lower() == _AUTO
    places = [each.get("mountDir") or each.get("fcDir") for each in _mount_points(value)]
    return bool(places) and all(place is not None and can_mount(place.text()) for place in places)


def _mount_points(config: Field) -> list[Field]:
    points = config.get("mountPoints")
    return points.elements() if points is not None and points.is_list() else []


def _with_mounts(document: Document, field: Field, owner: str) -> Document:
    """With the NAS that `auto` would make, one for each service or function, and with mounts as FC has them where a
    tool spells them `serverAddr`, `nasDir`, `fcDir`.
    """
    config = document.get("nasConfig")
    if isinstance(config, str) and config.lower() == _AUTO:
        return {**document, "nasConfig": {"mountPoints": [{"serverAddr": f"auto:/{owner}", "mountDir": "/mnt/auto"}]}}
    points = config.get("mountPoints") if isinstance(config, dict) else None
    for point, written in zip(points or [], _mount_points(field.need("nasConfig")) if points else [], strict=True):
        place, folder = written.get("fcDir"), written.get("nasDir")
        if place is not None and not point.get("mountDir"):
            point["mountDir"] = place.text()
            point["serverAddr"] = f"{point.get('serverAddr', '')}:{folder.text() if folder is not None else '/'}"
    return document


def _is_off(value: Field) -> bool:
    """Whether a value asks for nothing: empty, or switched off."""
    try:
        return not value.items() if value.is_mapping() else value.text().lower() in {"", "disable", "false"}
    except ProjectError:  # a list, or what is computed
        return False


def _settled(document: Document, what: str, project: Project, *, capital: bool) -> Document:
    """Without what a tool would make in the cloud, after that is noted."""
    made = {name for name in _KEPT if name != "role" and isinstance(document.get(name), str)}
    if isinstance(document.get("role"), dict):
        made.add("role")
    if "logConfig" in made:
        project.unsupported.append(f"{'LogConfig' if capital else 'logConfig'}: {document['logConfig']} of {what}")
    return {name: value for name, value in document.items() if name not in made}


def _with_logs(document: Document, made: Document) -> Document:
    """With `made`, the logConfig that a tool makes, where `auto` asks for it."""
    text = document.get("logConfig")
    found = automatic.declared(text, made) if isinstance(text, str) else None
    return document if found is None else {**document, "logConfig": found}


def read_service(field: Field | None, name: str, project: Project, *, capital: bool) -> Service:
    """A service from its properties."""
    what = f"service {name}"
    if field is None:
        return Service(name=name)
    document = _with_mounts(FileReader(project).declared(field, FileService), field, name)
    note_later(field, _NOTED_OF_SERVICE, what, project, capital=capital)
    policies = _policies(field, what, project, capital=capital)
    logs = automatic.of_funcraft(project.given) if capital else automatic.of_service(project.given, name)
    with located(field):
        service = service_of(
            {**_settled(_with_logs(document, logs), what, project, capital=capital), "serviceName": name}
        )
    return replace(service, policies=policies)


def _policies(field: Field, what: str, project: Project, *, capital: bool) -> Policies:
    """What its credentials may do; a role that says nothing of that is noted."""
    policies = read_policies(field, what, project)
    if not policies:
        note_later(field, ("role",), what, project, capital=capital)
    return policies


def read_function(
    field: Field,
    service: str,
    name: str,
    project: Project,
    *,
    capital: bool,
    shape: type[FileFunction] = FileFunction,
    usual: Document | None = None,
) -> Declaration:
    """One function from its properties. `shape`: with what the format has beside them. `usual`: what the format's tool
    says where the file says nothing.
    """
    what = f"function {service}/{name}"
    document = _with_mounts(FileReader(project).declared(field, shape), field, name)
    note_later(field, _NOTED_OF_FUNCTION, what, project, capital=capital)
    logs = automatic.of_function(project.given)
    with located(field):
        document = _settled(_with_logs(document, logs), what, project, capital=capital)
        function = function_of(service, {**(usual or {}), **document, "functionName": name})
    function = replace(function, policies=_policies(field, what, project, capital=capital))
    if (asynchronous := _asynchronous(field, service, name, project)) is not None:
        project.configs.append(asynchronous)
    return Declaration(function=function, code=_code(field, what, project), where=field.where)


def _asynchronous(field: Field, service: str, name: str, project: Project) -> Config | None:
    """`asyncConfiguration` (Funcraft, `s` for FC 2) or `asyncInvokeConfig` (FC 3), in the words of FC's API."""
    value = field.get("asyncConfiguration") or field.get("asyncInvokeConfig")
    if value is None:
        return None
    document = FileReader(project).declared(value, FileAsynchronous)
    qualifier = document.pop("qualifier", LATEST)
    for key, given in document.pop("destination", {}).items():
        arn = given["destination"] if isinstance(given, dict) else given
        document.setdefault("destinationConfig", {})[key] = {"destination": arn}
    if document.pop("asyncTask", False):
        document["statefulInvocation"] = True
    with located(value):
        return config_of(ASYNC, service, name, qualifier, document)


def read_domain(field: Field, name: str, routes: Sequence[Route], project: Project) -> Domain:
    """A custom domain."""
    document = FileReader(project).declared(field, FileDomain)
    with located(field):
        return replace(domain_of({**document, "domainName": name}), routes=tuple(routes))


def read_route(path: str, field: Field, project: Project, own: tuple[str, str] | None = None) -> Route:
    """One route of a domain: `field` names the function, which is `own` if it names none."""
    document = FileReader(project).declared(field, FileRoute)
    if (rewrite := field.get("rewriteConfig")) is not None:
        document["rewriteConfig"] = rewrite.plain() if rewrite.is_mapping() else {"equalRules": rewrite.plain()}
    service, function = own or (DEFAULT_SERVICE, "")
    with located(field):
        return route_of(
            {"functionName": function, **document, "path": path} if own else {**document, "path": path}, service
        )


def _code(field: Field, what: str, project: Project) -> Path | None:
    value = field.get("codeUri") or field.get("code")
    value = value.get("src") if value is not None and value.is_mapping() else value
    if value is None:
        is_elsewhere = (field.get("ossBucket") or field.get("ossBucketName")) is not None
        return None if is_elsewhere else Path(os.path.realpath(field.file.parent))
    text = value.text()
    if text.startswith("oss://"):
        project.unsupported.append(f"code at {text} of {what}")
        return None
    path = _checked(value, text, project)
    if not is_there(path) and field.need("runtime").text().startswith(_SERVED):
        raise value.error(f"'{text}'", f"an existing file, folder or zip ({path} does not exist)")
    return path


def _checked(field: Field, text: str, project: Project) -> Path:
    try:
        return project.boundary.check(field.file.parent / text)
    except InvalidArgument as error:
        raise ProjectError(where=field.where, message=str(error)) from error
