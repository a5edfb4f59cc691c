"""FC's JSON objects: which properties each has, and what each may be. Triggers are in triggers.py, what is said of a
function beside it in scaling.py; nothing is declared anywhere else.

Bodies of the management API and template files are both read by these (documents/reader.py), OpenAPI shows them. What
takes several properties together, or more than a type, a range and a pattern, is in objects.py and its like. A property
without a default must be there, unless something is changed that has it already.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

from pyfc.documents.values import (
    AliasName,
    Count,
    DomainName,
    HeaderPart,
    Method,
    Name,
    NameOrNone,
    Port,
    Protocol,
    RoutePath,
    Scalar,
    SessionIdleTime,
    SessionTime,
    Size,
    VariableName,
    Weight,
)


class Shape(Struct, rename="camel"):
    """An object of FC's API."""

    is_open: ClassVar[bool] = False
    """Whether what is not declared is kept all the same."""


class LogConfig(Shape):
    """Where logs go: a logstore of the log service."""

    project: str = ""
    logstore: str = ""
    enable_request_metrics: bool = False
    enable_instance_metrics: bool = False
    enable_llm_metrics: bool = False
    log_begin_rule: Literal["None", "DefaultRegex"] = "None"


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

    type: Literal["Jaeger"] | None = None
    params: dict[str, Scalar] = {}


class Kept(Shape):
    """What services and functions may declare that changes nothing here: kept and told."""

    role: str = ""
    log_config: LogConfig | None = None
    vpc_config: VpcConfig | None = None
    nas_config: NasConfig | None = None
    oss_mount_config: OssMountConfig | None = None
    tracing_config: TracingConfig | None = None


class KeptOfService(Kept):
    """What of a service changes nothing here."""

    vendor_config: dict[str, Any] = {}


class Service(KeptOfService, kw_only=True):
    """A service."""

    service_name: Name
    description: str = ""
    internet_access: bool = True


class Code(Shape):
    """A package."""

    zip_file: str = ""
    oss_bucket_name: str = ""
    oss_object_name: str = ""
    checksum: str = ""


class Hook(Shape):
    """A lifecycle hook: a handler or, of custom runtimes, a command."""

    handler: str = ""
    command: list[str] = []
    timeout: Annotated[int, Meta(ge=1, le=90)] = 3


class Initializer(Hook):
    """The hook that runs first; 0 seconds stand for no limit of its own."""

    timeout: Annotated[int, Meta(ge=0, le=300)] = 0


class Lifecycle(Shape):
    """The hooks of a function."""

    initializer: Initializer | None = None
    pre_freeze: Hook | None = None
    pre_stop: Hook | None = None


class HealthCheck(Shape):
    """The health check of a custom runtime."""

    http_get_url: str
    initial_delay_seconds: Annotated[int, Meta(ge=0, le=120)] = 0
    period_seconds: Count = 3
    timeout_seconds: Annotated[int, Meta(ge=1, le=3)] = 1
    failure_threshold: Count = 3
    success_threshold: Count = 1


class CustomRuntime(Shape):
    """What a custom runtime starts."""

    command: list[str] = []
    args: list[str] = []
    port: Port | None = None
    health_check_config: HealthCheck | None = None


class CustomContainer(Shape):
    """An image: kept and told, such functions are not run here."""

    image: str = ""
    command: str | list[str] = ""
    args: str | list[str] = ""
    entrypoint: list[str] = []
    port: Port = 9000
    acceleration_type: Literal["Default", "None"] = "Default"
    acr_instance_id: str = ""
    instance_id: str = field(default="", name="instanceID")
    web_server_mode: bool = True
    registry_config: dict[str, Any] = {}
    acceleration_info: dict[str, Any] = {}
    resolved_image_uri: str = ""
    health_check_config: HealthCheck | None = None


