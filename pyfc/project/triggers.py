"""Triggers of every format: HTTP triggers, and those that a source of events fires."""

from __future__ import annotations

from pyfc.documents.declared_triggers import check_authorization, trigger_of
from pyfc.documents.reader import Document, WrongProperty, absent, wrong
from pyfc.documents.triggers import TRIGGERS, OtherTrigger
from pyfc.model.trigger import Trigger
from pyfc.project.document import Field
from pyfc.project.interface import Project
from pyfc.project.properties import BESIDE_TRIGGERS, FileReader, check_name, error_of, located
from pyfc.project.shapes import FileHttpTrigger

_BESIDE = {name: "invocationRole" if name == "role" else name for name in BESIDE_TRIGGERS}
"""What triggers of every type have, by the names that files give it."""
_BESIDE_LOWER = {name.lower() for name in _BESIDE}


def http_trigger(
    field: Field, function: tuple[str, str], name: str, config: Field, project: Project, *, convention: str
) -> Trigger:
    """An HTTP trigger from its configuration. `convention`: `handler`, or `event` for FC 3's functions."""
    check_name(field, "trigger", name)
    document = FileReader(project).declared(config, FileHttpTrigger)
    beside: Document = {key: document.pop(key) for key in ("invocationRole", "qualifier") if key in document}
    if (qualifier := field.get("qualifier")) is not None:
        beside["qualifier"] = qualifier.text()
    if "jwtConfig" in document:
        document.setdefault("authConfig", document.pop("jwtConfig"))
    with located(config):
        check_authorization(document, ())
        return trigger_of(
            *function, {**beside, "triggerName": name, "triggerType": "http", "triggerConfig": document}, convention
        )


def other_trigger(
    field: Field, function: tuple[str, str], name: str, kind: str, config: Field | None, project: Project
) -> Trigger:
    """A trigger that a source of events fires. What triggers of every type have stands beside its configuration, or in
    it.
    """
    check_name(field, "trigger", name)
    document: Document = {}
    if config is not None:
        with located(config):
            document = FileReader(project).read(config, TRIGGERS.get(kind, OtherTrigger), partial=True)
    said = {**_beside(field), **(_beside(config) if config is not None else {})}
    document = {key: value for key, value in document.items() if key.lower() not in _BESIDE_LOWER}
    try:
        if kind == "oss" and not document.get("events"):
            raise _no_events(document)
        made = trigger_of(
            *function, {**said, "triggerName": name, "triggerType": kind, "triggerConfig": document}, "event"
        )
    except WrongProperty as mistake:
        raise error_of(config or field, mistake, "triggerConfig") from None
    project.places[(*function, name)] = field.where
    return made


def _no_events(config: Document) -> WrongProperty:
    if "events" not in config:
        return absent(("triggerConfig",), "events")
    return wrong(("triggerConfig", "events"), "empty", "a list of events, like oss:ObjectCreated:*")


def _beside(field: Field) -> dict[str, str]:
    found = ((said, field.get(name)) for name, said in _BESIDE.items())
    return {said: value.text() for said, value in found if value is not None and not value.is_mapping()}
