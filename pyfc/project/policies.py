"""Policies of template files: names of managed ones, and statements as RAM has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pyfc.auth.policies import MANAGED
from pyfc.model.permissions import ALL, Policies, Statement
from pyfc.project.document import Field
from pyfc.project.interface import Project

_KNOWN = ("Effect", "Action", "Resource", "Condition")
_WORD = "all"
_MOST = 500
"""Policies and statements of one service or function; actions or resources of one statement."""
_COMPUTED = "a policy of {} that is computed in the cloud"


def read_policies(field: Field, what: str, project: Project) -> Policies:
    """The policies of a service or function: its `policies`, and those of its `role`; () for none. What cannot be
    judged is noted. Raises ProjectError with file and line.
    """
    role = field.get("role")
    inner = role.get("policies") if role is not None and role.is_mapping() else None
    return tuple(
        each for value in (field.get("policies"), inner) if value is not None for each in _read(value, what, project)
    )


def read_granted(field: Field, project: Project) -> Policies:
    """What pyfc.yml allows every function: `all`, or policies."""
    if not field.is_mapping() and not field.is_list() and field.text() == _WORD:
        return (ALL,)
    return _read(field, "permissions", project)


def _read(field: Field, what: str, project: Project) -> Policies:
    """One policy or a list of them."""
    found = tuple(islice((each for one in _listed(field) for each in _of(one, what, project)), _MOST + 1))
    if len(found) > _MOST:
        raise field.error("too large", f"at most {_MOST} policies and statements")
    return found


def _of(field: Field, what: str, project: Project) -> Iterator[str | Statement]:
    if field.is_mapping():
        statements = field.get("statement")
        for each in _listed(statements) if statements is not None else [field]:
            if (statement := _statement(each, what, project)) is not None:
                yield statement
        return
    name = _text(field)
    if name is None:
        _note(_COMPUTED.format(what), project)
        return
    if name not in MANAGED:
        _note(f"policy {name} of {what} (what it allows is not known here)", project)
    yield name


def _statement(field: Field, what: str, project: Project) -> Statement | None:
    """None for one that is computed in the cloud."""
    strange = [name for name, _ in field.items() if name.lower() in {"notaction", "notresource"}]
    if strange:
        raise field.error(f"a statement with {strange[0]}", "one with Action and Resource")
    project.warnings.extend(field.unknown(_KNOWN))
    if field.get("condition") is not None:
        _note(f"Condition of a policy of {what} (it counts as met)", project)
    effect = field.need("effect").choice(("Allow", "Deny"))
    actions, resources = _texts(field.need("action")), _texts(field.need("resource"))
    if actions is None or resources is None:
        _note(_COMPUTED.format(what), project)
        return None
    return Statement(effect="Deny" if effect == "Deny" else "Allow", actions=actions, resources=resources)


def _texts(field: Field) -> tuple[str, ...] | None:
    """One text or several; None if one of them is computed in the cloud. Raises ProjectError for too many."""
    listed = _listed(field)
    if len(listed) > _MOST:
        raise field.error("too large", f"at most {_MOST} texts")
    found = [_text(each) for each in listed]
    return None if None in found else tuple(text for text in found if text is not None)


def _text(field: Field) -> str | None:
    """A text; None for what is computed in the cloud, by a tag or a mapping."""
    if field.is_mapping() or field.is_computed():
        return None
    return field.text()


def _listed(field: Field) -> list[Field]:
    return field.elements() if field.is_list() else [field]


def _note(text: str, project: Project) -> None:
    """Once is enough."""
    if text not in project.unsupported:
        project.unsupported.append(text)
