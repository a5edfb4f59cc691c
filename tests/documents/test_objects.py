"""What becomes of FC's objects, and what takes several of their properties together."""

from __future__ import annotations

from typing import Any

import pytest

from pyfc.documents.configurations import config_of, provision_of
from pyfc.documents.declared_triggers import trigger_of
from pyfc.documents.objects import (
    alias_of,
    domain_fields,
    domain_of,
    function_fields,
    function_of,
    service_fields,
    service_of,
)
from pyfc.documents.reader import WrongProperty
from pyfc.model.function import Limits
from pyfc.model.resources import ASYNC

FUNCTION = {"functionName": "f", "runtime": "python3", "handler": "index.handler"}
ACTION = {"name": "a", "target": 1, "scheduleExpression": "cron(0 0 20 * * *)"}
POLICY = {"name": "p", "metricTarget": 0.5, "minCapacity": 2, "maxCapacity": 4}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"handler": "handler"}, "handler is 'handler'; it must be <module>.<function>, as in index.handler"),
        ({"handler": ""}, "the body has no handler; it is required"),
        ({"environmentVariables": {"A": "x" * 5000}}, "environmentVariables is 5001 bytes long; it must be at most"),
    ],
)
def test_what_a_function_says_together_is_told_by_its_property(document: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongProperty) as caught:
        function_of("s", {**FUNCTION, **document})

    assert str(caught.value).startswith(message)


def test_a_change_leaves_what_it_does_not_name_and_what_is_told_changes_nothing() -> None:
    old = function_of(
        "s", {**FUNCTION, "timeout": 7, "cpu": 0.5, "instanceLifecycleConfig": {"preStop": {"timeout": 5}}}
    )

    changed = function_of("s", {"memorySize": "256"}, old)

    assert changed.limits == Limits(timeout=7, memory_size=256)
    assert (changed.pre_stop.timeout, changed.extras) == (5, {"cpu": 0.5})
    assert function_of("s", function_fields(changed), changed) == changed
    service = service_of({"serviceName": "s", "role": "acs:ram::1:role/x", "logConfig": {"project": "p"}})
    assert service_of(service_fields(service), service) == service


def test_the_hook_of_the_newer_api_is_the_initializer_of_the_older() -> None:
    hooks = {"initializer": {"handler": "index.first", "timeout": 20}}

    read = function_of("s", {**FUNCTION, "initializer": "index.other", "instanceLifecycleConfig": hooks})

    assert (read.initializer, read.limits.initialization_timeout) == ("index.first", 20)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"scheduledActions": [ACTION, {**ACTION, "scheduleExpression": "cron(* *)"}]},
         "The ScheduleExpression should be atTime or cron expression (example: ['at(2020-10-10T10:10:10Z)', "
         "'cron(0 */30 * * * *)'], actual: 'cron(* *)')"),
        ({"scheduledActions": [{**ACTION, "scheduleExpression": "cron(0 0 0 30 2 *)"}]},
         "scheduledActions[0].scheduleExpression is 'cron(0 0 0 30 2 *)'; it must be like cron(0 0 20 * * *) or "
         "at(2026-10-10T10:10:10Z), in UTC (that day never comes)"),
        ({"scheduledActions": [ACTION, ACTION]},
         f"Duplicate action name '{ACTION['name']}' in ScheduledActions is not allowed"),
        ({"scheduledActions": [{**ACTION, "name": f"a{number}"} for number in range(110)]},
         "ScheduledActions contains too many values (max: 100, actual: 110)"),
        ({"scheduledActions": [{**ACTION, "startTime": "2026-10-10T10:10:10"}]},
         "The StartTime is not in UTC time format (example: '2020-10-10T10:10:10Z', actual: '2026-10-10T10:10:10')"),
        ({"targetTrackingPolicies": [{**POLICY, "maxCapacity": 1}]},
         "targetTrackingPolicies[0].maxCapacity is 1; it must be at least minCapacity, 2"),
    ],
)  # fmt: skip
def test_a_reserve_that_can_not_be_kept_is_told_by_its_rule(document: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongProperty) as caught:
        provision_of(document)

    assert str(caught.value).startswith(message)


def test_a_trigger_keeps_what_a_change_does_not_name_and_its_configuration_may_be_text() -> None:
    old = trigger_of(
        "s", "f", {"triggerName": "t", "triggerType": "HTTP", "triggerConfig": '{"AuthType":"function"}'}, "event"
    )

    changed = trigger_of("s", "f", {"triggerConfig": {"methods": ["get"]}}, "event", old)

    assert (old.type, changed.config) == (
        "http", {"authType": "function", "methods": ["GET"], "convention": "event"},
    )  # fmt: skip
    timer = {"triggerName": "t", "triggerType": "timer", "triggerConfig": {"CronExpression": "@every 1m", "Own": 1}}
    assert trigger_of("s", "f", timer, "event").config == {"cronExpression": "@every 1m"}
    tablestore = {"triggerName": "t", "triggerType": "tablestore", "triggerConfig": {"Own": 1}}
    assert trigger_of("s", "f", tablestore, "event").config == {"Own": 1}
    with pytest.raises(WrongProperty, match="triggerConfig is no JSON"):
        trigger_of("s", "f", {"triggerConfig": "{"}, "event", old)
    with pytest.raises(WrongProperty, match=r"triggerConfig\.authType is 'no'; it must be one of anonymous, function"):
        trigger_of("s", "f", {"triggerConfig": '{"authType": "no"}'}, "event", old)


def test_a_private_key_stays_while_its_certificate_does_since_it_is_told_to_nobody() -> None:
    certificate = {"certName": "c", "certificate": "x", "privateKey": "k"}
    old = domain_of({"domainName": "WWW.example.com", "certConfig": certificate})
    told = {"certConfig": {"certName": "d", "certificate": "x"}}

    assert old.name == "www.example.com"
    assert domain_of(told, old).extras["certConfig"] == {"certName": "d", "certificate": "x", "privateKey": "k"}
    other = {"certConfig": {"certName": "c", "certificate": "y"}}
    assert domain_of(other, old).extras == other


def test_a_domain_is_told_with_everything_that_makes_it_again() -> None:
    rewriting = {"equalRules": [{"match": "/a", "replacement": "/b"}]}
    route = {"path": "/a/*", "functionName": "f", "methods": ["get"], "qualifier": "1", "rewriteConfig": rewriting}

    domain = domain_of({"domainName": "a.b", "routeConfig": {"routes": [route]}}, service="default")

    assert domain_of(domain_fields(domain)) == domain
    assert (domain.routes[0].service, domain.routes[0].rewrite) == ("default", rewriting)


def test_an_alias_and_an_asynchronous_configuration_say_what_was_sent() -> None:
    alias = alias_of("s", "-", {"aliasName": "a", "versionId": 5, "additionalVersionWeight": {"2": "0.5"}})

    assert (alias.version_id, alias.additional_version_weight) == ("5", {"2": 0.5})
    assert alias_of("s", "-", {"description": "d"}, alias).version_id == "5"
    document = {"maxAsyncRetryAttempts": "1"}
    assert config_of(ASYNC, "s", "f", "LATEST", document).document == {
        "destinationConfig": {}, "maxAsyncRetryAttempts": 1,
    }  # fmt: skip
