"""A function whose calls do what their event says, `fail 0.02` or `work`, and a project that has it as shop/pay."""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import time

def handler(event, context):
    word, _, seconds = event.decode().partition(" ")
    time.sleep(float(seconds or 0))
    if word == "fail":
        raise ValueError("no money")
    return event
"""
TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    pay:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./, MemorySize: 256, Timeout: 5}
"""


def made_in(folder: Path, source: str = "", template: str = "") -> Path:
    """The folder `project` with that and what is given beside it."""
    project = folder / "project"
    project.mkdir()
    (project / "index.py").write_text(SOURCE + source)
    (project / "template.yml").write_text(TEMPLATE + template)
    return project
