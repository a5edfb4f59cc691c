"""Triggers, whose configuration is another object for each type."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args

from msgspec import Meta, field

from pyfc.documents.reader import JsonReader, names
from pyfc.documents.shapes import CorsConfig, LogConfig, Shape
from pyfc.documents.values import Method, Name, Scalar, Size
from pyfc.errors import InvalidArgument

_CLOSE = 0.8
"""How much of a misspelt name is that of the one that is meant."""


class Selecting(Shape):
    """A part of a configuration that says what fires a trigger."""

    selects: ClassVar[frozenset[str]] = frozenset()
    """The properties that say so: if one is misspelt, others fire it than are meant."""


def meant(shape: type[Shape], name: str) -> str:
    """Which of the properties that say what fires a name is meant for that the shape does not have; '' for none."""
    if not issubclass(shape, Selecting):
        return ""
    lower = {each.lower(): each for each in names(shape)}
    found = [lower[each] for each in difflib.get_close_matches(name.lower(), lower, 1, _CLOSE)]
    return found[0] if found and found[0] in shape.selects else ""


class ConfigReader(JsonReader):
    """Refuses what seems to be meant for a property that says what fires: everything would."""

    def unknown(self, value: Any, shape: type[Shape], strange: Sequence[str]) -> None:
        """See Reader. Raises InvalidArgument."""
        for name in strange:
            if right := meant(shape, name):
                raise InvalidArgument(message=f"triggerConfig has {ascii(name)[:100]}, which is not known: use {right}")
        super().unknown(value, shape, strange)


class HttpTrigger(Shape):
    """The configuration of an HTTP trigger."""

    is_open = True
    auth_type: Literal["anonymous", "function", "jwt"] = "function"
    methods: list[Method] = field(default_factory=lambda: ["GET", "POST", "PUT", "DELETE", "HEAD"])
    disable_url_internet: bool = field(default=False, name="disableURLInternet")
    auth_config: str | dict[str, Any] = ""
    cors_config: CorsConfig | None = None


class TimerTrigger(Selecting):
    """The configuration of a timer."""

    selects = frozenset({"cronExpression", "enable"})
    cron_expression: str = ""
    payload: str = ""
    enable: bool = True


class KeyFilter(Selecting):
    """Which objects count."""

    selects = frozenset({"prefix", "suffix"})
    prefix: str = ""
    suffix: str = ""


class ObjectFilter(Selecting):
    """Which objects of a bucket count."""

    selects = frozenset({"key"})
    key: KeyFilter | None = None


class OssTrigger(Selecting):
    """The configuration of a trigger of a bucket."""

    selects = frozenset({"bucketName", "events", "filter", "enable"})
    bucket_name: str = ""
    events: list[str] = field(default_factory=list)
    filter: ObjectFilter | None = None
    enable: bool = True


class LogSource(Selecting):
    """The store that a log trigger reads."""

    selects = frozenset({"logstore"})
    logstore: str = ""
    start_time: Size = 0


class LogJob(Shape):
    """When a log trigger reads."""

    max_retry_time: Annotated[int, Meta(ge=0, le=100)] = 3
    trigger_interval: Annotated[int, Meta(ge=3, le=600)] = 60


class LogTrigger(Selecting):
    """The configuration of a log trigger."""

    selects = frozenset({"sourceConfig", "enable"})
    source_config: LogSource | None = None
    job_config: LogJob | None = None
    log_config: LogConfig | None = None
    function_parameter: dict[str, Any] = field(default_factory=dict)
    enable: bool = True


class MnsTrigger(Selecting):
    """The configuration of a trigger of a topic."""

    selects = frozenset({"topicName", "filterTag"})
    topic_name: str = ""
    region: str = ""
    filter_tag: str = ""
    notify_content_format: str = ""
    notify_strategy: str = ""


class CdnTrigger(Selecting):
    """The configuration of a trigger of the CDN's events."""

    selects = frozenset({"eventName", "filter"})
    event_name: str = ""
    event_version: str = ""
    notes: str = ""
    filter: dict[str, Any] = field(default_factory=dict)


class TablestoreTrigger(Selecting):
    """The configuration of a trigger of a table."""

    is_open = True
    selects = frozenset({"instanceName", "tableName", "enable"})
    instance_name: str = ""
    table_name: str = ""
    enable: bool = True


