"""What starts a function by itself: declared triggers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger of one function; `type` is the name of a file in `pyfc/triggers/`, which also reads `config`."""

    service: str
    function: str
    name: str
    type: str
    config: Mapping[str, Any]
    description: str = ""
    source_arn: str = ""
    invocation_role: str = ""
    qualifier: str = ""
    """The version or alias that it calls; '' for the newest."""
    is_declared: bool = False
    """Whether it comes from the folder that is served."""
