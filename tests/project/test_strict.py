"""Read strictly, a project has no warnings: each is a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyfc.errors import ProjectError
from pyfc.project.load import load

TEMPLATE = """\
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties:
        Handler: index.handler
        Runtime: python3
        CodeUri: ./
        Timout: 20
        InstanceLifecycleConfig: {PreStop: {Handlr: index.bye}}
"""


def test_what_is_a_warning_else_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text(TEMPLATE)
    (tmp_path / "s.yaml").write_text("resources: {}\n")
    assert len(load(tmp_path).warnings) == 3

    with pytest.raises(ProjectError) as caught:
        load(tmp_path, tolerates=True, strict=True)

    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert f"{tmp_path}/template.yml:11: Resources.shop.pay.Properties.Timout is not a property" in lines[0] + lines[1]
    assert lines[2] == f"{tmp_path}/template.yml: template.yml is served; s.yaml beside it is ignored"


def test_what_has_no_warnings_is_read_strictly_too(tmp_path: Path) -> None:
    (tmp_path / "template.yml").write_text("".join(TEMPLATE.splitlines(keepends=True)[:-2]))

    assert [each.function.name for each in load(tmp_path, strict=True).functions] == ["pay"]
