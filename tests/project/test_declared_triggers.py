"""What is wrong with triggers in files is told with file, line and property, and with what would be right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pyfc.documents.declared_triggers import trigger_of
from pyfc.documents.reader import names, properties
from pyfc.documents.shapes import Shape
from pyfc.documents.triggers import TRIGGERS, Selecting
from pyfc.errors import ProjectError
from pyfc.model.trigger import Trigger
from pyfc.project.load import load
from pyfc.triggers import log, mns_topic, oss, timer

FUNCRAFT = """\
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties: {{Handler: index.handler, Runtime: python3, CodeUri: ./}}
      Events:
        t:
          Type: {type}
          Properties:
            {properties}
"""
SERVERLESS = """\
resources:
  pay:
    component: fc3
    props:
      functionName: pay
      handler: index.handler
      runtime: python3
      code: ./
      triggers:
        - triggerName: t
          triggerType: {type}
          sourceArn: acs:oss:*:*:photos
          triggerConfig: {properties}
"""
OWN = """\
services:
  default:
    a:
      triggers:
        - name: t
          type: {type}
          config: {properties}
"""
NAMES = {FUNCRAFT: "template.yml", SERVERLESS: "s.yaml", OWN: "pyfc.yml"}
CREATED = "'oss:ObjectCreated:*'"


def _written(folder: Path, text: str, kind: str, properties: str) -> Path:
    (folder / ("a.py" if text is OWN else "index.py")).write_text("def handler(event, context): ...")
    (folder / NAMES[text]).write_text(text.format(type=kind, properties=properties))
    return folder


@pytest.mark.parametrize(
    ("text", "kind", "properties", "warning"),
    [
        (FUNCRAFT, "Timer", "{CronExpression: '@every 1m', Payloud: x}",
         "template.yml:12: Resources.shop.pay.Events.t.Properties.Payloud is not a property that pyfc knows, it is "
         "ignored; did you mean Payload?"),
        (SERVERLESS, "eventbridge", "{runOptions: {batchWindow: {CountBasedWindw: 5}}}",
         "s.yaml:13: resources.pay.props.triggers[0].triggerConfig.runOptions.batchWindow.CountBasedWindw is not a "
         "property that pyfc knows, it is ignored; did you mean CountBasedWindow?"),
        (SERVERLESS, "eventbridge", "{eventSinkConfig: {deliveryOption: {eventShema: RawData}}}",
         "s.yaml:13: resources.pay.props.triggers[0].triggerConfig.eventSinkConfig.deliveryOption.eventShema is not a "
         "property that pyfc knows, it is ignored; did you mean eventSchema?"),
        (OWN, "log", "{logConfig: {project: web}, sourceConfig: {logstore: access}, jobConfig: {triggerInterv: 5}}",
         "pyfc.yml:7: services.default.a.triggers[0].config.jobConfig.triggerInterv is not a property that pyfc knows, "
         "it is ignored; did you mean triggerInterval?"),
    ],
)  # fmt: skip
def test_a_property_that_no_trigger_of_its_type_has_is_a_warning_and_strictly_a_mistake(
    tmp_path: Path, text: str, kind: str, properties: str, warning: str
) -> None:
    project = load(_written(tmp_path, text, kind, properties))

    assert project.warnings == [f"{tmp_path}/{warning}"]
    assert len(project.event_triggers) == 1
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, strict=True)
    assert str(caught.value) == f"{tmp_path}/{warning}"


MNS = "{eventSourceConfig: {eventSourceType: MNS, eventSourceParameters: {sourceMNSParameters: %s}}}"
PATTERN = """'{"source": ["shop"]}'"""


@pytest.mark.parametrize(
    ("text", "kind", "properties", "mistake"),
    [
        (SERVERLESS, "eventbridge", f"{{eventRuleFilterPatern: {PATTERN}}}",
         "triggerConfig.eventRuleFilterPatern is not a property that pyfc knows; eventRuleFilterPattern says"),
        (SERVERLESS, "eventbridge", MNS % "{QueueNam: a}",
         "eventSourceParameters.sourceMNSParameters.QueueNam is not a property that pyfc knows; QueueName says"),
        (SERVERLESS, "eventbridge",
         "{eventSourceConfig: {eventSourceType: MNS, eventSourceParameters: {sourceMNSParameter: {QueueName: a}}}}",
         "eventSourceParameters.sourceMNSParameter is not a property that pyfc knows; sourceMNSParameters says"),
        (SERVERLESS, "timer", "{cronExpression: '@every 1m', enabled: false}",
         "triggerConfig.enabled is not a property that pyfc knows; enable says"),
        (SERVERLESS, "mns_topic", "{topicName: orders, filterTags: paid}",
         "triggerConfig.filterTags is not a property that pyfc knows; filterTag says"),
        (FUNCRAFT, "OSS", f"{{BucketName: photos, Events: [{CREATED}], Filter: {{Key: {{Prefx: a/}}}}, Role: r}}",
         "Properties.Filter.Key.Prefx is not a property that pyfc knows; prefix says"),
        (FUNCRAFT, "RDS", "{InstanceId: a, SubscriptionObject: [db.t]}",
         "Properties.SubscriptionObject is not a property that pyfc knows; subscriptionObjects says"),
        (OWN, "log", "{sourceConfig: {logstor: a}}",
         "config.sourceConfig.logstor is not a property that pyfc knows; logstore says"),
        (SERVERLESS, "eventbrigde", "{}", "triggerType is 'eventbrigde'; it must be one of apigateway, cdn_events,"),
    ],
)  # fmt: skip
def test_a_misspelt_name_of_what_says_what_fires_is_a_mistake_and_the_trigger_is_left_out(
    tmp_path: Path, text: str, kind: str, properties: str, mistake: str
) -> None:
    _written(tmp_path, text, kind, properties)

    project = load(tmp_path, tolerates=True)

    assert project.event_triggers == []
    [told] = project.mistakes
    assert str(told.error).startswith(f"{tmp_path}/{NAMES[text]}:")
    assert mistake in str(told.error)
    with pytest.raises(ProjectError, match=r"is not a property|it must be one of"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "properties", "reason"),
    [
        ("eventbridge", MNS % "{QueueName: p ull/x}",
         "triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.QueueName is 'p ull/x'"),
        ("mns_topic", "{topicName: p ull/x}", "triggerConfig.topicName is 'p ull/x'"),
    ],
)  # fmt: skip
def test_a_queue_or_topic_that_can_be_none_is_told_where_the_trigger_stands(
    tmp_path: Path, kind: str, properties: str, reason: str
) -> None:
    _written(tmp_path, SERVERLESS, kind, properties)

    [warning] = load(tmp_path).warnings

    assert warning.startswith(f"{tmp_path}/s.yaml:10: trigger default/pay:t does not fire: {reason}: ")
    with pytest.raises(ProjectError, match="does not fire"):
        load(tmp_path, strict=True)


@pytest.mark.parametrize("kind", sorted(TRIGGERS.keys() - {"http", "apigateway"}))
def test_what_says_what_fires_a_trigger_is_among_its_properties(kind: str) -> None:
    shapes = [TRIGGERS[kind]]
    for shape in shapes:
        if issubclass(shape, Selecting):
            assert shape.selects <= set(names(shape))
        for field in properties(shape).values():
            shapes += [each for each in get_args(field.type) if isinstance(each, type) and issubclass(each, Shape)]
    assert any(issubclass(each, Selecting) and each.selects for each in shapes)


def test_a_misspelt_name_beside_the_configuration_is_a_warning_too(tmp_path: Path) -> None:
    text = SERVERLESS.replace("sourceArn", "sourceArm")
    (tmp_path / "index.py").write_text("def handler(event, context): ...")
    (tmp_path / "s.yaml").write_text(text.format(type="timer", properties="{cronExpression: '@every 1m'}"))

    [warning] = load(tmp_path).warnings

    assert warning.startswith(f"{tmp_path}/s.yaml:12: resources.pay.props.triggers[0].sourceArm is not a property")
    assert warning.endswith("did you mean sourceArn?")


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (
            f"{{bucketName: pyfc, events: [{CREATED}]}}",
            "triggerConfig.bucketName names the bucket: the server itself uses the name 'pyfc'",
        ),
        (
            f"{{bucketName: Photos, events: [{CREATED}]}}",
            "triggerConfig.bucketName names the bucket: 'Photos' cannot be the name of a bucket: it has 3",
        ),
        (f"{{events: [{CREATED}]}}", "neither sourceArn nor triggerConfig.bucketName names a bucket"),
    ],
)
def test_a_bucket_that_can_be_none_is_told_where_the_trigger_stands(
    tmp_path: Path, properties: str, reason: str
) -> None:
    [warning] = load(_written(tmp_path, OWN, "oss", properties)).warnings

    assert warning.startswith(f"{tmp_path}/pyfc.yml:5: trigger default/a:t does not fire: {reason}")


def test_a_trigger_beside_an_http_trigger_is_told_that_fc_2_refuses_it(tmp_path: Path) -> None:
    template = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  demo:
    Type: 'Aliyun::Serverless::Service'
    web:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: .}
      Events:
        http: {Type: HTTP, Properties: {AuthType: ANONYMOUS, Methods: [GET]}}
        tick: {Type: Timer, Properties: {CronExpression: '@every 1m'}}
"""
    (tmp_path / "index.py").write_text("def handler(event, context): ...")
    (tmp_path / "template.yml").write_text(template)

    [warning] = load(tmp_path).warnings

    assert warning.startswith(f"{tmp_path}/template.yml:12: trigger demo/web:tick works here, but FC 2 has no triggers")


