"""What the source of a trigger would send: the sample event of its type with the trigger's own values in it, changed as
a person wants it, and whether the source waits for the function.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pyfc.dev.samples import ACCOUNT, REGION, SAMPLES
from pyfc.errors import InvalidArgument
from pyfc.triggers import tablestore
from pyfc.triggers.eventbridge import DEFAULT, Rule, delivered
from pyfc.triggers.interface import option

HTTP = "http"
_LISTS = ("events", "Records")
"""Names under which an event has its elements."""
_LATER = frozenset({"oss", "timer", "mns"})
"""Samples whose sources do not wait for the function."""
_OF_TYPE = {"https": HTTP, "mns_topic": "mns", "cdn_events": "cdn"}
"""The sample of a type of triggers, where it has another name."""


class Declared(NamedTuple):
    """A trigger, or the type of one that nobody has declared."""

    sample: str
    """Which of the samples it is about."""
    name: str = "trigger"
    config: Mapping[str, Any] = {}
    arn: str = ""
    """Of its source."""
    qualifier: str = ""
    account: str = ACCOUNT
    region: str = REGION

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Declared:
        """The one that FC's Trigger object is about."""
        kind = str(document["triggerType"])
        _, _, region, account, *_ = str(document["targetArn"]).split(":", 4)
        return cls(
            _OF_TYPE.get(kind, kind), str(document["triggerName"]), document.get("triggerConfig") or {},
            document.get("sourceArn") or "", document.get("qualifier") or "", account, region,
        )  # fmt: skip

    @property
    def is_awaited(self) -> bool:
        """Whether the source waits for what the function returns."""
        if self.sample == "eventbridge":
            return option(self.config, "asyncInvocationType", default=False) is not True
        return self.sample not in _LATER

    @property
    def source(self) -> str:
        """What of the source's ARN names the bucket, topic or project; '' if it has none."""
        return self.arn.split(":", 4)[-1].rpartition("/")[2]


def event_of(trigger: Declared, now: datetime) -> Any:
    """The event: a JSON value, or text where the source sends text. Raises InvalidArgument if nothing is known of what
    it sends.
    """
    if trigger.sample not in SAMPLES:
        raise InvalidArgument(
            message=f"what a trigger of type {trigger.sample} sends is not known here: give an event with -e or -f"
        )
    event = copy.deepcopy(SAMPLES[trigger.sample])
    fill = _FILL.get(trigger.sample)
    return fill(event, trigger, now) if fill is not None else event


def _said(trigger: Declared, *path: str, usual: Any = "") -> Any:
    """What the configuration says at a path, whatever the case of its names; `usual` where it says nothing."""
    value: Any = trigger.config
    for name in path:
        value = option(value, name) if isinstance(value, Mapping) else None
    return value or usual


def _oss(event: Any, trigger: Declared, now: datetime) -> Any:
    [element] = event["events"]
    name = str(_said(trigger, "events", usual=["oss:ObjectCreated:*"])[0]).removeprefix("oss:")
    bucket = str(_said(trigger, "bucketName", usual=trigger.source or element["oss"]["bucket"]["name"]))
    element |= {
        "eventName": _ALL.get(name, name),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "region": trigger.region,
        "userIdentity": {"principalId": trigger.account},
    }
    element["oss"]["bucket"] |= {
        "arn": f"acs:oss:{trigger.region}:{trigger.account}:{bucket}", "name": bucket, "ownerIdentity": trigger.account,
    }  # fmt: skip
    if _said(trigger, "filter", "key"):
        prefix, suffix = _said(trigger, "filter", "key", "prefix"), _said(trigger, "filter", "key", "suffix")
        element["oss"]["object"]["key"] = f"{prefix}a{suffix}"
    return event


_ALL = {"ObjectCreated:*": "ObjectCreated:PutObject", "ObjectRemoved:*": "ObjectRemoved:DeleteObject",
        "ObjectReplication:*": "ObjectReplication:ObjectCreated"}  # fmt: skip
"""One of the events that a trigger for all of a kind gets."""


def _timer(event: Any, trigger: Declared, now: datetime) -> Any:
    return event | {
        "triggerTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "triggerName": trigger.name,
        "payload": str(_said(trigger, "payload")),
    }  # fmt: skip