class RdsTrigger(Selecting):
    """The configuration of a trigger of a database."""

    is_open = True
    selects = frozenset({"instanceId", "subscriptionObjects", "enable"})
    instance_id: str = ""
    subscription_objects: list[str] = field(default_factory=list)
    retry: Annotated[int, Meta(ge=0, le=3)] = 0
    concurrency: Annotated[int, Meta(ge=1, le=5)] = 1
    event_format: Literal["json", "protobuf", "sql"] = "protobuf"
    enable: bool = True


class MnsSource(Selecting):
    """A queue of the message service, whose messages are events."""

    is_open = True
    selects = frozenset({"QueueName"})
    region_id: str = field(default="", name="RegionId")
    queue_name: str = field(default="", name="QueueName")
    is_base64_decode: bool = field(default=True, name="IsBase64Decode")


class RabbitSource(Selecting):
    """A queue of RabbitMQ, whose messages are events."""

    is_open = True
    selects = frozenset({"VirtualHostName", "QueueName"})
    region_id: str = field(default="", name="RegionId")
    instance_id: str = field(default="", name="InstanceId")
    virtual_host_name: str = field(default="", name="VirtualHostName")
    queue_name: str = field(default="", name="QueueName")


class RocketSource(Selecting):
    """A topic of RocketMQ, whose messages are events."""

    is_open = True
    selects = frozenset({"Topic", "Tag", "FilterType", "FilterSql"})
    region_id: str = field(default="", name="RegionId")
    instance_id: str = field(default="", name="InstanceId")
    instance_type: str = field(default="", name="InstanceType")
    instance_endpoint: str = field(default="", name="InstanceEndpoint")
    instance_network: str = field(default="", name="InstanceNetwork")
    instance_vpc_id: str = field(default="", name="InstanceVpcId")
    instance_v_switch_ids: str = field(default="", name="InstanceVSwitchIds")
    instance_security_group_id: str = field(default="", name="InstanceSecurityGroupId")
    instance_username: str = field(default="", name="InstanceUsername")
    instance_password: str = field(default="", name="InstancePassword")
    auth_type: str = field(default="", name="AuthType")
    group_id: str = field(default="", name="GroupID")
    topic: str = field(default="", name="Topic")
    tag: str = field(default="", name="Tag")
    filter_type: str = field(default="", name="FilterType")
    filter_sql: str = field(default="", name="FilterSql")
    offset: Scalar = field(default="", name="Offset")
    timestamp: Scalar = field(default="", name="Timestamp")


class KafkaSource(Selecting):
    """A topic of Kafka, whose records are events."""

    is_open = True
    selects = frozenset({"Topic"})
    region_id: str = field(default="", name="RegionId")
    instance_id: str = field(default="", name="InstanceId")
    topic: str = field(default="", name="Topic")
    consumer_group: str = field(default="", name="ConsumerGroup")
    offset_reset: str = field(default="", name="OffsetReset")
    network: str = field(default="", name="Network")
    vpc_id: str = field(default="", name="VpcId")
    v_switch_ids: str = field(default="", name="VSwitchIds")
    security_group_id: str = field(default="", name="SecurityGroupId")


class MqttSource(Selecting):
    """A topic of MQTT, whose messages are events."""

    is_open = True
    selects = frozenset({"Topic"})
    region_id: str = field(default="", name="RegionId")
    instance_id: str = field(default="", name="InstanceId")
    topic: str = field(default="", name="Topic")


class DtsSource(Selecting):
    """A task that tells of changes in a database."""

    is_open = True
    selects = frozenset({"Topic", "Sid", "TaskId"})
    region_id: str = field(default="", name="RegionId")
    task_id: str = field(default="", name="TaskId")
    broker_url: str = field(default="", name="BrokerUrl")
    topic: str = field(default="", name="Topic")
    sid: str = field(default="", name="Sid")
    username: str = field(default="", name="Username")
    password: str = field(default="", name="Password")
    init_check_point: Scalar = field(default="", name="InitCheckPoint")


class EventSourceParameters(Selecting):
    """What a source of events is, by its type."""

    is_open = True
    selects = frozenset({
        "sourceMNSParameters", "sourceRabbitMQParameters", "sourceRocketMQParameters", "sourceKafkaParameters",
        "sourceMQTTParameters", "sourceDTSParameters",
    })  # fmt: skip
    mns: MnsSource | None = field(default=None, name="sourceMNSParameters")
    rabbit: RabbitSource | None = field(default=None, name="sourceRabbitMQParameters")
    rocket: RocketSource | None = field(default=None, name="sourceRocketMQParameters")
    kafka: KafkaSource | None = field(default=None, name="sourceKafkaParameters")
    mqtt: MqttSource | None = field(default=None, name="sourceMQTTParameters")
    dts: DtsSource | None = field(default=None, name="sourceDTSParameters")


