"""APIs of the API gateway in Funcraft's templates (`Aliyun::Serverless::Api`): each method of each path becomes a
trigger of the function that it names.
"""

from __future__ import annotations

import re
from typing import get_args

from pyfc.documents.reader import Document, WrongProperty
from pyfc.documents.triggers import ApiTrigger
from pyfc.documents.values import Method
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.regular import WrongExpression, compiled
from pyfc.model.trigger import Trigger
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Project
from pyfc.project.properties import FileReader, check_name, error_of

TYPE = "Aliyun::Serverless::Api"
_PREFIX = "x-aliyun-apigateway-"
_PROPERTIES = {
    f"{_PREFIX}request-config": "requestConfig", f"{_PREFIX}request-parameters": "requestParameters",
    f"{_PREFIX}service-parameters": "serviceParameters", f"{_PREFIX}service-parameters-map": "serviceParametersMap",
    f"{_PREFIX}auth-type": "authType",
}  # fmt: skip
_OTHERS = (
    "api-name", "fc", "description", "visibility", "allow-signature-method", "app-code-auth-type", "disable-internet",
    "error-code-sample", "fail-result-sample", "force-nonce-check", "open-id-connect-config", "openid-connect-config",
    "result-sample", "result-type", "websocket-api-type",
)  # fmt: skip
"""What Funcraft reads besides."""
_METHODS = {
    **{name.lower(): name for name in get_args(Method)}, "any": "ANY", f"{_PREFIX}any-method": "ANY",
}  # fmt: skip
_BESIDE = {"openapi", "swagger", "info", "components", "basePath", "host", "schemes"}
"""What may stand beside the paths."""
_BESIDE_METHODS = {"parameters", "summary", "description", "servers", "$ref"}
_ARN = re.compile(r"services/(?:\$\{)?([^/}.]+)(?:\.Arn\})?/functions/(?:\$\{)?([^/}.]+)(?:\.Arn\})?/?$")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


def read_apis(name: str, resource: Field, project: Project) -> None:
    """The APIs of one group, whose name is that of the resource. What they call must be there already."""
    check_name(resource, "API group", name)
    properties = resource.need("Properties")
    stage = properties.need("StageName").text()
    definition = _definition(properties, project)
    if definition is None:
        return
    paths = definition.get("paths") or definition
    for path, methods in paths.items():
        if path in _BESIDE:
            continue
        if not path.startswith("/"):
            raise methods.error(f"the path '{path}'", "a path that begins with /")
        for method, field in methods.items():
            if method in _BESIDE_METHODS:
                continue
            with project.tolerating():
                trigger = _api(name, stage, path, method, field, project)
                _check_alone(field, trigger, project)
                project.event_triggers.append(trigger)


def _definition(properties: Field, project: Project) -> Field | None:
    """What describes the APIs: in the template, or in a file of its own."""
    body = properties.get("DefinitionBody")
    place = properties.get("DefinitionUri")
    if body is not None or place is None:
        return body
    try:
        path = project.boundary.check(place.file.parent / place.text())
    except InvalidArgument as error:
        raise ProjectError(where=place.where, message=str(error)) from error
    project.files.append(path)
    return read_document(path, project.boundary, place.where)


def _api(group: str, stage: str, path: str, method: str, field: Field, project: Project) -> Trigger:
    target = field.need(f"{_PREFIX}fc")
    service, function = _function(target, project)
    named = field.get(f"{_PREFIX}api-name")
    own = named.text() if named is not None else f"{path.strip('/').replace('[', '').replace(']', '')}_{method}"
    read = _config(field, {"group": group, "stage": stage, "path": path, "apiName": own}, method, project)
    name = _UNFIT.sub("_", f"{group}_{own}")[:128]
    _note(read, f"{method} {path} of API group {group}", project)
    return Trigger(service=service, function=function, name=name, type="apigateway", config=read)


def _config(field: Field, known: Document, method: str, project: Project) -> Document:
    """The configuration of the trigger that stands for an API. Raises ProjectError with file, line and property."""
    if method.lower() not in _METHODS:
        raise field.error(f"the method '{method}'", f"one of {', '.join(_METHODS)}")
    document = _given(field, project)
    try:
        return FileReader(project).read({**known, **document, "method": _METHODS[method.lower()]}, ApiTrigger)
    except WrongProperty as mistake:
        first, *rest = mistake.place
        said = next((said for said, name in _PROPERTIES.items() if name == first), None)
        place = (said, *rest) if said is not None else (f"{_PREFIX}fc", *mistake.place)
        raise error_of(field, mistake.moved(place)) from None


def _given(field: Field, project: Project) -> Document:
    """What an API says of what it takes and hands on; a warning for what Funcraft would not read."""
    given = field.items()
    own = [said for said, _ in given if not said.startswith(_PREFIX)]
    project.warnings.extend(field.unknown([*own, *_PROPERTIES, *(f"{_PREFIX}{each}" for each in _OTHERS)]))
    document: Document = {_PROPERTIES[said]: value for said, value in given if said in _PROPERTIES}
    if (timeout := field.need(f"{_PREFIX}fc").get("timeout")) is not None:
        document["timeout"] = timeout
    return document


def _note(config: Document, what: str, project: Project) -> None:
    """What of its parameters is not checked is said, not dropped."""
    for parameter in config.get("requestParameters", ()):
        named = f"parameter {parameter['apiParameterName']} of {what}"
        if parameter.get("jsonScheme"):
            project.unsupported.append(f"jsonScheme of {named}")
        try:
            if parameter.get("regularExpression"):
                compiled(parameter["regularExpression"])
        except WrongExpression as error:
            project.unsupported.append(f"regularExpression of {named} ({error})")


def _function(target: Field, project: Project) -> tuple[str, str]:
    """The function that an ARN names, which must be one of the project's."""
    arn = target.need("arn")
    found = _ARN.search(arn.text())
    if found is None:
        raise arn.error(f"'{arn.text()}'", "like acs:fc:::services/SERVICE/functions/FUNCTION/")
    service, function = found[1], found[2]
    if not any((each.function.service, each.function.name) == (service, function) for each in project.functions):
        raise arn.error(f"function '{function}' of service '{service}'", "a function of this template")
    return service, function


def _check_alone(field: Field, trigger: Trigger, project: Project) -> None:
    """Raises ProjectError for a second trigger of the name."""
    names = {(each.service, each.function, each.name) for each in project.all_triggers}
    if (trigger.service, trigger.function, trigger.name) in names:
        allowed = f"another {_PREFIX}api-name, since '{trigger.function}' has a trigger of the name"
        raise field.error(f"'{trigger.name}'", allowed)
