"""What instances go through, and what they use: for those who write it down."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pyfc.model.function import Function


class Passed(StrEnum):
    """What an instance has gone through, by FC's names (instance-level events)."""

    CREATING = "Creating"
    CODE_PREPARED = "PrepareCodeSuccess"
    RUNTIME_READY = "RuntimeInitializationSuccess"
    RUNTIME_FAILED = "RuntimeInitializationFailed"
    INITIALIZED = "InitializationSuccess"
    NOT_INITIALIZED = "InitializationFailed"
    CREATED = "CreateSuccess"
    NOT_CREATED = "CreateFailed"
    DESTROYED = "DestroySuccess"

    @property
    def is_warning(self) -> bool:
        """Whether FC's level of it is Warning, not Normal."""
        return self.value.endswith("Failed")


class Life(NamedTuple):
    """Something that an instance has gone through."""

    time: float
    """Seconds since the epoch."""
    function: Function
    instance_id: str
    passed: Passed


class Sample(NamedTuple):
    """What an instance uses at a moment."""

    time: float
    """Seconds since the epoch."""
    function: Function
    instance_id: str
    cpu: float
    """Seconds of processors that its processes have used so far, as far as they live."""
    memory: int
    """Bytes that they hold."""
    requests: int
    """Calls that it runs."""
