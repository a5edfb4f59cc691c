"""pyfc: the function runtime that people install instead of a cloud account or a Docker stack.

Five public names, loaded when first used so that a command pays only for what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from pyfc.version import VERSION

if TYPE_CHECKING:
    from pyfc.app import App as App
    from pyfc.client import AsyncClient as AsyncClient
    from pyfc.client import Client as Client
    from pyfc.errors import PyfcError as PyfcError
    from pyfc.settings import Settings as Settings

__version__ = VERSION

_HOMES = {
    "App": "pyfc.app",
    "AsyncClient": "pyfc.client",
    "Client": "pyfc.client",
    "PyfcError": "pyfc.errors",
    "Settings": "pyfc.settings",
}

__all__ = ["App", "AsyncClient", "Client", "PyfcError", "Settings", "__version__"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pyfc' has no attribute {name!r}")
