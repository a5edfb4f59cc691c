"""What is fired is what the source of a trigger would send, with the trigger's own values."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pyfc.dev.firing import Declared, changed, encoded, event_of
from pyfc.dev.samples import SAMPLES
from pyfc.errors import InvalidArgument
from pyfc.triggers import tablestore

NOW = datetime(2026, 11, 28, 8, 0, 5, tzinfo=UTC)


def _declared(kind: str, arn: str = "", **config: Any) -> Declared:
    return Declared.of({
        "triggerName": "mine", "triggerType": kind, "triggerConfig": config, "sourceArn": arn or None,
        "qualifier": None, "targetArn": "acs:fc:cn-shanghai:42:services/demo.LATEST/functions/hello",
    })  # fmt: skip


def _event(kind: str, arn: str = "", **config: Any) -> Any:
    return event_of(_declared(kind, arn, **config), NOW)


def test_an_event_of_a_bucket_has_its_bucket_an_event_and_a_key_that_fit() -> None:
    config = {"events": ["oss:ObjectCreated:*"], "filter": {"Key": {"Prefix": "in/", "Suffix": ".png"}}}
    [element] = _event("oss", "acs:oss:cn-shanghai:42:photos", **config)["events"]

    assert element["oss"]["bucket"] == {
        "arn": "acs:oss:cn-shanghai:42:photos", "name": "photos", "ownerIdentity": "42", "virtualBucket": "",
    }  # fmt: skip
    assert (element["eventName"], element["region"]) == ("ObjectCreated:PutObject", "cn-shanghai")
    assert element["oss"]["object"]["key"] == "in/a.png"
    assert element["eventTime"] == "2026-11-28T08:00:05.000Z"
    [removed] = _event("oss", events=["oss:ObjectRemoved:*"])["events"]
    assert (removed["eventName"], removed["oss"]["bucket"]["name"]) == ("ObjectRemoved:DeleteObject", "testbucket")


def test_a_timer_tells_its_name_and_payload() -> None:
    assert _event("timer", cronExpression="@every 1h", payload="hello") == {
        "triggerTime": "2026-11-28T08:00:05Z", "triggerName": "mine", "payload": "hello",
    }  # fmt: skip


def test_a_log_trigger_tells_its_project_and_store() -> None:
    event = _event(
        "log", "acs:log:cn-shanghai:42:project/logs", sourceConfig={"logstore": "web"}, functionParameter={"a": 1}
    )

    assert (event["source"]["projectName"], event["source"]["logstoreName"]) == ("logs", "web")
    assert (event["parameter"], event["cursorTime"]) == ({"a": 1}, int(NOW.timestamp()))


def test_a_topic_sends_text_or_an_object_as_the_trigger_wants_it() -> None:
    arn = "acs:mns:cn-shanghai:42:/topics/orders"

    assert _event("mns_topic", arn) == "hello topic"
    event = _event("mns_topic", arn, notifyContentFormat="JSON")
    assert (event["TopicName"], event["TopicOwner"], event["SubscriptionName"]) == ("orders", "42", "mine")


def test_cdn_rds_tablestore_and_http_have_what_is_declared() -> None:
    [element] = _event("cdn_events", eventName="CdnDomainAdded", filter={"domain": ["x.example"]})["events"]
    assert (element["eventName"], element["resource"]["domain"]) == ("CdnDomainAdded", "x.example")
    entry = _event("rds", subscriptionObjects=["shop.orders"], eventFormat="json")["entries"][0]
    assert (entry["db_name"], entry["table_name"]) == ("shop", "orders")
    with pytest.raises(InvalidArgument, match="protobuf"):
        _event("rds", eventFormat="protobuf")
    assert _event("tablestore")["Records"][0]["Info"]["Timestamp"] == int(NOW.timestamp()) * 1_000_000
    assert _event("http", methods=["PUT"])["requestContext"]["http"]["method"] == "PUT"


def test_an_event_of_the_bus_fits_its_rule_and_mode() -> None:
    pattern = json.dumps({"source": ["acs.oss"], "type": [{"prefix": "oss:"}]})
    arn = "acs:eventbridge:cn-shanghai:42:eventbus/shop/rule/r"
    event = _event("eventbridge", arn, eventRuleFilterPattern=pattern)

    assert (event["source"], event["type"]) == ("acs.oss", "mns:Queue:SendMessage")
    assert (event["aliyuneventbusname"], event["aliyunaccountid"]) == ("shop", "42")
    assert isinstance(_event("eventbridge", runOptions={"mode": "event-streaming"}), list)
    assert _declared("eventbridge").is_awaited
    assert not _declared("eventbridge", asyncInvocationType=True).is_awaited


@pytest.mark.parametrize(
    ("kind", "is_awaited"),
    [("oss", False), ("timer", False), ("mns_topic", False), ("log", True), ("cdn_events", True), ("tablestore", True)],
)
def test_sources_wait_as_fcs_do(kind: str, *, is_awaited: bool) -> None:
    assert _declared(kind).is_awaited is is_awaited


def test_a_type_whose_events_are_not_known_says_so() -> None:
    with pytest.raises(InvalidArgument, match="type else sends is not known"):
        _event("else")


@pytest.mark.parametrize(
    ("source", "kind", "names"),
    [
        ("MNS", "mns:Queue:SendMessage", {"requestId", "messageId", "messageBody"}),
        ("Kafka", "alikafka:Topic:Message", {"topic", "partition", "offset", "timestamp", "headers", "key", "value"}),
        ("RocketMQ", "mq:Topic:SendMessage", {"topic", "systemProperties", "userProperties", "body"}),
        ("RabbitMQ", "amqp:Queue:SendMessage", {"envelope", "body", "props"}),
    ],
)
def test_a_queue_of_eventbridge_sends_a_list_of_its_own_envelopes(source: str, kind: str, names: set[str]) -> None:
    config = {"eventSourceConfig": {"eventSourceType": source}}
    [event] = _event("eventbridge", **config)

    assert (event["type"], set(event["data"]), event["aliyunaccountid"]) == (kind, names, "42")
    assert isinstance(_event("eventbridge", **config, runOptions={"mode": "event-driven"}), dict)
    raw = {"eventSinkConfig": {"deliveryOption": {"eventSchema": "RawData"}}}
    assert _event("eventbridge", **config, **raw) == [event["data"]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("CachedObjectsPushed", {"objectPath", "createTime", "domain", "completeTime", "objectType", "taskId"}),
        ("CachedObjectsBlocked", {"objectPath", "createTime", "domain", "completeTime", "objectType", "taskId"}),
        ("CdnDomainStopped", {"domain", "status"}),
        ("LogFileCreated", {"domain", "endTime", "fileSize", "filePath", "startTime"}),
    ],
)
def test_the_parameters_of_a_cdn_event_are_those_of_its_name(name: str, told: set[str]) -> None:
    [element] = _event("cdn_events", eventName=name)["events"]

    assert set(element["eventParameter"]) == told


def test_datahub_tells_its_topic_and_rows_as_text() -> None:
    event = _event("datahub", "acs:dhs:cn-shanghai:42:projects/shop/topics/orders")

    assert (event["eventSource"], event["region"]) == ("acs:datahub", "cn-shanghai")
    assert event["eventSourceARN"] == "/projects/shop/topics/orders"
    assert json.loads(event["records"][0]["data"]) == ["c1", "c2"]


def test_paths_begin_in_the_element_and_values_are_json_or_text() -> None:
    event = changed(SAMPLES["oss"], ["oss.object.key=a.png", "oss.object.size=7", 'oss.object.objectMeta.x={"y": [1]}'])
    assert event["events"][0]["oss"]["object"] | {"deltaSize": 0, "eTag": ""} == {
        "key": "a.png", "size": 7, "deltaSize": 0, "eTag": "",
        "objectMeta": {"mimeType": "image/jpeg", "x": {"y": [1]}},
    }  # fmt: skip
    assert changed(SAMPLES["timer"], ["payload=x=y"])["payload"] == "x=y"
    assert changed(SAMPLES["tablestore"], ["Columns.0.Value=3"])["Records"][0]["Columns"][0]["Value"] == 3
    assert changed([{"a": 1}], ["b.c=2"]) == [{"a": 1, "b": {"c": 2}}]


@pytest.mark.parametrize(
    ("assignment", "told"),
    [("payload", "no PATH=VALUE"), ("=x", "no PATH=VALUE"), ("payload.x=1", "no object or list"),
     ("list.2=1", "2 elements"), ("list.-1=1", "2 elements")],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_named(assignment: str, told: str) -> None:
    before: Any = {"payload": "text", "list": [1, 2]}
    kept = copy.deepcopy(before)

    with pytest.raises(InvalidArgument, match=told):
        changed(before, [assignment])
    assert before == kept


@pytest.mark.parametrize(
    ("sample", "assignment", "told"),
    [("oss", "oss.objct.key=a", "has no 'objct' there; did you mean object"),
     ("oss", "oss.object.kee=a", "has no 'kee' there; did you mean key"),
     ("timer", "zzz=1", "there is: triggerTime, triggerName, payload"),
     ("http", "requestContext.http.metod=GET", "did you mean method")],
)  # fmt: skip
def test_a_name_that_no_such_event_has_is_refused_with_the_nearest(sample: str, assignment: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        changed(SAMPLES[sample], [assignment], sample)


@pytest.mark.parametrize(
    ("sample", "assignment"),
    [("http", "headers.X-Own=1"), ("http", "queryParameters.a.b=1"), ("log", "parameter.x=1"), ("mns", "own=1"),
     ("oss", "oss.object.objectMeta.x=1"), ("eventbridge", "data.own=1"),
     ("rds", "entries.0.row.x=1"), ("", "oss.new.x=1")],
)  # fmt: skip
def test_names_are_free_where_they_are_the_users_own(sample: str, assignment: str) -> None:
    changed(SAMPLES[sample or "oss"], [assignment], sample)


def test_text_and_cbor_are_sent_as_their_sources_send_them() -> None:
    assert encoded("mns", "hällo") == "hällo".encode()
    assert encoded("timer", {"a": "ü"}) == '{"a":"ü"}'.encode()
    assert encoded("tablestore", {"Version": "Sync-v1", "Records": []}) == bytes.fromhex(
        "a2 67 56657273696f6e 67 53796e632d7631 67 5265636f726473 80"
    )
    with pytest.raises(InvalidArgument, match="64 bits"):
        encoded("tablestore", {"n": 2**64})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "00"), (23, "17"), (24, "1818"), (1000, "1903e8"), (1_000_000, "1a000f4240"), (2**64 - 1, "1b" + "ff" * 8),
     (-1, "20"), (-1000, "3903e7"), (1.1, "fb3ff199999999999a"), (True, "f5"), (False, "f4"), (None, "f6"),
     ("IETF", "6449455446"), ("ü", "62c3bc"), ([1, [2, 3]], "8201820203"),
     ({"a": 1, "b": [2, 3]}, "a26161016162820203")],
)  # fmt: skip
def test_values_are_those_of_rfc_8949(value: Any, expected: str) -> None:
    assert tablestore.encode(value).hex() == expected
