"""What functions find mounted: `nasConfig` and `ossMountConfig`, which are folders of the data folder here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from pyfc.model.function import Function, Service

FOLDER = "mounts"
"""Of the data folder: what functions share."""
TOPS = ("mnt", "home", "data", "nas")
"""Folders of the root below which something can be mounted."""
_LONGEST = 200


class Mount(NamedTuple):
    """One folder that functions share."""

    folder: str
    """Its name in the folder `mounts` of the data folder: one for a server's path, or for a bucket's."""
    at: str
    """Where functions find it."""
    is_read_only: bool = False


def mounts_of(service: Service, function: Function) -> tuple[Mount, ...]:
    """What is mounted for a function: its own mounts and those of its service, of one place the function's."""
    found = [mount for one in (service, function) for mount in declared(one.extras)]
    return tuple({mount.at: mount for mount in found if can_mount(mount.at)}.values())


def declared(extras: Mapping[str, Any]) -> list[Mount]:
    """The mounts that a service or function declares, in FC's words."""
    nas = [(_folder(each.get("serverAddr", "")), each) for each in _points(extras, "nasConfig")]
    buckets = [
        (_folder(f"oss:{each.get('bucketName', '')}:{each.get('bucketPath') or '/'}"), each)
        for each in _points(extras, "ossMountConfig")
    ]
    return [
        Mount(folder, os.path.normpath(each.get("mountDir") or ""), bool(each.get("readOnly", False)))
        for folder, each in [*nas, *buckets]
    ]


def can_mount(at: str) -> bool:
    """Whether a folder can be shown at this path."""
    parts = at.split("/")
    return at.startswith("/") and os.path.normpath(at) == at and len(parts) > 2 and parts[1] in TOPS


def _points(extras: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    config = extras.get(name)
    points = config.get("mountPoints") if isinstance(config, Mapping) else None
    return [each for each in points if isinstance(each, Mapping)] if isinstance(points, list) else []


def _folder(source: str) -> str:
    name = quote(source, safe="").replace(".", "%2E")
    return name if len(name) <= _LONGEST else hashlib.sha256(source.encode()).hexdigest()
