"""Policies of template files: names of managed ones, and statements as RAM has them."""

from __future__ import annotations

from pyfc.auth.policies import MANAGED
from pyfc.model.permissions import EVERYTHING, Policies, Statement
from pyfc.project.document import Field
from pyfc.project.interface import Project

_KNOWN = ("Effect", "Action", "Resource", "Condition")
_ALL = "all"


def read_policies(field: Field, what: str, project: Project) -> Policies:
    """The policies of a service or function: its `policies`, and those of its `role`; () for none. What can not be
    judged is noted. Raises ProjectError with file and line.
    """
    role = field.get("role")
    inner = role.get("policies") if role is not None and role.is_mapping() else None
    return tuple(
        each for value in (field.get("policies"), inner) if value is not None for each in _of(value, what, project)
    )


def read_granted(field: Field, project: Project) -> Policies:
    """What pyfc.yml allows every function: `all`, or policies."""
    if not field.is_mapping() and not field.is_list() and field.text() == _ALL:
        return (EVERYTHING,)
    return _of(field, "permissions", project)


def _of(field: Field, what: str, project: Project) -> Policies:
    if field.is_list():
        return tuple(each for element in field.elements() for each in _of(element, what, project))
    if field.is_mapping():
        return _statements(field, what, project)
    name = field.text()
    if name not in MANAGED:
        project.unsupported.append(f"policy {name} of {what} (what it allows is not known here)")
    return (name,)


def _statements(field: Field, what: str, project: Project) -> Policies:
    """Those of a policy, or the one that stands in its place."""
    found = field.get("statement")
    if found is None:
        return (_statement(field, what, project),)
    return tuple(_statement(each, what, project) for each in (found.elements() if found.is_list() else [found]))


def _statement(field: Field, what: str, project: Project) -> Statement:
    strange = [name for name, _ in field.items() if name.lower() in {"notaction", "notresource"}]
    if strange:
        raise field.error(f"a statement with {strange[0]}", "one with Action and Resource")
    project.warnings.extend(field.unknown(_KNOWN))
    if field.get("condition") is not None:
        project.unsupported.append(f"Condition of a policy of {what} (it counts as met)")
    effect = field.need("effect").choice(("Allow", "Deny"))
    return Statement(
        effect="Deny" if effect == "Deny" else "Allow",
        actions=_texts(field.need("action")),
        resources=_texts(field.need("resource")),
    )


def _texts(field: Field) -> tuple[str, ...]:
    return tuple(each.text() for each in (field.elements() if field.is_list() else [field]))
