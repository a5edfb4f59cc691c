"""pyfc with instanceConcurrency 8: one worker that runs eight calls at once, each in a thread."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from peers import pyfc

PACKAGES: list[str] = []
KINDS = {"event"}


def start(python: str, workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    folder = scratch / "concurrent"
    shutil.copytree(workload, folder)
    properties = {"Handler": "index.handler", "Runtime": "python3", "CodeUri": "./", "InstanceConcurrency": 8}
    service = {
        "Type": "Aliyun::Serverless::Service",
        workload.name: {"Type": "Aliyun::Serverless::Function", "Properties": properties},
    }
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"default": service}}
    (folder / "template.yml").write_text(json.dumps(template))
    return pyfc.serve(folder, workload.name, port)
