"""What a file of Serverless Devs takes from others: `extend: FILE` at its top, `extend: {name, ignore}` below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml

from pyfc.boundary import Boundary
from pyfc.project.document import Field, laid_over, without
from pyfc.project.document import read as read_document
from pyfc.project.interface import Given, Project
from pyfc.project.scope import Scope

_MAPPING = "tag:yaml.org,2002:map"
_DEEPEST = 10
"""Files that extend each other in a row."""


def extended(document: Field, boundary: Boundary, given: Given, files: list[Path]) -> Field:
    """The document laid over the file that it extends, which may extend another. Where one lays a mapping over an
    expression of the other, it is laid over what that stands for. `files` gets those read. Raises ProjectError.
    """
    chain = [document]
    while (named := chain[-1].get("extend")) is not None:
        path = chain[-1].file.parent / named.text()
        if len(chain) > _DEEPEST or path in files:
            raise named.error(f"'{named.text()}'", "a file that does not extend this one in turn")
        chain.append(read_document(path, boundary, named.where))
        files.append(path)
    result = chain.pop()
    while chain:
        over = chain.pop()
        scope = Scope.over(laid_over(result, over), boundary, given)
        result = laid_over(result.read_by(scope), over)
    return result


def filled(document: Field, project: Project) -> Field:
    """The document whose resources have the properties of the templates that they extend, but for those that they
    ignore. A resource with a mistake in that is left out.
    """
    return with_resources(document, lambda _, resource: _filled(resource, document.get("template")), project)


def with_resources(document: Field, change: Callable[[str, Field], yaml.Node], project: Project) -> Field:
    """The document with its resources changed; one in which `change` finds a mistake is left out."""
    every, kind = document.get("resources"), "resources"
    if every is None:
        every, kind = document.get("services"), "services"
    if every is None or not every.is_mapping():
        return document
    found: list[tuple[yaml.Node, yaml.Node]] = []
    for name, resource in every.items():
        with project.tolerating():
            found.append((key_node(name, resource), change(name, resource)))
    mapping = yaml.MappingNode(_MAPPING, found, every.node.start_mark, every.node.end_mark)
    return with_value(document, kind, mapping, every)


def _filled(resource: Field, templates: Field | None) -> yaml.Node:
    extend = resource.get("extend") if resource.is_mapping() else None
    if extend is None:
        return resource.node
    named, ignored = extend.need("name"), extend.get("ignore")
    template = templates.get(named.text()) if templates is not None else None
    if template is None:
        raise named.error(f"'{named.text()}'", "a name that stands under template")
    base = without(template, _names(ignored) if ignored is not None else [])
    props = resource.get("props")
    whole = laid_over(base, props) if props is not None else base
    return with_value(resource, "props", whole.node, props or extend).node


def _names(field: Field) -> list[str]:
    """A list of names, or one."""
    return [each.text() for each in field.elements()] if field.is_list() else [field.text()]


def with_value(field: Field, name: str, node: yaml.Node, at: Field) -> Field:
    """A mapping with another value of one name, which stands where `at` does."""
    rest = without(field, (name,))
    pairs = [*rest.node.value, (key_node(name, at), node)]
    whole = yaml.MappingNode(_MAPPING, pairs, field.node.start_mark, field.node.end_mark)
    return Field(field.file, field.name, whole, field.interpolate, field.line)


def key_node(name: str, at: Field) -> yaml.Node:
    """A name of a mapping that stands where `at` does."""
    mark = at.node.start_mark
    start = yaml.Mark(mark.name, mark.index, (at.line or mark.line + 1) - 1, mark.column, None, 0)
    return yaml.ScalarNode("tag:yaml.org,2002:str", name, start, start)
