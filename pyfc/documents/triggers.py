"""Triggers, whose configuration is another object for each type."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, field

from pyfc.documents.shapes import CorsConfig, LogConfig, Shape
from pyfc.documents.values import Method, Name, Scalar, Size


class HttpTrigger(Shape):
    """The configuration of an HTTP trigger."""

    is_open = True
    auth_type: Literal["anonymous", "function", "jwt"] = "function"
    methods: list[Method] = field(default_factory=lambda: ["GET", "POST", "PUT", "DELETE", "HEAD"])
    disable_url_internet: bool = field(default=False, name="disableURLInternet")
    auth_config: str | dict[str, Any] = ""
    cors_config: CorsConfig | None = None


class TimerTrigger(Shape):
    """The configuration of a timer."""

    cron_expression: str = ""
    payload: str = ""
    enable: bool = True


class KeyFilter(Shape):
    """Which objects count."""

    prefix: str = ""
    suffix: str = ""


class ObjectFilter(Shape):
    """Which objects of a bucket count."""

    key: KeyFilter | None = None


class OssTrigger(Shape):
    """The configuration of a trigger of a bucket."""

    bucket_name: str = ""
    events: list[str] = field(default_factory=list)
    filter: ObjectFilter | None = None
    enable: bool = True


class LogSource(Shape):
    """The store that a log trigger reads."""

    logstore: str = ""
    start_time: Size = 0


class LogJob(Shape):
    """When a log trigger reads."""

    max_retry_time: Annotated[int, Meta(ge=0, le=100)] = 3
    trigger_interval: Annotated[int, Meta(ge=3, le=600)] = 60


class LogTrigger(Shape):
    """The configuration of a log trigger."""

    source_config: LogSource | None = None
    job_config: LogJob | None = None
    log_config: LogConfig | None = None
    function_parameter: dict[str, Any] = field(default_factory=dict)
    enable: bool = True


class MnsTrigger(Shape):
    """The configuration of a trigger of a topic."""

    topic_name: str = ""
    region: str = ""
    filter_tag: str = ""
    notify_content_format: str = ""
    notify_strategy: str = ""


class CdnTrigger(Shape):
    """The configuration of a trigger of the CDN's events."""

    event_name: str = ""
    event_version: str = ""
    notes: str = ""
    filter: dict[str, Any] = field(default_factory=dict)


class EventSourceConfig(Shape):
    """Where the events of a trigger of EventBridge come from."""

    is_open = True
    event_source_type: Literal["Default", "MNS", "RocketMQ", "RabbitMQ", "Kafka", "MQTT", "DTS"] = "Default"
    event_source_parameters: dict[str, Any] = field(default_factory=dict)


class DeliveryOption(Shape):
    """In which form events are delivered."""

    is_open = True
    event_schema: Literal["CloudEvents", "RawData"] = "CloudEvents"
    mode: str = ""


class EventSink(Shape):
    """How events are delivered."""

    is_open = True
    delivery_option: DeliveryOption | None = None


class BatchWindow(Shape):
    """How many events come together, and for how many seconds they are waited for."""

    is_open = True
    count_based_window: Annotated[int, Meta(ge=1, le=10000)] = field(default=1, name="CountBasedWindow")
    time_based_window: Annotated[int, Meta(ge=0, le=15)] = field(default=0, name="TimeBasedWindow")


class RetryStrategy(Shape):
    """How often and when a push that failed is tried again."""

    is_open = True
    push_retry_strategy: Literal["BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"] = field(
        default="BACKOFF_RETRY", name="PushRetryStrategy"
    )
    maximum_retry_attempts: Size = field(default=0, name="MaximumRetryAttempts")
    maximum_event_age_in_seconds: Size = field(default=0, name="MaximumEventAgeInSeconds")


class DeadLetterQueue(Shape):
    """Where events go that could not be pushed."""

    is_open = True
    arn: str = field(default="", name="Arn")


class RunOptions(Shape):
    """How a trigger of EventBridge runs."""

    is_open = True
    mode: Literal["event-driven", "event-streaming"] = "event-driven"
    maximum_tasks: Size = 1
    errors_tolerance: Literal["ALL", "NONE"] = "NONE"
    batch_window: BatchWindow | None = None
    retry_strategy: RetryStrategy | None = None
    dead_letter_queue: DeadLetterQueue | None = None


class EventBridgeTrigger(Shape):
    """The configuration of a trigger of EventBridge."""

    is_open = True
    trigger_enable: bool = True
    async_invocation_type: bool = False
    event_rule_filter_pattern: str | dict[str, Any] = ""
    event_source_config: EventSourceConfig | None = None
    event_sink_config: EventSink | None = None
    run_options: RunOptions | None = None


class ApiParameter(Shape):
    """A parameter of a request."""

    is_open = True
    api_parameter_name: str
    location: str = "QUERY"
    parameter_type: str = "String"
    required: Literal["REQUIRED", "OPTIONAL"] = "OPTIONAL"
    default_value: Scalar = ""


class ServiceParameter(Shape):
    """A parameter that the function gets."""

    is_open = True
    service_parameter_name: str
    location: str = "QUERY"
    parameter_catalog: Literal["REQUEST", "CONSTANT", "SYSTEM"] = "REQUEST"


class ParameterMap(Shape):
    """Which parameter of a request the function gets under which name."""

    is_open = True
    request_parameter_name: str
    service_parameter_name: str


class ApiRequestConfig(Shape):
    """How a request is handed on."""

    is_open = True
    request_mode: str = "PASSTHROUGH"


class ApiTrigger(Shape):
    """An API of the API gateway."""

    is_open = True
    group: str
    path: str
    method: str
    stage: str = "RELEASE"
    api_name: str = ""
    request_config: ApiRequestConfig | None = None
    request_parameters: list[ApiParameter] = field(default_factory=list)
    service_parameters: list[ServiceParameter] = field(default_factory=list)
    service_parameters_map: list[ParameterMap] = field(default_factory=list)
    auth_type: str = "ANONYMOUS"
    timeout: Annotated[int, Meta(ge=1, le=600000)] = 3000


class OtherTrigger(Shape):
    """A configuration that is kept as it is."""

    is_open = True


TriggerType = Literal[
    "http",
    "https",
    "oss",
    "log",
    "timer",
    "mns_topic",
    "cdn_events",
    "tablestore",
    "rds",
    "datahub",
    "eventbridge",
    "apigateway",
]
TYPES: frozenset[str] = frozenset(get_args(TriggerType))
TRIGGERS: dict[str, type[Shape]] = {
    "http": HttpTrigger, "timer": TimerTrigger, "oss": OssTrigger, "log": LogTrigger, "mns_topic": MnsTrigger,
    "cdn_events": CdnTrigger, "eventbridge": EventBridgeTrigger, "apigateway": ApiTrigger,
}  # fmt: skip
"""What `triggerConfig` may be, by `triggerType`; OtherTrigger for the rest."""


class AnyTrigger(Shape):
    """What triggers of every API have."""

    trigger_name: Name
    trigger_type: TriggerType
    description: str = ""
    source_arn: str = ""
    invocation_role: str = ""
    qualifier: str = ""


class Trigger(AnyTrigger):
    """A trigger of the older APIs."""

    trigger_config: dict[str, Any] = field(default_factory=dict)


class NewerTrigger(AnyTrigger):
    """A trigger of the newer API, whose configuration is JSON text."""

    trigger_config: str | dict[str, Any] = ""
