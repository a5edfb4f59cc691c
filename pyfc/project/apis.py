"""APIs of the API gateway in Funcraft's templates (`Aliyun::Serverless::Api`): each method of each path becomes a
trigger of the function that it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pyfc.documents.reader import Document
from pyfc.documents.triggers import ApiTrigger
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.trigger import Trigger
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.interface import Project
from pyfc.project.properties import FileReader, check_name, located

TYPE = "Aliyun::Serverless::Api"
_PREFIX = "x-aliyun-apigateway-"
_PROPERTIES = {
    "request-config": "requestConfig", "request-parameters": "requestParameters",
    "service-parameters": "serviceParameters", "service-parameters-map": "serviceParametersMap",
    "auth-type": "authType",
}  # fmt: skip
_BESIDE = {"openapi", "swagger", "info", "components", "basePath", "host", "schemes"}
"""What may stand beside the paths."""
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
    document: Document = {}
    for said, value in field.items():
        if said.startswith(_PREFIX) and (known := _PROPERTIES.get(said.removeprefix(_PREFIX))) is not None:
            document[known] = value
    config = {**dict(_plain(document)), "group": group, "stage": stage, "path": path,
              "method": method.upper(), "apiName": own}  # fmt: skip
    if (timeout := target.get("timeout")) is not None:
        config["timeout"] = timeout.plain()
    with located(field):
        read = FileReader(project).read(config, ApiTrigger)
    name = _UNFIT.sub("_", f"{group}_{own}")[:128]
    return Trigger(service=service, function=function, name=name, type="apigateway", config=read)


def _plain(document: Document) -> Iterator[tuple[str, object]]:
    for name, field in document.items():
        yield name, field.plain()


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
