"""A cold start, taken apart: one worker is started as the first instance of a function would be, only to be timed."""

from __future__ import annotations

import json
import time
from typing import Any

from pyfc.errors import HostRefused
from pyfc.host.expectation import LinkClosed
from pyfc.host.launch import Launcher
from pyfc.host.link import Link
from pyfc.model.function import Function
from pyfc.model.names import instance_id, request_id
from pyfc.supervisor.birth import Birth
from pyfc.wire import frames


async def explain(function: Function, birth: Birth, launcher: Launcher) -> dict[str, Any]:
    """Phases in seconds, the imports as a tree, and what a person may do about them. Raises HostRefused."""
    began = time.monotonic()
    worker = await launcher.launch(birth.spec.without_template())
    link = Link(worker, instance_id(), birth.init, 0)
    fault, imports, times = None, [], [time.monotonic()]
    try:
        await link.expectation.frame(frames.HELLO, birth.load_timeout)
        sandbox = birth.confine(worker.cell)
        environment = {**birth.init.environment, **worker.cell.environment, "FC_INSTANCE_ID": link.instance_id}
        times[0] = time.monotonic()
        link.send(frames.INIT, birth.init._replace(environment=environment, sandbox=sandbox, traces=True))
        header, payload = await link.expectation.frame(frames.READY, birth.load_timeout)
        times.append(time.monotonic())
        fault = header[0]
        if fault is None:
            imports = json.loads(payload or b"[]")
            if birth.init.initializer:
                link.send(frames.HOOK, frames.Hook("initializer", request_id()))
                header, _ = await link.expectation.frame(frames.HOOK_DONE, birth.initialization_timeout)
                fault = header[0]
    except TimeoutError:
        fault = ("", "it takes too long", "")
    except LinkClosed:
        fault = ("", "the process ends", "")
    except OSError as error:
        raise HostRefused(reason=f"its limits can not be set: {error}") from error
    finally:
        times.append(time.monotonic())
        peak = link.measure()
        link.life.kill()
    prepared, loaded = times[0], times[1]
    return {
        "service": function.service,
        "function": function.name,
        "phases": {
            "PrepareCode": prepared - began,
            "RuntimeInitialize": loaded - prepared,
            "Initializer": times[-1] - loaded,
        },
        "imports": imports,
        "fault": fault[1] if fault is not None else "",
        "peakMemoryMb": peak,
        "memorySize": function.limits.memory_size,
        "codeSize": function.code.size if function.code is not None else 0,
        "template": launcher.status(birth.spec),
        "reserved": function.provision.target,
    }
