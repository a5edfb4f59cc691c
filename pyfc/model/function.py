"""What a user declares: services and functions, in FC's field names (snake case, as in its SDK)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pyfc.model.affinity import Affinity
from pyfc.model.names import LATEST, Target
from pyfc.model.permissions import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A group of functions with common settings."""

    name: str
    description: str = ""
    log_project: str = ""
    log_store: str = ""
    internet_access: bool = True
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What else was declared, in FC's names: it is kept and told, and changes nothing here."""
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: Policies = ()
    """What the credentials of its functions may do; () for OWN (model/permissions.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code of a function as the host keeps it: `digest` names the read-only folder (bundles/bundle.py)."""

    digest: str
    kind: Literal["zip", "folder"]
    checksum: str
    """CRC-64 (XZ polynomial) as unsigned decimal text: of the zip file, or of a folder's list of digests."""
    size: int
    """Bytes of the zip file, or of all files in the folder."""
    source: str = ""
    """The folder it came from, for messages to its author; '' if it was an archive."""
    packages: str = ""
    """Digest of its installed packages, if they are kept apart."""

    @property
    def digests(self) -> tuple[str, str]:
        """Of all that it keeps on disk; '' among them means nothing."""
        return self.digest, self.packages


_MB_OF_VCPU = 2048
_VCPU_STEPS = 20
FOREVER = 253402300800.0
"""The year 10000, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one instance may use. Sizes in MB, times in seconds; the defaults are FC's own."""

    memory_size: int = 128
    timeout: int = 3
    initialization_timeout: int = 3
    instance_concurrency: int = 1
    disk_size: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that changes how many instances are reserved, from `start` to `end` (seconds since the epoch)."""

    name: str
    start: float = 0.0
    end: float = FOREVER

    def is_in_force(self, now: float) -> bool:
        """Whether it counts at `now`."""
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledAction(Rule):
    """The number of reserved instances becomes `target` at the times of `expression`: `at(TIME)` or `cron(...)`."""

    expression: str
    target: int
    zone: str = ""
    """The time zone in which the expression counts; '' for UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingPolicy(Rule):
    """The reserved instances follow the load: `metric_target` of their slots are to be in use."""

    metric_target: float
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """The instances that are kept although nobody calls them (FC's provision-config)."""

    target: int = 0
    scheduled_actions: tuple[ScheduledAction, ...] = ()
    target_tracking_policies: tuple[TrackingPolicy, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether there ever are such instances."""
        return bool(self.target or self.scheduled_actions or self.target_tracking_policies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A lifecycle hook: its handler, '' for none, and the seconds it may take (FC: at most 90)."""

    handler: str = ""
    timeout: int = 3
    command: tuple[str, ...] = ()
    """What is run instead of a handler, by custom runtimes only."""

    @property
    def entry(self) -> str:
        """What runs: the handler, or the command's program; '' for nothing."""
        return self.handler or " ".join(self.command[:1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a custom runtime starts (FC's customRuntimeConfig, caPort, customHealthCheckConfig)."""

    command: tuple[str, ...] = ()
    """With its arguments; () for the file `bootstrap`."""
    argument_count: int = 0
    """How many of its last words were declared as arguments."""
    port: int = 9000
    """Where it listens."""
    health: Mapping[str, int | str] = field(default_factory=dict)
    """The health check, in FC's names, whole; {} for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of one service. `code` is None where it cannot be run (its runtime is not supported)."""

    service: str
    name: str
    runtime: str
    handler: str
    initializer: str = ""
    initializer_command: tuple[str, ...] = ()
    """What is run instead of it, by custom runtimes only."""
    pre_freeze: Hook = Hook()
    """Runs before an idle instance is frozen."""
    pre_stop: Hook = Hook()
    """Runs before an instance is ended."""
    description: str = ""
    code: Code | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    maximum_instance_count: int | None = None
    provision: Provision = Provision()
    program: Program = Program()
    snapshot: str = ""
    """`initialized`: instances are copies of one that has run its initializer, which they do not run again."""
    profile: str = ""
    """`slow`: calls that take longer than others are looked at while they run; '' for none."""
    internet_access: bool = True
    """False cuts its instances off every network, this machine's loopback included; so does its service's."""
    layers: tuple[str, ...] = ()
    """ARNs of layer versions; of files with the same name that of the first counts."""
    opt: Code | None = None
    """The layers as one folder, shown as /opt."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What else was declared, in FC's names: it is kept and told, and changes nothing here."""
    tags: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What of its official layers and FC's built-in modules could not be installed, each with the reason."""
    policies: Policies = ()
    """What its credentials may do; () for what its service says."""
    version_id: str = ""
    """'' for the newest, which can still change."""
    affinity: Affinity | None = None
    """How its calls are led to the same instance, if they are."""
    is_declared: bool = False
    """Whether it comes from the folder that is served, and goes when it is no longer there."""
    is_disabled: bool = False
    """Whether nobody may call it."""
    why_disabled: str = ""
    """What was said about that."""

    @property
    def target(self) -> Target:
        """The key of this very version."""
        return Target(self.service, self.name, self.version_id or LATEST)

    @property
    def is_vcpu_declared(self) -> bool:
        """Whether it says how many vCPUs an instance has."""
        declared = self.extras.get("cpu")
        return isinstance(declared, int | float) and declared > 0

    @property
    def vcpu(self) -> float:
        """Of an instance: as declared; else it grows with the memory, one for 2 GB, in steps of 0.05."""
        if self.is_vcpu_declared:
            return float(self.extras["cpu"])
        return max(1, round(self.limits.memory_size / _MB_OF_VCPU * _VCPU_STEPS)) / _VCPU_STEPS

    @property
    def codes(self) -> tuple[str, ...]:
        """Digests of everything it keeps on disk."""
        return tuple(digest for code in (self.code, self.opt) if code is not None for digest in code.digests if digest)

    def is_called(self, text: str) -> bool:
        """Whether a person means it by `text`: FUNCTION or SERVICE/FUNCTION."""
        return text in {self.name, f"{self.service}/{self.name}"}
