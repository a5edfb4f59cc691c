"""What a chosen environment of Serverless Devs (edition 3) lays over the properties of resources: what it says for
their component, over that what it says for them by name, and its region.
"""

from __future__ import annotations

import yaml

from pyfc.project.document import Field, from_values, laid_over
from pyfc.project.inheritance import key_node, with_resources, with_value
from pyfc.project.interface import Project
from pyfc.project.scope import Scope, Value


def applied(scope: Scope, project: Project) -> Field:
    """The scope's document with that; a resource with a mistake in it is left out. Raises ProjectError."""
    document = scope.document
    environment = scope.environment(document)
    overlays = environment.get("overlays")
    named = document.get("name")

    def overlaid(name: str, resource: Field) -> yaml.Node:
        props = resource.get("props")
        result = props if props is not None else from_values({}, "props")
        source = result.read_by(scope.of(name))
        names: dict[str, Value] = {"source": source, "this": environment, "project": named.text() if named else ""}
        own = scope.calling(f"{name} of {environment.name}", names)
        for kind, key in (("components", _component(resource)), ("resources", name)):
            over = overlays.get(kind) if overlays is not None else None
            found = over.get(key) if over is not None else None
            if found is not None:
                found.items()  # raises for what is no mapping
                result = laid_over(result, _evaluated(found.read_by(own)))
        if region := _region(environment.read_by(own)):
            result = laid_over(result, from_values({"region": region}, "region"))
        return with_value(resource, "props", result.node, props or resource).node

    return with_resources(document, overlaid, project)


def _component(resource: Field) -> str:
    found = resource.get("component")
    return found.text() if found is not None else ""


def _region(environment: Field) -> str:
    stack = environment.get("infraStack")
    found = (stack.get("region") if stack is not None else None) or environment.get("region")
    return found.text() if found is not None else ""


def _evaluated(field: Field) -> Field:
    """The same without expressions, which mean other things where it is laid over. Raises ProjectError for what is deep
    or large.
    """
    field.plain()
    return Field(field.file, field.name, _node(field))


def _node(field: Field) -> yaml.Node:
    field = field.resolved()
    start, end = field.node.start_mark, field.node.end_mark
    if isinstance(field.node, yaml.MappingNode):
        pairs = [(key_node(name, value), _node(value)) for name, value in field.items()]
        return yaml.MappingNode(field.node.tag, pairs, start, end)
    if isinstance(field.node, yaml.SequenceNode):
        return yaml.SequenceNode(field.node.tag, [_node(each) for each in field.elements()], start, end)
    return field.node