def test_a_log_trigger_without_a_project_is_told_where_it_stands(tmp_path: Path) -> None:
    [warning] = load(_written(tmp_path, OWN, "log", "{sourceConfig: {logstore: access}}")).warnings

    assert warning.startswith(f"{tmp_path}/pyfc.yml:5: trigger default/a:t does not fire: neither sourceArn nor")


@pytest.mark.parametrize(
    ("text", "kind", "properties", "reason"),
    [
        (OWN, "log", "{jobConfig: {triggerInterval: 1}}", "is 1; it must be a whole number from 3 to 600"),
        (OWN, "oss", "{bucketName: photos}", "pyfc.yml:7: services.default.a.triggers[0].config has no events; it is"),
        (FUNCRAFT, "OSS", "{BucketName: photos, Events: []}",
         "template.yml:12: Resources.shop.pay.Events.t.Properties.Events is empty; it must be a list of events"),
        (OWN, "oss", "{bucketName: photos, events: ['oss:objectcreated:Putobjct']}",
         "'oss:objectcreated:Putobjct'; it must be one of OSS's, perhaps oss:ObjectCreated:PutObject or "),
        (OWN, "timer", "{payload: x}", "pyfc.yml:7: services.default.a.triggers[0].config has no cronExpression; it"),
        (OWN, "timer", "{cronExpression: '@every 5'}", "numbers with the units h, m or s, like @every 5m"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_missing_is_told_with_what_would_be_right(
    tmp_path: Path, text: str, kind: str, properties: str, reason: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        load(_written(tmp_path, text, kind, properties))

    assert reason in str(caught.value)


def test_what_a_client_sends_and_no_trigger_of_its_type_has_is_ignored_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = {"triggerName": "t", "triggerType": "timer",
            "triggerConfig": {"cronExpression": "@every 1m", "unheardOf": 1}}  # fmt: skip
    with caplog.at_level(logging.WARNING):
        made = [trigger_of("s", "f", sent, "event") for _ in range(3)]

    assert [each.config for each in made] == [{"cronExpression": "@every 1m"}] * 3
    assert [record.getMessage() for record in caplog.records if "unheardOf" in record.getMessage()] == [
        'requests have properties of TimerTrigger that are not known and ignored: ["unheardOf"]'
    ]


def test_triggers_are_read_once_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = "{{name: t{0}, type: oss, config: {{bucketName: bucket{0}, events: ['oss:ObjectCreated:*']}}}}"
    rows = "".join(f"\n        - {one.format(number)}" for number in range(200))
    (tmp_path / "a.py").write_text("def handler(event, context):\n    return event\n")
    (tmp_path / "pyfc.yml").write_text(f"services:\n  default:\n    a:\n      triggers:{rows}\n")
    read: list[str] = []
    rule_of = oss.rule_of
    monkeypatch.setattr(oss, "rule_of", lambda trigger: read.append(trigger.name) or rule_of(trigger))

    assert load(tmp_path).warnings == []
    assert sorted(read) == sorted(f"t{number}" for number in range(200))


MEANT = {
    "oss": ("photos", "in/", ".png"), "timer": "@every 5m", "log": ("web-logs", "access", 30), "mns_topic": "news",
    "role": "acs:ram::1:role/x", "qualifier": "1",
}  # fmt: skip
"""What the triggers of each of these say."""
OWN_NAMES = """
{name: oss, type: oss, role: 'acs:ram::1:role/x', qualifier: '1', config: {
  bucketName: photos, events: ['oss:ObjectCreated:*'], filter: {key: {prefix: in/, suffix: .png}}}}
{name: timer, type: timer, config: {cronExpression: '@every 5m'}}
{name: log, type: log, config: {sourceConfig: {logstore: access}, jobConfig: {triggerInterval: 30},
  logConfig: {project: web-logs, logstore: fc}}}
{name: topic, type: mns_topic, config: {topicName: news}}
"""
FILES = {
    "template.yml": """
Transform: Aliyun::Serverless-2018-04-03
Resources:
  shop:
    Type: Aliyun::Serverless::Service
    pay:
      Type: Aliyun::Serverless::Function
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./}
      Events:
        oss: {Type: OSS, Properties: {BucketName: photos, Events: ['oss:ObjectCreated:*'], Qualifier: '1',
          InvocationRole: 'acs:ram::1:role/x', Filter: {Key: {Prefix: in/, Suffix: .png}}}}
        timer: {Type: Timer, Properties: {CronExpression: '@every 5m'}}
        log: {Type: Log, Properties: {SourceConfig: {Logstore: access}, JobConfig: {TriggerInterval: 30},
          LogConfig: {Project: web-logs, Logstore: fc}}}
        topic: {Type: MNSTopic, Properties: {TopicName: news}}
""",
    "s.yaml": """
edition: 1.0.0
services:
  pay:
    component: devsapp/fc
    props:
      region: cn-hangzhou
      service: {name: shop}
      function: {name: pay, handler: index.handler, runtime: python3, codeUri: ./}
      triggers:
""",
    "s.yml": """
edition: 3.0.0
resources:
  pay:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: pay
      handler: index.handler
      runtime: python3
      code: ./
      triggers:
        - {triggerName: oss, triggerType: oss, sourceArn: 'acs:oss:cn-hangzhou:1:photos', qualifier: '1',
          invocationRole: 'acs:ram::1:role/x', triggerConfig: {
          events: ['oss:ObjectCreated:*'], filter: {key: {prefix: in/, suffix: .png}}}}
        - {triggerName: timer, triggerType: timer, triggerConfig: {cronExpression: '@every 5m'}}
        - {triggerName: log, triggerType: log, sourceArn: 'acs:log:cn-hangzhou:1:project/web-logs', triggerConfig: {
          sourceConfig: {logstore: access}, jobConfig: {triggerInterval: 30}}}
        - {triggerName: topic, triggerType: mns_topic, sourceArn: 'acs:mns:cn-hangzhou:1:/topics/news',
          triggerConfig: {}}
""",
    "pyfc.yml": "services:\n  default:\n    index:\n      triggers:\n",
}
"""Those of each format; `OWN_NAMES` come to where there are none yet."""


def _listed(before: str) -> str:
    """With `OWN_NAMES` as its list."""
    rows = f"\n{OWN_NAMES.strip()}".replace("\n{", "\n- {").splitlines()
    return before + "\n".join(f"        {row}" for row in rows) + "\n"


def _meaning(triggers: list[Trigger]) -> dict[str, object]:
    found = {each.type: each for each in triggers}
    rule = oss.rule_of(found["oss"])
    return {
        "oss": (rule.bucket, rule.prefix, rule.suffix), "timer": timer.check(found["timer"].config),
        "log": log.complete(found["log"]), "mns_topic": mns_topic.topic_of(found["mns_topic"]),
        "role": found["oss"].invocation_role, "qualifier": found["oss"].qualifier,
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_triggers_mean_the_same_in_every_format(tmp_path: Path, name: str) -> None:
    text = FILES[name]
    if text.endswith("triggers:\n"):
        text = _listed(text)
    (tmp_path / "index.py").write_text("def handler(event, context):\n    return event\n")
    (tmp_path / name).write_text(text)

    found = load(tmp_path)

    assert (found.warnings, found.unsupported) == ([], [])
    assert _meaning(found.event_triggers) == MEANT


@pytest.mark.parametrize("spelt", [str, str.upper, str.lower, lambda name: name[0].upper() + name[1:]])
def test_clients_may_write_the_names_of_properties_as_they_like(spelt: Callable[[str], str]) -> None:
    def named(value: object) -> object:
        return {spelt(name): named(each) for name, each in value.items()} if isinstance(value, dict) else value

    configs = {
        "oss": {"bucketName": "photos", "events": ["oss:ObjectCreated:*"],
                "filter": {"key": {"prefix": "in/", "suffix": ".png"}}},
        "timer": {"cronExpression": "@every 5m"},
        "log": {"sourceConfig": {"logstore": "access"}, "jobConfig": {"triggerInterval": 30},
                "logConfig": {"project": "web-logs", "logstore": "fc"}},
        "mns_topic": {"topicName": "news"},
    }  # fmt: skip
    beside = {"qualifier": "1", "invocationRole": "acs:ram::1:role/x"}
    made = [
        trigger_of(
            "shop", "pay", {"triggerName": kind, "triggerType": kind, "triggerConfig": named(each), **beside}, "event"
        )
        for kind, each in configs.items()
    ]

    assert _meaning(made) == MEANT
