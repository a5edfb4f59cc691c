"""`pyfc.yml` beside a template: what the template formats cannot say, and nothing else.

mounts:
  /mnt/auto: ./shared                  # a folder of the project, where a NAS or a bucket would be mounted
buckets:
  photos: ./photos                     # a folder of the project that is a bucket
permissions: all                       # what credentials of functions may do besides: all, or a list of policies
services:
  shop:
    pay:
      maximumInstanceCount: 1
      snapshot: initialized
      profile: slow                    # look into calls that take longer than others, while they run
      provisionConfig:
        target: 2
        scheduledActions:
          - {name: evening, target: 5, scheduleExpression: cron(0 0 20 * * *)}
        targetTrackingPolicies:
          - {name: busy, metricTarget: 0.6, minCapacity: 1, maxCapacity: 10}
      triggers:                        # for functions of a folder without a template above all
        - {name: new, type: oss, config: {bucketName: photos, events: ["oss:ObjectCreated:*"]}}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from pyfc.boundary import Boundary
from pyfc.cloud.oss.store import check_name
from pyfc.documents.configurations import provision_of
from pyfc.documents.scaling import Provision
from pyfc.documents.shapes import Shape
from pyfc.documents.triggers import TYPES
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.mounts import TOPS, can_mount
from pyfc.model.permissions import OWN, Policies, Statement
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.files import is_folder, is_there, is_within, require_folder
from pyfc.project.interface import NO_FOLDERS, Folders, Mistake, Project
from pyfc.project.policies import read_granted
from pyfc.project.properties import BESIDE_TRIGGERS, FileReader, located
from pyfc.project.shapes import Elsewhere
from pyfc.project.triggers import other_trigger

NAME = "pyfc.yml"
_TYPES = sorted(TYPES - {"http", "https"})


class Overrides(Shape):
    """What is said of one function."""

    maximum_instance_count: Annotated[int, Meta(ge=1, le=10_000)] = 1
    snapshot: Literal["initialized"] | None = None
    profile: Literal["slow"] | None = None
    provision_config: Provision | None = None
    triggers: Elsewhere = None


def apply(path: Path, project: Project) -> None:
    """Lay the overrides at `path` over the project, which keeps each mistake, with file and line."""
    document = None
    with project.tolerating():
        document = read_document(path, project.boundary)
        project.warnings.extend(document.unknown(("services", "mounts", "buckets", "permissions")))
    if document is not None:
        _apply(document, project)


def _apply(document: Field, project: Project) -> None:
    folders, wrong = _folders(document, document.file.parent, project.boundary)
    project.mistakes.extend(Mistake(error, None) for error in wrong)
    if folders.buckets:
        _keep_code_out(document.need("buckets"), folders, project)
        _let_use(list(folders.buckets), project)
    with project.tolerating():
        if (permissions := document.get("permissions")) is not None:
            _grant(read_granted(permissions, project), project)
    with project.tolerating():
        services = document.get("services")
        for service, functions in services.items() if services is not None else []:
            for name, values in functions.items():
                with project.tolerating():
                    _apply_one(service, name, values, project)


def _keep_code_out(buckets: Field, folders: Folders, project: Project) -> None:
    """Leave out functions whose code lies in a bucket: what clients put there would be executed."""
    for name, path in folders.buckets.items():
        field = buckets.need(name)
        for each in project.functions:
            if each.code is not None and is_within(each.code, path):
                function = each.function.service, each.function.name
                allowed = f"a folder without code: that of {'/'.join(function)} lies in it"
                project.mistakes.append(Mistake(field.error(f"'{field.text()}'", allowed), function))


def _let_use(buckets: list[str], project: Project) -> None:
    """Let functions without policies use the buckets of the project."""
    resources = [f"acs:oss:*:*:{name}{rest}" for name in buckets for rest in ("", "/*")]
    for number, service in enumerate(project.services):
        if not service.policies:
            use = Statement(actions=("oss:*",), resources=tuple(resources))
            project.services[number] = dataclasses.replace(service, policies=(OWN, use))


def _grant(policies: Policies, project: Project) -> None:
    """Let every function of the project do more."""
    for number, service in enumerate(project.services):
        said = service.policies or (OWN,)
        project.services[number] = dataclasses.replace(service, policies=(*said, *policies))
    for number, declaration in enumerate(project.functions):
        function = declaration.function
        if function.policies:
            more = dataclasses.replace(function, policies=(*function.policies, *policies))
            project.functions[number] = dataclasses.replace(declaration, function=more)


def read_folders(root: Path, *, allows_outside: bool = False, tolerates: bool = False) -> Folders:
    """The folders of the project in `root` that stand for what is elsewhere in the cloud. Raises ProjectError with file
    and line; with `tolerates` what is wrong is left out, and told by whoever loads the project, but not that there is
    no such folder.
    """
    require_folder(root)
    path = root / NAME
    if not is_there(path):
        return NO_FOLDERS
    boundary = Boundary.of(root, allows_outside=allows_outside)
    try:
        found, wrong = _folders(read_document(path, boundary), root, boundary)
    except ProjectError:
        if tolerates:
            return NO_FOLDERS
        raise
    if wrong and not tolerates:
        raise wrong[0]
    return found


def _folders(document: Field, root: Path, boundary: Boundary) -> tuple[Folders, list[ProjectError]]:
    """What is declared, and what of it is wrong."""
    found: dict[str, dict[str, Path]] = {"mounts": {}, "buckets": {}}
    wrong: list[ProjectError] = []
    for name, folders in found.items():
        try:
            declared = document.get(name)
            fields = declared.items() if declared is not None else []
        except ProjectError as error:
            wrong.append(error)
            continue
        for key, field in fields:
            try:
                path = _folder(field, boundary)
                if name == "mounts":
                    _check_mount(key, field)
                else:
                    path = path.resolve()
                    _check_bucket(key, field, path, root)
                    _check_apart(field, path, folders)
                folders[key] = path
            except ProjectError as error:
                wrong.append(error)
    return Folders(**found), wrong


def _check_mount(at: str, field: Field) -> None:
    if not can_mount(at):
        raise field.error(f"at {at!r}", f"below one of {', '.join(f'/{top}' for top in TOPS)}")


def _check_bucket(name: str, field: Field, path: Path, root: Path) -> None:
    try:
        check_name(name)
    except InvalidArgument as error:
        raise ProjectError(where=field.where, message=f"{field.problem_place}: {error}") from None
    if root.resolve().is_relative_to(path):
        raise field.error(f"'{field.text()}'", "a folder below the project's: all that is in a bucket can be replaced")


def _check_apart(field: Field, path: Path, others: Mapping[str, Path]) -> None:
    """Whatever is put into one bucket would be in the other one too."""
    for name, other in others.items():
        if is_within(path, other) or is_within(other, path):
            raise field.error(f"'{field.text()}'", f"a folder of its own: that of the bucket '{name}' is {other}")


def _folder(field: Field, boundary: Boundary) -> Path:
    try:
        path = boundary.check(field.file.parent / field.text())
    except InvalidArgument as error:
        raise ProjectError(where=field.where, message=str(error)) from error
    if not is_folder(path):
        raise field.error(f"'{field.text()}'", "a folder that is there")
    return path


def _changes(values: Field, project: Project) -> dict[str, Any]:
    """What is said of one function, by the names of Function's fields."""
    document = FileReader(project).declared(values, Overrides)
    changes: dict[str, Any] = {}
    same = (("maximumInstanceCount", "maximum_instance_count"), ("snapshot", "snapshot"), ("profile", "profile"))
    for name, field in same:
        if name in document:
            changes[field] = document[name]
    if "provisionConfig" in document:
        with located(values.need("provisionConfig")):
            changes["provision"] = provision_of(document["provisionConfig"])
    return changes