class AffinityConfig(Shape):
    """How sessions are told apart, and how long they last; times are seconds."""

    affinity_header_field_name: Annotated[
        str,
        Meta(
            pattern=r"^((?!([Xx]-[Ff][Cc]-))[A-Za-z][A-Za-z0-9_-]{4,39})?$(?!\n)",
            description="a letter, then letters, digits, _ and -, 5 to 40, and not x-fc-*",
        ),
    ] = ""
    session_concurrency_per_instance: Annotated[int, Meta(ge=1, le=200)] = 20
    session_ttl: SessionTime = field(default=21600, name="sessionTTLInSeconds")
    session_idle_timeout: SessionIdleTime = field(default=1800, name="sessionIdleTimeoutInSeconds")
    disable_session_id_reuse: bool = False
    sse_endpoint_path: str = ""


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

    gpu_memory_size: Size = 0
    gpu_type: str = ""


class KeptOfFunction(Kept):
    """What of a function changes nothing here."""

    instance_soft_concurrency: Size = 0
    instance_type: Annotated[
        str, Meta(pattern=r"^(e1|c1|g1|fc\.gpu\..+)?$", description="e1, c1, g1 or a GPU's, fc.gpu.*")
    ] = "e1"
    cpu: Annotated[float, Meta(ge=0)] = 0.0
    gpu_memory_size: Size = 0
    gpu_config: GpuConfig | None = None
    custom_container_config: CustomContainer | None = None
    custom_dns: CustomDns | None = field(default=None, name="customDNS")
    idle_timeout: Size = 0
    resource_group_id: str = ""
    session_affinity: Literal["NONE", "HEADER_FIELD", "GENERATED_COOKIE", "MCP_SSE", "MCP_STREAMABLE"] = "NONE"
    session_affinity_config: str | dict[str, Any] = ""
    instance_isolation_mode: str = ""
    disable_ondemand: bool = False
    enable_long_living: bool = False
    disable_inject_credentials: Literal["None", "Env", "Request", "All"] = "None"
    micro_sandbox_config: dict[str, Any] = {}
    juice_fs_config: dict[str, Any] = {}
    polar_fs_config: dict[str, Any] = {}


class AnyFunction(KeptOfFunction, kw_only=True):
    """What functions of every API have, and those of template files. Sizes are MB, times seconds."""

    function_name: Name
    runtime: Annotated[str, Meta(description="the name of a runtime (Runtime is set to an invalid value)")]
    handler: str = ""
    description: str = ""
    initializer: str = ""
    timeout: Annotated[int, Meta(ge=1, le=86400)] = 3
    initialization_timeout: Annotated[int, Meta(ge=1, le=300)] = 3
    memory_size: Annotated[int, Meta(ge=128, le=32768, multiple_of=64)] = 128
    instance_concurrency: Annotated[int, Meta(ge=1, le=200)] = 1
    disk_size: Literal[512, 10240] = 512
    ca_port: Port = 9000
    environment_variables: dict[VariableName, Scalar | None] = {}
    custom_runtime_config: CustomRuntime | None = None
    custom_health_check_config: HealthCheck | None = None
    instance_lifecycle_config: Lifecycle | None = None
    internet_access: bool = True


class Function(AnyFunction):
    """A function of the older APIs."""

    code: Code | None = None
    layers: list[str] = []


class LayerReference(Shape):
    """A layer as the newer API tells it."""

    arn: str
    size: int = 0


class Tag(Shape):
    """A tag."""

    key: str
    value: str = ""


class NewerFunction(AnyFunction):
    """A function of the newer API."""

    code: Code | None = None
    layers: list[str | LayerReference] = []
    tags: list[Tag] | dict[str, Scalar] = []


class PolicyItem(Shape):
    """What a call must have to be led elsewhere."""

    type: Literal["header", "cookie"] = "header"
    key: str = ""
    operator: Literal["=", "==", "!=", "in", "contains"] = "="
    value: Scalar = ""


class RoutePolicy(Shape):
    """Which calls are led elsewhere."""

    condition: Literal["AND", "OR"] = "AND"
    policy_items: list[PolicyItem] = []


