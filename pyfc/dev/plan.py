"""What deploying a project to a server would change: each thing that it declares is compared with what is there.

Code is packed so that the same files make the same archive, and compared by FC's checksum: what has not changed is not
sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fastcrc import crc64

from pyfc.boundary import Boundary
from pyfc.bundles.archive import pack
from pyfc.client import Client, Collection
from pyfc.documents.declared_triggers import trigger_config
from pyfc.documents.objects import domain_fields, function_fields
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Service
from pyfc.model.resources import Domain
from pyfc.model.trigger import Trigger
from pyfc.project.interface import Declaration, Project

_SAME = object()


class Step(NamedTuple):
    """One thing of a project, and what is to be done about it."""

    what: str
    text: str
    """A line for a person: `+` new, `~` different, `=` the same."""
    apply: Callable[[], object] | None = None
    size: int = 0
    """Bytes of code that are sent."""


class _Packer:
    """Code as zip files, each made once."""

    def __init__(self, boundary: Boundary, maximum_size: int) -> None:
        self._boundary = boundary
        self._maximum_size = maximum_size
        self._packed: dict[Path, tuple[bytes, str]] = {}

    def packed(self, path: Path, where: str) -> tuple[bytes, str]:
        """Code as a zip file, and its checksum. Raises ProjectError at `where`."""
        if path not in self._packed:
            try:
                data = self._pack(path)
            except InvalidArgument as error:
                raise ProjectError(where=where, message=str(error)) from error
            except OSError as error:
                message = f"{error.filename or path} can not be read: {error.strerror}"
                raise ProjectError(where=where, message=message) from error
            self._packed[path] = data, str(crc64.xz(data))
        return self._packed[path]

    def _pack(self, path: Path) -> bytes:
        if path.suffix == ".zip" and not path.is_dir():
            return self._boundary.read(path, self._maximum_size)
        with pack(path, boundary=self._boundary, maximum_size=self._maximum_size) as archive:
            return archive.read()


def plan(client: Client, project: Project, maximum_size: int) -> list[Step]:
    """The steps, in their order; a function's code has at most `maximum_size` bytes. Raises ApiError, ProjectError."""
    steps = [_service(client, service) for service in project.services]
    packer = _Packer(project.boundary, maximum_size)
    for declaration in project.functions:
        steps.append(_function(client, declaration, packer))
        names = (declaration.function.service, declaration.function.name)
        steps += [
            _trigger(client, each)
            for each in (*project.triggers, *project.event_triggers)
            if (each.service, each.function) == names
        ]
    return [*steps, *(_domain(client, domain) for domain in project.domains)]


def _service(client: Client, service: Service) -> Step:
    document = {
        "serviceName": service.name,
        "description": service.description,
        "internetAccess": service.internet_access,
    }
    return _step(f"service {service.name}", client.services(), service.name, document)


def _domain(client: Client, domain: Domain) -> Step:
    document = domain_fields(domain)
    document.pop("certConfig", None)  # nobody tells its key, so it would differ each time
    return _step(f"domain {domain.name}", client.domains(), domain.name, document)


def _function(client: Client, declaration: Declaration, packer: _Packer) -> Step:
    function, path = declaration.function, declaration.code
    what = f"function {function.service}/{function.name}"
    if path is None:
        return Step(what, f"  {what}: it has no code here, left out")
    data, checksum = packer.packed(path, declaration.where)
    document = function_fields(function)
    code = {"code": {"zipFile": base64.b64encode(data).decode()}}
    collection = client.functions_of(function.service)
    old = collection.find(function.name)
    if old is None:
        return Step(what, f"+ {what}", partial(collection.create, {**document, **code}), len(data))
    changes = _changes(old, document)
    has_code = old.get("codeChecksum") != checksum
    if not changes and not has_code:
        return Step(what, f"= {what}")
    text = ", ".join([*changes, *(["code"] if has_code else [])])
    return Step(
        what,
        f"~ {what}: {text}",
        partial(collection.update, function.name, {**document, **(code if has_code else {})}),
        len(data) if has_code else 0,
    )


def _trigger(client: Client, trigger: Trigger) -> Step:
    what = f"trigger {trigger.name} of {trigger.service}/{trigger.function}"
    document = {
        "triggerName": trigger.name,
        "triggerType": trigger.type,
        "triggerConfig": trigger_config(trigger),
        "qualifier": trigger.qualifier or None,
    }
    if trigger.config.get("convention") != "event":
        return _step(what, client.triggers(trigger.service, trigger.function), trigger.name, document)
    # FC 3's: only its own API makes triggers that send JSON events, with their configuration as text
    collection = client.newer_triggers(trigger.function)
    old = collection.find(trigger.name)
    same = old is not None and not _changes(json.loads(old["triggerConfig"]), trigger_config(trigger))
    text = json.dumps(document["triggerConfig"])
    sent = {**document, "triggerConfig": old["triggerConfig"] if old is not None and same else text}
    return _step(what, collection, trigger.name, sent)


def _step(what: str, collection: Collection, name: str, document: dict[str, Any]) -> Step:
    old = collection.find(name)
    if old is None:
        return Step(what, f"+ {what}", partial(collection.create, document))
    changes = _changes(old, document)
    if not changes:
        return Step(what, f"= {what}")
    return Step(what, f"~ {what}: {', '.join(changes)}", partial(collection.update, name, document))


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs, as `timeout 3 -> 10`. Of lists of objects and of objects, what is declared counts."""
    found = []
    for name, value in new.items():
        if value is not None and not _covers(old.get(name, _SAME if value in ("", [], {}) else None), value):
            before, after = old.get(name), value
            is_short = not isinstance(before, dict | list) and not isinstance(after, dict | list)
            found.append(f"{name} {before!r} -> {after!r}" if is_short else name)
    return found


def _covers(old: Any, new: Any) -> bool:
    if old is _SAME:
        return True
    if isinstance(new, dict) and isinstance(old, dict):
        return all(_covers(old.get(name), value) or value in ("", None) for name, value in new.items())
    if isinstance(new, list) and isinstance(old, list) and len(old) == len(new):
        return all(_covers(before, after) for before, after in zip(old, new, strict=True))
    return bool(old == new)