def _log(event: Any, trigger: Declared, now: datetime) -> Any:
    source = event["source"]
    source["endpoint"] = f"http://{trigger.region}-intranet.log.aliyuncs.com"
    source["projectName"] = trigger.source or source["projectName"]
    source["logstoreName"] = _said(trigger, "sourceConfig", "logstore", usual=source["logstoreName"])
    event["parameter"] = _said(trigger, "functionParameter", usual={})
    event["cursorTime"] = int(now.timestamp())
    return event


def _mns(event: Any, trigger: Declared, now: datetime) -> Any:
    if str(_said(trigger, "notifyContentFormat", usual="STREAM")).upper() == "STREAM":
        return event["Message"]
    return event | {
        "TopicOwner": trigger.account, "Subscriber": trigger.account, "SubscriptionName": trigger.name,
        "TopicName": str(_said(trigger, "topicName", usual=trigger.source or event["TopicName"])),
        "PublishTime": int(now.timestamp() * 1000),
    }  # fmt: skip


def _cdn(event: Any, trigger: Declared, now: datetime) -> Any:
    [element] = event["events"]
    domain = _said(trigger, "filter", "domain", usual=[element["resource"]["domain"]])[0]
    element |= {
        "eventName": _said(trigger, "eventName", usual=element["eventName"]),
        "eventVersion": _said(trigger, "eventVersion", usual=element["eventVersion"]),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S+00:00"),
        "userIdentity": {"aliUid": trigger.account},
        "resource": {"domain": domain},
    }
    parameters = next((made for begin, made in _OF_CDN.items() if element["eventName"].startswith(begin)), None)
    element["eventParameter"] = {**(parameters or element["eventParameter"]), "domain": domain}
    return event


_OF_CDN: dict[str, dict[str, Any]] = {
    "CachedObjects": {
        "objectPath": ["/a.txt"], "createTime": 1529575560, "domain": "", "completeTime": 1529575568,
        "objectType": "File", "taskId": "2089687230",
    },
    "CdnDomain": {"domain": "", "status": "online"},
}  # fmt: skip
"""Parameters of the events whose names begin so; of the other ones they are those of the sample."""


def _datahub(event: Any, trigger: Declared, now: datetime) -> Any:
    path = trigger.arn.split(":", 4)[-1].lstrip("/")
    event |= {"region": trigger.region, **({"eventSourceARN": f"/{path}"} if path else {})}
    event["records"][0]["systemTime"] = int(now.timestamp() * 1000)
    return event


def _tablestore(event: Any, _: Declared, now: datetime) -> Any:
    event["Records"][0]["Info"]["Timestamp"] = int(now.timestamp() * 1_000_000)
    return event


def _rds(event: Any, trigger: Declared, __: datetime) -> Any:
    form = str(_said(trigger, "eventFormat", usual="json"))
    if form != "json":
        raise InvalidArgument(message=f"events of eventFormat {form} can not be made here: give one with -f FILE")
    database, _, table = str(_said(trigger, "subscriptionObjects", usual=["db.table"])[0]).partition(".")
    event["entries"][0] |= {"db_name": database, "table_name": table}
    return event


_OF_SOURCE = {"Kafka": "kafka", "RocketMQ": "rocketmq", "RabbitMQ": "rabbitmq"}
"""Samples by the type of EventBridge's source, where they are others than that of a queue of MNS."""


def _eventbridge(event: Any, trigger: Declared, now: datetime) -> Any:
    rule = Rule.read(trigger.config)
    event = copy.deepcopy(SAMPLES[_OF_SOURCE[rule.source]]) if rule.source in _OF_SOURCE else event
    event = _published(event, trigger, now)
    if trigger.arn and rule.source == DEFAULT:
        event["aliyuneventbusname"] = trigger.arn.partition("eventbus/")[2].partition("/")[0]
    for name in ("source", "type", "subject"):
        event[name] = _first_of_pattern(trigger, name) or event[name]
    return delivered(rule, [event])[0]


def _published(event: Any, trigger: Declared, now: datetime) -> Any:
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    said = {
        "time": moment, "aliyunpublishtime": moment, "aliyunaccountid": trigger.account,
        "aliyunoriginalaccountid": trigger.account, "aliyunregionid": trigger.region,
    }  # fmt: skip
    return event | {name: value for name, value in said.items() if name in event}


