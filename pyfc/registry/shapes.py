"""The bodies of the management API: which properties each operation has, and what each may be.

A body is held against its shape before anything is made of it, so that a mistyped value is the client's mistake, with
the property's name, wherever it stands. Whole numbers and true or false may come as text, as FC's older clients
send them; names that stand nowhere here are let through. Ranges, names and what belongs together are checked by the
readers (registry/documents.py), for project files too.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from pyfc.errors import InvalidArgument

Scalar = str | int | float | bool
_AT = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)


class Shape(Struct, rename="camel"):
    """An object of FC's API; every property may be absent."""


class LogConfig(Shape):
    """Where logs go in the cloud: kept and told."""

    project: str = ""
    logstore: str = ""
    enable_request_metrics: bool = False
    enable_instance_metrics: bool = False
    log_begin_rule: Literal["None", "DefaultRegex", ""] = "None"


class VpcConfig(Shape):
    """A network in the cloud: kept and told."""

    vpc_id: str = ""
    v_switch_ids: list[str] = []
    security_group_id: str = ""
    role: str = ""


class NasMount(Shape):
    """A mount of a NAS."""

    server_addr: str = ""
    mount_dir: str = ""
    enable_tls: bool = field(default=False, name="enableTLS")


class NasConfig(Shape):
    """Mounts of NAS: kept and told."""

    user_id: int = -1
    group_id: int = -1
    mount_points: list[NasMount] = []


class OssMount(Shape):
    """A mount of a bucket."""

    bucket_name: str = ""
    bucket_path: str = ""
    endpoint: str = ""
    mount_dir: str = ""
    read_only: bool = False


class OssMountConfig(Shape):
    """Mounts of buckets: kept and told."""

    mount_points: list[OssMount] = []


class TracingConfig(Shape):
    """Where traces go: kept and told."""

    type: Literal["Jaeger", ""] = ""
    params: dict[str, Scalar] = {}


class Common(Shape):
    """What services of the older APIs and functions of the newer one have."""

    description: str = ""
    role: str = ""
    internet_access: bool = True
    log_config: LogConfig | None = None
    vpc_config: VpcConfig | None = None
    nas_config: NasConfig | None = None
    oss_mount_config: OssMountConfig | None = None
    tracing_config: TracingConfig | None = None


class Service(Common):
    """A service."""

    service_name: str = ""
    vendor_config: dict[str, Any] = {}


class Code(Shape):
    """A package."""

    zip_file: str = ""
    oss_bucket_name: str = ""
    oss_object_name: str = ""
    checksum: str = ""


class Hook(Shape):
    """A lifecycle hook."""

    handler: str = ""
    timeout: int = 3


class Lifecycle(Shape):
    """The hooks of a function."""

    initializer: Hook | None = None
    pre_freeze: Hook | None = None
    pre_stop: Hook | None = None


class HealthCheck(Shape):
    """The health check of a custom runtime."""

    http_get_url: str = ""
    initial_delay_seconds: int = 0
    period_seconds: int = 3
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class CustomRuntime(Shape):
    """What a custom runtime starts."""

    command: list[str] = []
    args: list[str] = []
    port: int = 9000
    health_check_config: HealthCheck | None = None


class CustomContainer(Shape):
    """An image: kept and told, such functions are not run here."""

    image: str = ""
    command: str | list[str] = ""
    args: str | list[str] = ""
    entrypoint: list[str] = []
    port: int = 9000
    acceleration_type: Literal["Default", "None", ""] = "Default"
    acr_instance_id: str = ""
    instance_id: str = field(default="", name="instanceID")
    web_server_mode: bool = True
    health_check_config: HealthCheck | None = None


class DnsOption(Shape):
    """An option of a resolver."""

    name: str = ""
    value: str = ""


class CustomDns(Shape):
    """Resolvers: kept and told."""

    name_servers: list[str] = []
    searches: list[str] = []
    dns_options: list[DnsOption] = []


class GpuConfig(Shape):
    """A graphics card: kept and told."""

    gpu_memory_size: int = 0
    gpu_type: str = ""


class AnyFunction(Common):
    """What functions of every API have."""

    function_name: str = ""
    runtime: str = ""
    handler: str = ""
    initializer: str = ""
    timeout: int = 3
    initialization_timeout: int = 3
    memory_size: int = 128
    instance_concurrency: int = 1
    instance_soft_concurrency: int = 0
    instance_type: Annotated[str, Meta(pattern=r"^(e1|c1|g1|fc\.gpu\..+)?$")] = "e1"
    cpu: float = 0.0
    disk_size: int = 512
    gpu_memory_size: int = 0
    gpu_config: GpuConfig | None = None
    ca_port: int = 9000
    code: Code | None = None
    environment_variables: dict[str, Scalar | None] = {}
    custom_runtime_config: CustomRuntime | None = None
    custom_health_check_config: HealthCheck | None = None
    custom_container_config: CustomContainer | None = None
    custom_dns: CustomDns | None = field(default=None, name="customDNS")
    instance_lifecycle_config: Lifecycle | None = None
    idle_timeout: int = 0
    resource_group_id: str = ""
    session_affinity: str = ""
    session_affinity_config: str | dict[str, Any] = ""
    instance_isolation_mode: str = ""
    disable_ondemand: bool = False


class Function(AnyFunction):
    """A function of the older APIs."""

    layers: list[str] = []


class LayerReference(Shape):
    """A layer as the newer API tells it."""

    arn: str = ""
    size: int = 0


class Tag(Shape):
    """A tag."""

    key: str = ""
    value: str = ""


