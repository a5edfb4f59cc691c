"""What starts a function by itself: declared triggers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger of one function. The file in `pyfc/triggers/` that has the name of its `type` reads `config`; a type
    without one is kept, and does not fire.
    """

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
