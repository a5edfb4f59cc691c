"""Policies in template files and in pyfc.yml."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.model.permissions import ALL, OWN, Statement
from pyfc.project.interface import Project
from pyfc.project.load import load

FUNCRAFT = """\
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    Properties:
      {properties}
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties: {{Handler: index.handler, Runtime: python3, CodeUri: ./}}
"""
STATEMENT = "{Effect: Allow, Action: [oss:GetObject, 'oss:Put*'], Resource: 'acs:oss:*:*:photos/*'}"
AGAIN = ", ".join(["*s"] * 300)
READ = Statement(actions=("oss:GetObject", "oss:Put*"), resources=("acs:oss:*:*:photos/*",))
DENY = Statement(effect="Deny", actions=("*",), resources=("*",))


def project(folder: Path, properties: str = "Description: d", more: str = "") -> Project:
    (folder / "template.yml").write_text(FUNCRAFT.format(properties=properties))
    if more:
        (folder / "pyfc.yml").write_text(more)
    return load(folder)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("AliyunOSSFullAccess", ("AliyunOSSFullAccess",)),
        ("[AliyunOSSReadOnlyAccess, AliyunMNSFullAccess]", ("AliyunOSSReadOnlyAccess", "AliyunMNSFullAccess")),
        (f"{{Version: '1', Statement: [{STATEMENT}]}}", (READ,)),
        (f"[AliyunLogFullAccess, {{Statement: {STATEMENT}}}]", ("AliyunLogFullAccess", READ)),
        (f"[{STATEMENT}, {{effect: deny, action: '*', resource: '*'}}]", (READ, DENY)),
    ],
)
def test_policies_are_names_and_statements(tmp_path: Path, written: str, wanted: object) -> None:
    found = project(tmp_path, f"Policies: {written}")

    assert found.services[0].policies == wanted
    assert (found.unsupported, found.warnings) == ([], [])


def test_s_yaml_has_them_in_its_role(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "edition: 1.0.0\nservices:\n  a:\n    component: fc\n    props:\n      region: cn-hangzhou\n      service:\n"
        "        name: shop\n        role:\n          name: r\n          policies:\n          - AliyunOSSFullAccess\n"
        f"          - {{name: own, description: d, statement: [{STATEMENT}]}}\n"
        "      function: {name: pay, handler: index.handler, runtime: python3, codeUri: ./}\n"
    )
    assert load(tmp_path).services[0].policies == ("AliyunOSSFullAccess", READ)


def test_s_yaml_of_fc3_has_them_in_the_role_of_the_function(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "edition: 3.0.0\nresources:\n  a:\n    component: fc3\n    props:\n      region: cn-hangzhou\n"
        "      functionName: pay\n      handler: index.handler\n      runtime: python3\n      code: ./\n"
        f"      role: {{name: r, policies: [AliyunOSSFullAccess, {{name: own, statement: [{STATEMENT}]}}]}}\n"
    )
    assert load(tmp_path).functions[0].function.policies == ("AliyunOSSFullAccess", READ)


def test_a_role_without_policies_and_what_can_not_be_judged_are_noted(tmp_path: Path) -> None:
    assert project(tmp_path, "Role: acs:ram::1:role/x").unsupported == ["Role of service shop"]
    assert project(tmp_path, "Policies: OfMyOwn").unsupported == [
        "policy OfMyOwn of service shop (what it allows is not known here)"
    ]
    conditional = STATEMENT[:-1] + ", Condition: {IpAddress: {'acs:SourceIp': 1.2.3.4}}}"
    for computed in ("!Ref a", "[{Effect: Allow, Action: 'oss:*', Resource: !Sub 'acs:oss:*:*:${b}'}]",
                     "[{Effect: Allow, Action: 'oss:*', Resource: {'Fn::Sub': 'acs:oss:*:*:${b}'}}]"):  # fmt: skip
        made = project(tmp_path, f"Policies: {computed}")
        assert made.unsupported == ["a policy of service shop that is computed in the cloud"]
        assert made.services[0].policies == ()
    found = project(tmp_path, f"Policies: [{conditional}]")
    assert found.unsupported == ["Condition of a policy of service shop (it counts as met)"]
    assert found.services[0].policies == (READ,)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[{Effect: Maybe, Action: a, Resource: b}]", "Effect is 'Maybe'; it must be one of Allow, Deny"),
        ("[{Effect: Allow, Action: a}]", "has no Resource; it is required"),
        ("[{Effect: Allow, NotAction: a, Resource: b}]", "a statement with NotAction; it must be one with Action"),
        ("[{Statement: 1}]", "a mapping"),
        ("&a [*a]", "must be text"),
        ("{Statement: &a [*a]}", "a mapping"),
        (f"[{', '.join(['A'] * 501)}]", "at most 500 policies"),
        (f"[{{Statement: [&s {STATEMENT}, {AGAIN}]}}, {{Statement: [{AGAIN}]}}]", "at most 500 policies"),
        (f"[{{Effect: Allow, Action: [{', '.join(['a'] * 501)}], Resource: b}}]", "at most 500 texts"),
    ],
)
def test_a_statement_that_is_none_is_told_with_its_line(tmp_path: Path, written: str, message: str) -> None:
    with pytest.raises(ProjectError, match=r"template.yml:\d+: .*") as wrong:
        project(tmp_path, f"Policies: {written}")
    assert message in str(wrong.value)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("all", (OWN, ALL)),
        ("AliyunLogFullAccess", (OWN, "AliyunLogFullAccess")),
        (f"[{STATEMENT}]", (OWN, READ)),
    ],
)
def test_pyfc_yml_adds_permissions(tmp_path: Path, said: str, wanted: object) -> None:
    found = project(tmp_path, more=f"permissions: {said}\n")

    assert found.services[0].policies == wanted
    assert found.functions[0].function.policies == ()
    named = project(tmp_path, "Policies: AliyunOSSFullAccess", more=f"permissions: {said}\n")
    assert named.services[0].policies[0] == "AliyunOSSFullAccess"
    assert OWN not in named.services[0].policies


def test_buckets_of_the_project_may_be_used_by_functions_without_policies(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    written = "buckets: {photos: ./photos}\npermissions: AliyunMNSFullAccess\n"
    use = Statement(actions=("oss:*",), resources=("acs:oss:*:*:photos", "acs:oss:*:*:photos/*"))

    assert project(tmp_path, more=written).services[0].policies == (OWN, use, "AliyunMNSFullAccess")
    named = project(tmp_path, "Policies: AliyunLogFullAccess", more=written)
    assert named.services[0].policies == ("AliyunLogFullAccess", "AliyunMNSFullAccess")
