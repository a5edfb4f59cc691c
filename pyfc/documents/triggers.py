"""Triggers, whose configuration is another object for each type."""

from __future__ import annotations

from typing import Any, Literal, get_args

from msgspec import field

from pyfc.documents.shapes import CorsConfig, LogConfig, Shape
from pyfc.documents.values import Method, Name, Size


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

    is_open = True
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

    is_open = True
    bucket_name: str = ""
    events: list[str] = field(default_factory=list)
    filter: ObjectFilter | None = None
    enable: bool = True


class LogSource(Shape):
    """The store that a log trigger reads."""

    is_open = True
    logstore: str = ""


class LogJob(Shape):
    """When a log trigger reads."""

    is_open = True
    max_retry_time: Size = 0
    trigger_interval: Size = 0


class LogTrigger(Shape):
    """The configuration of a log trigger."""

    is_open = True
    source_config: LogSource | None = None
    job_config: LogJob | None = None
    log_config: LogConfig | None = None
    function_parameter: dict[str, Any] = field(default_factory=dict)
    enable: bool = True


class MnsTrigger(Shape):
    """The configuration of a trigger of a topic."""

    is_open = True
    topic_name: str = ""
    region: str = ""
    filter_tag: str = ""
    notify_content_format: str = ""
    notify_strategy: str = ""


class CdnTrigger(Shape):
    """The configuration of a trigger of the CDN's events."""

    is_open = True
    event_name: str = ""
    event_version: str = ""
    notes: str = ""
    filter: dict[str, Any] = field(default_factory=dict)


class OtherTrigger(Shape):
    """A configuration that is kept as it is."""

    is_open = True


TriggerType = Literal[
    "http", "https", "oss", "log", "timer", "mns_topic", "cdn_events", "tablestore", "rds", "datahub", "eventbridge"
]
TYPES: frozenset[str] = frozenset(get_args(TriggerType))
TRIGGERS: dict[str, type[Shape]] = {
    "http": HttpTrigger, "timer": TimerTrigger, "oss": OssTrigger, "log": LogTrigger, "mns_topic": MnsTrigger,
    "cdn_events": CdnTrigger,
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
