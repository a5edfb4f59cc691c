"""What the credentials of a function may do."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from pyfc.auth.keys import Key, Keys
from pyfc.auth.permissions import Permissions, Subject
from pyfc.auth.policies import fits, judged, statements_of
from pyfc.calls.paths import resources_of
from pyfc.errors import AccessDenied
from pyfc.model.function import Function, Service
from pyfc.model.names import Target
from pyfc.model.permissions import ALL, OWN, Policies, Statement
from pyfc.model.trigger import Trigger

PHOTOS = "acs:oss:*:*:photos/a.png"
FUNCTION = Function(service="shop", name="pay", runtime="python3", handler="index.handler")
SERVICE = Service(name="shop")


def of(function: Function = FUNCTION, service: Service | None = SERVICE, *triggers: Trigger) -> Permissions:
    return Permissions(lambda target: Subject(service, function, triggers) if target == function.target else None)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Keys(tmp_path).of(FUNCTION.target)


def with_policies(*policies: str | Statement) -> Permissions:
    return of(service=dataclasses.replace(SERVICE, policies=policies))


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("*", "", True), ("a*c", "abbc", True), ("a*c", "abcd", False), ("a?c", "abc", True), ("a?c", "ac", False),
        ("*ab*ab", "abab", True), ("a*b*", "ab", True), ("", "a", False), ("a[b]", "ab", False), ("**", "x", True),
        ("*a?", "aab", True),
    ],
)  # fmt: skip
def test_a_star_stands_for_any_text_and_a_question_mark_for_a_character(pattern: str, text: str, wanted: bool) -> None:
    assert fits(pattern, text) is wanted


def test_a_pattern_of_many_stars_takes_no_longer_than_their_product() -> None:
    begun = time.process_time()

    assert not fits("*a" * 500 + "b", "a" * 1023)
    assert time.process_time() - begun < 2.0  # a regular expression of it takes years


@pytest.mark.parametrize(
    ("policy", "action", "wanted"),
    [
        ("AliyunOSSFullAccess", "oss:PutObject", True), ("AliyunOSSReadOnlyAccess", "oss:GetObject", True),
        ("AliyunOSSReadOnlyAccess", "oss:PutObject", None), ("AliyunFCInvocationAccess", "fc:InvokeFunction", True),
        ("AliyunFCInvocationAccess", "fc:CreateFunction", None), ("AliyunFCFullAccess", "fc:CreateFunction", True),
        ("AliyunLogFullAccess", "oss:GetObject", None), ("AliyunLogFullAccess", "log:PostLogStoreLogs", True),
        ("AliyunMNSFullAccess", "mns:SendMessage", True), ("AdministratorAccess", "oss:PutBucket", True),
        ("SomethingOfTheUser", "oss:GetObject", None),
    ],
)  # fmt: skip
def test_managed_policies_allow_what_their_names_say(policy: str, action: str, wanted: bool | None) -> None:
    assert judged(statements_of((policy,)), action, PHOTOS) is wanted


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        ("acs:oss:*:*:photos/*", True), ("acs:oss:oss-cn-shanghai:99:photos/*", True), ("acs:oss:*", True), ("*", True),
        ("acs:oss:*:*:photos", None), ("acs:oss:*:*:photo/*", None), ("acs:log:*:*:photos/*", None),
        ("acs:oss:*:*:photos/a.???", True), ("acs:oss:*:*:photos/A.png", None),
    ],
)  # fmt: skip
def test_resources_are_compared_without_region_and_account(resource: str, wanted: bool | None) -> None:
    statement = Statement(actions=("oss:Put*",), resources=(resource,))

    assert judged([statement], "oss:putobject", PHOTOS) is wanted


def test_a_statement_that_denies_counts_more_than_those_that_allow(key: Key) -> None:
    deny = Statement(effect="Deny", actions=("oss:*",), resources=("acs:oss:*:*:photos/private/*",))
    may = with_policies("AliyunOSSFullAccess", deny)

    assert may.allows(key, "oss:PutObject", PHOTOS)
    assert not may.allows(key, "oss:GetObject", "acs:oss:*:*:photos/private/a")
    assert "Deny" in may.refusal(key, "oss:GetObject", "acs:oss:*:*:photos/private/a")


def test_what_opens_everything_counts_more_than_what_denies(key: Key) -> None:
    deny = Statement(effect="Deny", actions=("*",), resources=("*",))

    assert not with_policies("AdministratorAccess", deny).allows(key, "oss:PutObject", PHOTOS)
    assert with_policies(deny, ALL).allows(key, "oss:PutObject", PHOTOS)


def test_without_policies_a_function_may_call_functions_and_use_what_it_names(key: Key) -> None:
    trigger = Trigger(
        service="shop", function="pay", name="t", type="oss", config={}, source_arn="acs:oss:r:1:pictures"
    )
    log = Trigger(service="shop", function="pay", name="l", type="log", config={"logConfig": {"project": "audit"}})
    parameters = {"sourceMNSParameters": {"RegionId": "r", "QueueName": "orders"}}
    source = {"eventSourceType": "MNS", "eventSourceParameters": parameters}
    pulled = Trigger(service="shop", function="pay", name="q", type="eventbridge", config={"eventSourceConfig": source})
    variables = {
        "A": "photos", "B": "oss://videos/x", "C": "https://sounds.oss-cn-hangzhou.aliyuncs.com/k", "D": "one,two",
        "E": "texts.oss-cn-hangzhou-internal.aliyuncs.com", "F": "https://[x", "G": "../etc",
    }  # fmt: skip
    mounts = {"ossMountConfig": {"mountPoints": [{"bucketName": "mounted"}]}}
    function = dataclasses.replace(FUNCTION, environment_variables=variables, extras=mounts)
    may = of(function, dataclasses.replace(SERVICE, log_project="logs"), trigger, log, pulled)

    for bucket in ("photos", "videos", "sounds", "one", "two", "texts", "mounted", "pictures"):
        assert may.allows(key, "oss:PutObject", f"acs:oss:*:*:{bucket}/a/b"), bucket
        assert may.allows(key, "oss:ListObjects", f"acs:oss:*:*:{bucket}"), bucket
    for bucket in ("photos2", "x", "k", "etc", "audit/x", "*"):
        assert not may.allows(key, "oss:GetObject", f"acs:oss:*:*:{bucket}/a"), bucket
    assert may.allows(key, "fc:InvokeFunction", "acs:fc:*:*:services/other/functions/f")
    assert not may.allows(key, "fc:CreateFunction", "acs:fc:*:*:services/other/functions/f")
    assert not may.allows(key, "oss:ListBuckets", "acs:oss:*:*:*")
    for project in ("logs", "audit", "photos"):
        assert may.allows(key, "log:PostLogStoreLogs", f"acs:log:*:*:project/{project}/logstore/l")
    for queue in ("photos", "orders"):
        assert may.allows(key, "mns:SendMessage", f"acs:mns:*:*:/queues/{queue}/messages")
    assert not may.allows(key, "mns:SendMessage", "acs:mns:*:*:/queues/bills/messages")


@pytest.mark.parametrize(
    ("of_service", "of_function", "wanted"),
    [
        ((), (), True), (("AliyunOSSFullAccess",), (), False), (("AliyunOSSFullAccess",), (OWN,), True),
        ((), ("AliyunLogFullAccess",), False), (("AliyunFCFullAccess",), (), True),
    ],
)  # fmt: skip
def test_policies_of_the_function_count_then_those_of_its_service(
    key: Key, of_service: Policies, of_function: Policies, wanted: bool
) -> None:
    service = dataclasses.replace(SERVICE, policies=of_service)
    may = of(dataclasses.replace(FUNCTION, policies=of_function), service)

    assert may.allows(key, "fc:InvokeFunction", "acs:fc:*:*:services/shop/functions/x") is wanted


def test_what_a_function_may_do_follows_its_declaration(key: Key) -> None:
    now: list[Subject | None] = [Subject(SERVICE, FUNCTION, ())]
    may = Permissions(lambda _: now[0])
    before = may.allows(key, "oss:GetObject", PHOTOS)
    now[0] = Subject(dataclasses.replace(SERVICE, policies=("AliyunOSSReadOnlyAccess",)), FUNCTION, ())
    then = may.allows(key, "oss:GetObject", PHOTOS)
    now[0] = None

    assert (before, then) == (False, True)
    assert not may.allows(key, "oss:GetObject", PHOTOS)  # its function is gone


def test_keys_of_the_operator_may_do_everything_and_those_for_uploads_nothing_else(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    may: Permissions = of()

    assert may.allows(keys.create(), "oss:PutBucket", PHOTOS)
    assert not may.allows(keys.uploads, "oss:PutObject", PHOTOS)
    assert not may.allows(keys.of(Target("shop", "gone")), "fc:InvokeFunction", "acs:fc:*:*:*")


def test_a_refusal_names_what_is_missing_and_what_to_add(key: Key) -> None:
    with pytest.raises(AccessDenied) as refused:
        of().check(key, "oss:PutObject", PHOTOS)

    told = str(refused.value)
    for part in ("'pay'", "'shop'", "oss:PutObject", PHOTOS, "AliyunOSSFullAccess", "Policies", "permissions: all"):
        assert part in told


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/2016-08-15/services/s/functions/f/invocations", ["services/s/functions/f"]),
        ("/2016-08-15/services/s.prod/functions/f/code", ["services/s/functions/f", "services/s.prod/functions/f"]),
        ("/2016-08-15/services", ["services/*"]), ("/2016-08-15/services/s/functions", ["services/s/functions/*"]),
        ("/2023-03-30/functions/f/invocations?qualifier=1", ["functions/f"]),
        ("/2016-08-15/proxy/s/f/a/b", ["services/s/functions/f"]), ("/2016-08-15/account-settings", ["*"]),
        ("/2016-08-15/services/s/functions/f/triggers/t", ["services/s/functions/f/triggers/t"]),
        ("/2023-03-30/custom-domains/a.example.com", ["custom-domains/a.example.com"]), ("/", ["*"]),
    ],
)  # fmt: skip
def test_paths_of_the_api_are_resources_as_policies_name_them(path: str, wanted: list[Any]) -> None:
    assert list(resources_of(path)) == [f"acs:fc:*:*:{each}" for each in wanted]


def test_nothing_is_asked_for_functions_without_internet_access(key: Key, tmp_path: Path) -> None:
    cut = dataclasses.replace(FUNCTION, internet_access=False)

    assert of().reaches_out(key)
    assert not of(cut).reaches_out(key)
    assert not of(service=dataclasses.replace(SERVICE, internet_access=False)).reaches_out(key)
    assert Permissions(lambda _: None).reaches_out(Keys(tmp_path).create())
    assert not Permissions(lambda _: None).reaches_out(key)  # its function is gone