class NewerFunction(AnyFunction):
    """A function of the newer API."""

    layers: list[str | LayerReference] = []
    tags: list[Tag] | dict[str, Scalar] = []


class PolicyItem(Shape):
    """What a call must have to be led elsewhere."""

    type: str = ""
    key: str = ""
    operator: str = ""
    value: Scalar = ""


class RoutePolicy(Shape):
    """Which calls are led elsewhere."""

    condition: str = "AND"
    policy_items: list[PolicyItem] = []


class Alias(Shape):
    """An alias."""

    alias_name: str = ""
    version_id: str | int = ""
    description: str = ""
    additional_version_weight: dict[str, float] = {}
    resolve_policy: str = "Random"
    route_policy: RoutePolicy | None = None


class Description(Shape):
    """Of a version."""

    description: str = ""


class Trigger(Shape):
    """A trigger of the older APIs."""

    trigger_name: str = ""
    trigger_type: str = ""
    trigger_config: dict[str, Any] = {}
    description: str = ""
    source_arn: str = ""
    invocation_role: str = ""
    qualifier: str = ""


class NewerTrigger(Trigger):
    """A trigger of the newer API."""

    trigger_config: str | dict[str, Any] = ""  # type: ignore[assignment]


class Rewriting(Shape):
    """One rule."""

    match: str = ""
    replacement: str = ""


class RewriteConfig(Shape):
    """How paths are rewritten."""

    equal_rules: list[Rewriting] = []
    wildcard_rules: list[Rewriting] = []
    regex_rules: list[Rewriting] = []


class Route(Shape):
    """Where paths of a domain lead."""

    path: str = ""
    service_name: str = ""
    function_name: str = ""
    qualifier: str = ""
    methods: list[str] = []
    rewrite_config: RewriteConfig | None = None


class RouteConfig(Shape):
    """Where a domain leads."""

    routes: list[Route] = []


class CertConfig(Shape):
    """A certificate: kept, and told without its private key."""

    cert_name: str = ""
    certificate: str = ""
    private_key: str = ""


class TlsConfig(Shape):
    """Versions of TLS: kept and told."""

    min_version: str = ""
    max_version: str = ""
    cipher_suites: list[str] = []


class WafConfig(Shape):
    """A firewall in the cloud: kept and told."""

    enable_waf: bool = field(default=False, name="enableWAF")


class Domain(Shape):
    """A custom domain."""

    domain_name: str = ""
    protocol: str = "HTTP"
    route_config: RouteConfig | None = None
    cert_config: CertConfig | None = None
    tls_config: TlsConfig | None = None
    waf_config: WafConfig | None = None
    auth_config: dict[str, Any] = {}


class Layer(Shape):
    """A version of a layer."""

    code: Code | None = None
    description: str = ""
    compatible_runtime: list[str] = []
    license: str = ""


class Binding(Shape):
    """A network that a service or function is bound to."""

    vpc_id: str = ""


class Tags(Shape):
    """Tags of a service."""

    resource_arn: str = ""
    tags: dict[str, Scalar | None] = {}
    tag_keys: list[str] = []
    all: bool = False


class NewerTags(Shape):
    """Tags of functions."""

    resource_type: str = ""
    resource_id: list[str] = []
    tag: list[Tag] = []
    tag_key: list[str] = []
    all: bool = False


class ScheduledAction(Shape):
    """When the number of reserved instances changes."""

    name: str = ""
    start_time: str = ""
    end_time: str = ""
    schedule_expression: str = ""
    target: int = 0
    time_zone: str = ""


class TrackingPolicy(Shape):
    """How the number of reserved instances follows the load."""

    name: str = ""
    start_time: str = ""
    end_time: str = ""
    metric_type: str = ""
    metric_target: float = 0.0
    min_capacity: int = 0
    max_capacity: int = 0


class Provision(Shape):
    """Reserved instances."""

    target: int = 0
    default_target: int = 0
    scheduled_actions: list[ScheduledAction] = []
    target_tracking_policies: list[TrackingPolicy] = []
    always_allocate_cpu: bool = field(default=False, name="alwaysAllocateCPU")
    always_allocate_gpu: bool = field(default=False, name="alwaysAllocateGPU")


class OnDemand(Shape):
    """A limit of instances."""

    maximum_instance_count: int = 0


class Concurrency(Shape):
    """A limit of instances, in the newer API."""

    reserved_concurrency: int = 0


class Scaling(Shape):
    """Reserved instances, in the newer API."""

    min_instances: int = 0


class Destination(Shape):
    """Where an outcome goes."""

    destination: str = ""


class Destinations(Shape):
    """Where outcomes go."""

    on_success: Destination | None = None
    on_failure: Destination | None = None


class Asynchronous(Shape):
    """How asynchronous calls are made."""

    max_async_retry_attempts: int = 3
    max_async_event_age_in_seconds: int = 86400
    stateful_invocation: bool = False
    async_task: bool = False
    destination_config: Destinations | None = None


class Reason(Shape):
    """Why a function is disabled."""

    reason: str = ""


def check(document: dict[str, Any], shape: type[Shape]) -> None:
    """Raises InvalidArgument that names the property which has a value of another kind. Empty text at the top means
    that the client says nothing of it.
    """
    try:
        msgspec.convert({name: value for name, value in document.items() if value != ""}, shape, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        found = _AT.fullmatch(str(error))
        what, where = found.groups() if found is not None else (str(error), "")
        raise InvalidArgument(message=f"{where or 'the body'}: {what[:1].lower()}{what[1:]}".replace("`", "")) from None
