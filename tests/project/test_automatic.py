"""`logConfig: auto` names the project and the logstore that each tool makes in the cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.project.interface import Project
from pyfc.project.load import load

ACCOUNT_ID = "deed2a88-e73d-5caa-b0a9-e6e296f62be2"
"""What uuid-by-string of npm makes of 1234567890123456, the account of a server that is told no other."""
METRICS = {"enableRequestMetrics": True, "enableInstanceMetrics": True}
FUNCRAFT = """\
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    Properties: {LogConfig: Auto}
"""
S_FC = """\
edition: 1.0.0
name: app
services:
  pay:
    component: devsapp/fc
    props:
      region: cn-hangzhou
      service: {name: Shop, logConfig: auto}
      function: {name: pay, runtime: python3, handler: index.handler, codeUri: .}
"""
S_FC3 = """\
edition: 3.0.0
name: app
resources:
  pay:
    component: fc3
    props: {region: cn-hangzhou, functionName: pay, runtime: python3, handler: index.handler, code: ., logConfig: auto}
"""


def _read(folder: Path, name: str, text: str) -> Project:
    (folder / "index.py").write_text("def handler(event, context): pass\n")
    (folder / name).write_text(text)
    return load(folder)


def test_that_of_funcraft(tmp_path: Path) -> None:
    found = _read(tmp_path, "template.yml", FUNCRAFT)
    (service,) = found.services

    place = {"project": f"aliyun-fc-cn-hangzhou-{ACCOUNT_ID}", "logstore": "function-log"}
    assert (service.log_project, service.log_store) == tuple(place.values())
    assert service.extras["logConfig"] == {**place, **METRICS}
    assert found.unsupported == []


def test_that_of_serverless_devs_for_a_service(tmp_path: Path) -> None:
    (service,) = _read(tmp_path, "s.yaml", S_FC).services

    place = {"project": "1234567890123456-cn-hangzhou-logproject", "logstore": "fc-service-shop-logstore"}
    assert service.extras["logConfig"] == {**place, **METRICS}


def test_that_of_serverless_devs_for_a_function(tmp_path: Path) -> None:
    (function,) = _read(tmp_path, "s.yaml", S_FC3).functions

    place = {"project": f"serverless-cn-hangzhou-{ACCOUNT_ID}", "logstore": "default-logs"}
    assert function.function.extras["logConfig"] == {**place, "logBeginRule": "DefaultRegex", **METRICS}


def test_auto_takes_parameters(tmp_path: Path) -> None:
    text = S_FC3.replace("logConfig: auto", "logConfig: 'auto|enableInstanceMetrics=false | logBeginRule=None'")
    (function,) = _read(tmp_path, "s.yaml", text).functions
    config = function.function.extras["logConfig"]

    assert (config["enableRequestMetrics"], config["enableInstanceMetrics"]) == (True, False)
    assert config["logBeginRule"] == "None"


def test_a_parameter_that_is_wrong_is_told_with_its_place(tmp_path: Path) -> None:
    text = S_FC3.replace("logConfig: auto", "logConfig: auto|enableInstanceMetrics=perhaps")

    with pytest.raises(ProjectError, match=r"s\.yaml:.*enableInstanceMetrics is 'perhaps'; it must be true or false"):
        _read(tmp_path, "s.yaml", text)


def test_another_text_is_noted(tmp_path: Path) -> None:
    assert _read(tmp_path, "s.yaml", S_FC3.replace(": auto", ": somewhere")).unsupported == [
        "logConfig: somewhere of function default/pay"
    ]