class EventSourceConfig(Selecting):
    """Where the events of a trigger of EventBridge come from."""

    is_open = True
    selects = frozenset({"eventSourceType", "eventSourceParameters"})
    event_source_type: Literal["Default", "MNS", "RocketMQ", "RabbitMQ", "Kafka", "MQTT", "DTS"] = "Default"
    event_source_parameters: EventSourceParameters | None = None


class DeliveryOption(Shape):
    """In which form events are delivered."""

    is_open = True
    event_schema: Literal["CloudEvents", "RawData"] = "CloudEvents"
    mode: str = ""
    concurrency: Scalar = ""


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
    errors_tolerance: Literal["ALL", "NONE"] = "ALL"
    batch_window: BatchWindow | None = None
    retry_strategy: RetryStrategy | None = None
    dead_letter_queue: DeadLetterQueue | None = None


class EventBridgeTrigger(Selecting):
    """The configuration of a trigger of EventBridge."""

    is_open = True
    selects = frozenset({"triggerEnable", "eventRuleFilterPattern", "eventSourceConfig"})
    trigger_enable: bool = True
    async_invocation_type: bool = False
    event_rule_filter_pattern: str | dict[str, Any] = ""
    event_source_config: EventSourceConfig | None = None
    event_sink_config: EventSink | None = None
    run_options: RunOptions | None = None


ParameterPlace = Literal["QUERY", "HEAD", "HEADER", "PATH", "BODY"]


class ApiParameter(Shape):
    """A parameter of a request."""

    is_open = True
    api_parameter_name: str
    location: ParameterPlace = "QUERY"
    parameter_type: Literal["String", "Int", "Integer", "Long", "Float", "Double", "Number", "Boolean"] = "String"
    required: Literal["REQUIRED", "OPTIONAL"] = "OPTIONAL"
    default_value: Scalar = ""
    enum_value: Scalar = ""
    min_value: float | None = None
    max_value: float | None = None
    min_length: Size | None = None
    max_length: Size | None = None
    regular_expression: str = ""
    json_scheme: str | dict[str, Any] = ""
    demo_value: Scalar = ""
    description: str = ""
    api_parameter_description: str = ""
    parameter_description: str = ""
    doc_show: str = ""
    doc_order: Scalar = ""


class ServiceParameter(Shape):
    """A parameter that the function gets."""

    is_open = True
    service_parameter_name: str
    location: ParameterPlace = "QUERY"
    parameter_catalog: Literal["REQUEST", "CONSTANT", "SYSTEM"] = "REQUEST"
    type: str = ""
    parameter_type: str = ""


class ParameterMap(Shape):
    """Which parameter of a request the function gets under which name."""

    is_open = True
    request_parameter_name: str
    service_parameter_name: str


class ApiRequestConfig(Shape):
    """How a request is handed on."""

    is_open = True
    request_mode: Literal["PASSTHROUGH", "MAPPING", "MAPPING_PASSTHROUGH"] = "PASSTHROUGH"
    request_protocol: str = ""
    request_path: str = ""
    request_http_method: str = ""
    body_format: str = ""
    body_model: str = ""
    post_body_description: str = ""
    escape_path_param: bool = False


class ApiTrigger(Shape):
    """An API of the API gateway."""

    is_open = True
    group: str
    path: str
    method: Literal["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "ANY"]
    stage: str = "RELEASE"
    api_name: str = ""
    request_config: ApiRequestConfig | None = None
    request_parameters: list[ApiParameter] = field(default_factory=list)
    service_parameters: list[ServiceParameter] = field(default_factory=list)
    service_parameters_map: list[ParameterMap] = field(default_factory=list)
    auth_type: Literal["ANONYMOUS", "APP", "APPOPENID"] = "ANONYMOUS"
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
    "cdn_events": CdnTrigger, "tablestore": TablestoreTrigger, "rds": RdsTrigger,
    "eventbridge": EventBridgeTrigger, "apigateway": ApiTrigger,
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