def _add_triggers(values: Field, function: tuple[str, str], project: Project) -> None:
    """Triggers that a source of events fires, beside those that the template declares."""
    triggers = values.get("triggers")
    known = {each.name for each in project.all_triggers if (each.service, each.function) == function}
    for field in triggers.elements() if triggers is not None else []:
        name, kind = field.need("name").text(), field.need("type").choice(_TYPES)
        project.warnings.extend(field.unknown(("name", "type", "config", *BESIDE_TRIGGERS)))
        if name in known:
            raise field.error(f"'{name}'", "a name that no other trigger of the function has")
        known.add(name)
        project.event_triggers.append(other_trigger(field, function, name, kind, field.get("config"), project))


def _apply_one(service: str, name: str, values: Field, project: Project) -> None:
    for number, declaration in enumerate(project.functions):
        function = declaration.function
        if (function.service, function.name) == (service, name):
            changes = _changes(values, project)
            project.functions[number] = dataclasses.replace(
                declaration, function=dataclasses.replace(function, **changes)
            )
            _add_triggers(values, (service, name), project)
            return
    if (service, name) in project.mistaken:
        return
    known = ", ".join(f"{each.function.service}/{each.function.name}" for each in project.functions) or "none"
    raise ProjectError(where=values.where, message=f"there is no function {service}/{name}. Found: {known}")
