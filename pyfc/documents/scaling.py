"""FC's JSON objects of what is said of a function beside it: reserves, limits of instances, asynchronous calls. Which
properties each has, and what each may be; see shapes.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from pyfc.documents.shapes import Shape
from pyfc.documents.values import SCHEDULE, DestinationArn, Instances, Part, Time


class Timed(Shape):
    """Something that is in force for a time; times without a zone are those of `timeZone`."""

    name: str
    time_zone: str = ""
    start_time: Time | None = None
    end_time: Time | None = None


class ScheduledAction(Timed, kw_only=True):
    """When the number of reserved instances changes."""

    target: Instances
    schedule_expression: Annotated[str, Meta(description=SCHEDULE)]


class TrackingPolicy(Timed, kw_only=True):
    """How the number of reserved instances follows the load: part of their slots is to be in use."""

    metric_type: Literal["ProvisionedConcurrencyUtilization"] = "ProvisionedConcurrencyUtilization"
    metric_target: Part
    min_capacity: Instances
    max_capacity: Instances


class Provision(Shape):
    """Reserved instances."""

    target: Instances | None = None
    default_target: Instances | None = None
    scheduled_actions: Annotated[list[ScheduledAction], Meta(extra_json_schema={"maxItems": 100})] = field(
        default_factory=list
    )
    target_tracking_policies: list[TrackingPolicy] = field(default_factory=list)
    always_allocate_cpu: bool = field(default=False, name="alwaysAllocateCPU")
    always_allocate_gpu: bool = field(default=False, name="alwaysAllocateGPU")


class OnDemand(Shape):
    """A limit of instances."""

    maximum_instance_count: Instances


class Concurrency(Shape):
    """A limit of instances, in the newer API."""

    reserved_concurrency: Instances


class Scaling(Shape):
    """Reserved instances, in the newer API; policies are kept and told."""

    min_instances: Instances | None = None
    horizontal_scaling_policies: list[dict[str, Any]] = field(default_factory=list)
    scheduled_policies: list[dict[str, Any]] = field(default_factory=list)
    enable_on_demand_scaling: bool = True
    enable_mix_mode: bool = False
    request_dispatch_policy: str = ""
    resident_pool_id: str = ""


class Destination(Shape):
    """Where an outcome goes."""

    destination: DestinationArn = ""


class Destinations(Shape):
    """Where outcomes go."""

    on_success: Destination | None = None
    on_failure: Destination | None = None


class Asynchronous(Shape):
    """How asynchronous calls are made."""

    max_async_retry_attempts: Annotated[int, Meta(ge=0, le=8)] = 3
    max_async_event_age_in_seconds: Annotated[int, Meta(ge=1, le=2_592_000)] = 86400
    stateful_invocation: bool = False
    async_task: bool = False
    destination_config: Destinations | None = None
