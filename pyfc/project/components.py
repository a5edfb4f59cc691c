"""Which component of Serverless Devs a resource is for.

What it follows from is its properties; the name of the component only tells whether it is FC's at all. It may also be a
path, of which a checkout of the component beside the examples is the usual one; then its publish.yaml has the name.
"""

from __future__ import annotations

import re
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project.document import Field
from pyfc.project.document import read as read_document
from pyfc.project.files import is_there

FC, FC3, FC3_DOMAIN = "fc", "fc3", "fc3-domain"
_OURS = re.compile(r"fc3?(?:-(?:deploy|base|core|default|local-invoke|remote-invoke|build|api))?")
"""Names of components that deploy or run functions."""
_PUBLISH = "publish.yaml"


def kind_of(resource: Field, boundary: Boundary) -> str | None:
    """FC, FC3 or FC3_DOMAIN; None for a component that is none of FC's. Raises ProjectError if there is none, and for a
    path that tells nothing.
    """
    props = resource.get("props")
    kind = _by_properties(props)
    try:
        component = resource.need("component")
        text = component.text()
    except ProjectError:
        if kind is None or "component" not in dict(resource.items()):
            raise
        return kind  # it leads out of the project, and nothing there is needed since the properties tell
    if not _is_path(text):
        return _by_name(text.split("@")[0].rstrip("/").rsplit("/", 1)[-1], props)
    if kind is not None:
        return kind
    publish = component.file.parent / text / _PUBLISH
    if is_there(publish):
        name = read_document(publish, boundary, component.where).get("Name")
        return _by_name(name.text() if name is not None else "", props)
    allowed = f"fc, fc3, a path to one of them, or with properties that tell which it is ({publish} does not exist)"
    raise component.error(f"'{text}'", allowed)


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~", "${")) or Path(text).is_absolute()


def _by_name(name: str, props: Field | None) -> str | None:
    if name == FC3_DOMAIN:
        return FC3_DOMAIN
    if _OURS.fullmatch(name):
        return _by_properties(props) or (FC3 if name.startswith(FC3) else FC)
    return None


def _by_properties(props: Field | None) -> str | None:
    if props is None or not props.is_mapping():
        return None
    if props.get("functionName") is not None:
        return FC3
    if props.get("service") is not None or props.get("function") is not None:
        return FC
    if props.get("domainName") is not None:
        return FC3_DOMAIN
    return None