class Alias(Shape):
    """An alias."""

    alias_name: AliasName
    version_id: str | int = ""
    description: str = ""
    additional_version_weight: Annotated[dict[str, Weight], Meta(max_length=1)] = {}
    resolve_policy: Literal["Random", "Content"] = "Random"
    route_policy: RoutePolicy | None = None


class Description(Shape):
    """Of a version."""

    description: str = ""


class Rewriting(Shape):
    """One rule."""

    match: Annotated[str, Meta(max_length=1024)] = ""
    replacement: Annotated[str, Meta(max_length=1024)] = ""


Rules = Annotated[list[Rewriting], Meta(max_length=100)]


class RewriteConfig(Shape):
    """How paths are rewritten."""

    equal_rules: Rules = []
    wildcard_rules: Rules = []
    regex_rules: Rules = []


class Route(Shape, kw_only=True):
    """Where paths of a domain lead."""

    path: RoutePath
    service_name: NameOrNone = ""
    function_name: Name
    qualifier: str = ""
    methods: list[Method] = []
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


class CorsConfig(Shape):
    """What the pages of other sites may do; seconds."""

    allow_origins: list[HeaderPart] = []
    allow_methods: list[Method] = []
    allow_headers: list[HeaderPart] = []
    expose_headers: list[HeaderPart] = []
    allow_credentials: bool = False
    max_age: Annotated[int, Meta(ge=0, le=86400)] = 86400


class AuthConfig(Shape):
    """Who may call by a domain."""

    is_open = True
    auth_type: Literal["anonymous", "function", "jwt"] = "anonymous"
    auth_info: str | dict[str, Any] = {}
    """Of tokens: the keys, and where a token stands."""


class KeptOfDomain(Shape):
    """What a domain has beside its routes."""

    cert_config: CertConfig | None = None
    tls_config: TlsConfig | None = None
    waf_config: WafConfig | None = None
    auth_config: AuthConfig | None = None
    cors_config: CorsConfig | None = None
    is_e2b: bool = field(default=False, name="isE2B")


class Domain(KeptOfDomain, kw_only=True):
    """A custom domain."""

    domain_name: DomainName
    protocol: Protocol = "HTTP"
    route_config: RouteConfig | None = None


class Layer(Shape):
    """A version of a layer."""

    code: Code
    description: str = ""
    compatible_runtime: Annotated[list[str], Meta(max_length=20)] = []
    license: str = ""


class Binding(Shape):
    """A network that a service or function is bound to."""

    vpc_id: str = ""


class EventSource(Shape):
    """What calls a function."""

    source_arn: str


class Tags(Shape):
    """Tags of a service."""

    resource_arn: str
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


class SessionPart(Shape):
    """What of a session can be changed; storage and networks of one are kept and told."""

    session_ttl: SessionTime | None = field(default=None, name="sessionTTLInSeconds")
    session_idle_timeout: SessionIdleTime | None = field(default=None, name="sessionIdleTimeoutInSeconds")
    disable_session_id_reuse: bool | None = None
    nas_config: NasConfig | None = None
    oss_mount_config: OssMountConfig | None = None
    juice_fs_config: dict[str, Any] = {}
    polar_fs_config: dict[str, Any] = {}
    network: dict[str, Any] = {}
    allow_internet_access: bool = True
    enable_auto_pause: bool = False
    enable_auto_resume: bool = False


class Session(SessionPart):
    """A session."""

    session_id: str = ""
    snapshot_id: str = ""


class Snapshot(Shape):
    """A snapshot of a session's instance."""

    session_id: str = ""
    description: str = ""


class ResourceGroup(Shape):
    """The group that something is to belong to."""

    resource_id: str
    new_resource_group_id: str
    resource_type: str = ""


class Reason(Shape):
    """Why a function is disabled."""

    reason: str = ""
    abort_ongoing_request: bool = False