def _first_of_pattern(trigger: Declared, name: str) -> str:
    """What the trigger's rule lets through; '' if it does not say that plainly."""
    pattern = _said(trigger, "eventRuleFilterPattern", usual={})
    if isinstance(pattern, str):
        try:
            pattern = json.loads(pattern)
        except ValueError:
            return ""
    wanted = pattern.get(name) if isinstance(pattern, dict) else None
    first = wanted[0] if isinstance(wanted, list) and wanted else ""
    return first if isinstance(first, str) else ""


def _http(event: Any, trigger: Declared, now: datetime) -> Any:
    methods = _said(trigger, "methods", usual=["POST"])
    context = event["requestContext"]
    context |= {"accountId": trigger.account, "time": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    context["http"]["method"] = "POST" if "POST" in methods else methods[0]
    return event


_FILL: dict[str, Callable[[Any, Declared, datetime], Any]] = {
    "oss": _oss, "timer": _timer, "log": _log, "mns": _mns, "cdn": _cdn, "tablestore": _tablestore, "rds": _rds,
    "eventbridge": _eventbridge, "http": _http, "datahub": _datahub, "kafka": _published, "rocketmq": _published,
    "rabbitmq": _published, "cloudmonitor": _published,
}  # fmt: skip


_OPEN = frozenset({
    "headers", "queryParameters", "pathParameters", "parameter", "data", "body", "objectMeta", "items", "row",
    "before_row", "userProperties", "systemProperties", "props",
})  # fmt: skip
"""Objects of samples in which names are the user's own."""
_OPEN_AT_TOP = frozenset({"mns", "eventbridge", "kafka", "rocketmq", "rabbitmq", "cloudmonitor"})
"""Samples of which that is true as a whole: attributes of a message stand there."""


def changed(event: Any, assignments: Iterable[str], sample: str = "") -> Any:
    """The event with values of its (first) element set: each assignment is a path like oss.object.key, an equals sign
    and a value, which is JSON or else text. `sample`: which one the event is; it has no other names then but where they
    are the user's own. Raises InvalidArgument for a path that leads nowhere.
    """
    found = copy.deepcopy(event)
    for text in assignments:
        path, sign, value = text.partition("=")
        if not sign or not path:
            raise InvalidArgument(message=f"'{text}' is no PATH=VALUE, like oss.object.key=a.png")
        _set(_element(found), path, _value(value), is_open=sample in {"", *_OPEN_AT_TOP}, opens=sample == "")
    return found


def _element(event: Any) -> Any:
    if isinstance(event, dict):
        return next((event[name][0] for name in _LISTS if isinstance(event.get(name), list) and event[name]), event)
    return event[0] if isinstance(event, list) and event else event


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _set(place: Any, path: str, value: Any, *, is_open: bool, opens: bool) -> None:
    """`is_open`: names may be new in the object; `opens`: also in all that are in it."""
    *above, last = path.split(".")
    for name in above:
        if isinstance(place, dict):
            _check_name(place, name, path, is_open=is_open)
            place = place.setdefault(name, {})
        else:
            place = place[_index(place, name, path)]
        is_open = opens or name in _OPEN
    if isinstance(place, dict):
        _check_name(place, last, path, is_open=is_open)
        place[last] = value
    else:
        place[_index(place, last, path)] = value


def _check_name(place: dict[str, Any], name: str, path: str, *, is_open: bool) -> None:
    if name in place or is_open or not place:
        return
    near = difflib.get_close_matches(name[:100], place, 1)
    known = f"did you mean {near[0]}?" if near else f"there is: {', '.join(place)}"
    raise InvalidArgument(message=f"'{path}' leads nowhere: the event has no '{name}' there; {known}")


def _index(place: Any, name: str, path: str) -> int:
    if isinstance(place, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(place):
        return int(name)
    what = f"has {len(place)} elements, counted from 0" if isinstance(place, list) else "is no object or list"
    raise InvalidArgument(message=f"'{path}' leads nowhere: what '{name}' should be in {what}")


def encoded(sample: str, event: Any) -> bytes:
    """The event as it is sent. Raises InvalidArgument."""
    if isinstance(event, str):
        return event.encode("utf-8", "surrogateescape")
    if sample != "tablestore":
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    try:
        return tablestore.encode(event)
    except ValueError as error:
        raise InvalidArgument(message=f"the event is no CBOR: {error}") from None
