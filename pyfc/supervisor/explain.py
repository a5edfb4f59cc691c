"""A cold start, taken apart: one more instance is started as the first of its function would be, only to be timed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from pyfc.model.function import Function
from pyfc.model.names import request_id
from pyfc.supervisor.birth import Birth
from pyfc.supervisor.instance import Instance
from pyfc.supervisor.starting import StartFailed
from pyfc.workers.launch import Launcher


async def explain(function: Function, birth: Birth, launcher: Launcher) -> dict[str, Any]:
    """Phases in seconds, the imports as a tree, and what a person may do about them. Raises HostRefused."""
    init = birth.init._replace(traces=True)
    traced = dataclasses.replace(birth, spec=birth.spec.without_template(), init=init)
    instance = Instance(traced, launcher, lambda *_: None)
    failure = ""
    try:
        await instance.start(request_id())
    except StartFailed as failed:
        failure = str(failed)
    finally:
        link = instance.link
        peak = link.life.peak.measure() if link is not None else 0.0
        instance.abandon()
    prepare, load, initialize = instance.beginning.phases
    return {
        "service": function.service,
        "function": function.name,
        "phases": {"PrepareCode": prepare, "RuntimeInitialize": load, "Initializer": initialize},
        "imports": json.loads(instance.beginning.imports or b"[]"),
        "fault": failure,
        "peakMemoryMb": peak,
        "memorySize": function.limits.memory_size,
        "codeSize": function.code.size if function.code is not None else 0,
        "template": launcher.status(birth.spec),
        "reserved": function.provision.target,
    }
