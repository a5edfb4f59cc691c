"""What an instance of one function is born with: its environment, its context, its limits.

The variables are those of FC's "Environment variables" page. Credentials are placeholders: they have the right names
and open nothing.
"""

from __future__ import annotations

import hashlib
import os
import site
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyfc.host.bundle import Artefact
from pyfc.host.launch import LaunchSpec, TemplateSpec
from pyfc.host.runtimes import Runtime
from pyfc.host.sandbox import LIMITS, Cell, Sandbox
from pyfc.model.function import Function, Service
from pyfc.model.names import LATEST
from pyfc.settings import Settings
from pyfc.wire import frames

_MARK = 12
"""Bytes that no output contains by chance."""

_ACCESS_KEY = {
    "access_key_id": "pyfc-placeholder",
    "access_key_secret": "pyfc-placeholder-secret",
    "security_token": "pyfc-placeholder-token",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """All that starting an instance of one function needs; the same for each of its instances."""

    spec: LaunchSpec
    init: frames.Init
    load_timeout: float
    initialization_timeout: float
    maximum_result: int
    pre_freeze_timeout: float = 0.0
    pre_stop_timeout: float = 0.0
    confine: Callable[[Cell], dict[str, Any]]
    """What a worker settles into, its cell given the function's limits. Raises OSError."""


def birth(
    service: Service, function: Function, artefact: Artefact, runtime: Runtime, settings: Settings, sandbox: Sandbox
) -> Birth:
    """The birth of the instances of `function`, whose code lies in `artefact`. The sandbox has been entered."""
    code, cache = sandbox.places(artefact)
    network = service.internet_access and function.internet_access
    wish = sandbox.wish(artefact, function.limits, network=network)
    concurrency = function.limits.instance_concurrency
    init = frames.Init(
        handler=function.handler,
        initializer=function.initializer,
        code=code,
        environment=_environment(function, code, settings),
        context=_context(service, function, settings),
        packages=site_packages() if settings.site_packages else [],
        cache=cache,
        source=artefact.source,
        concurrency=concurrency,
        mark=os.urandom(_MARK).hex() if runtime.marks and concurrency == 1 else "",
        sandbox=wish,
        template={},
        hooks=_hooks(function),
    )

    def confine(cell: Cell) -> dict[str, Any]:
        return sandbox.confine(wish, cell, function.limits)

    template = _template(function, init, confine, settings, network=network) if runtime.templates else None
    return Birth(
        spec=LaunchSpec(runtime=runtime, limits=LIMITS, template=template),
        init=init,
        load_timeout=settings.load_timeout,
        initialization_timeout=float(function.limits.initialization_timeout),
        maximum_result=settings.maximum_result,
        pre_freeze_timeout=float(function.pre_freeze.timeout),
        pre_stop_timeout=float(function.pre_stop.timeout),
        confine=confine,
    )


def _hooks(function: Function) -> dict[str, str]:
    hooks = {"preFreeze": function.pre_freeze.handler, "preStop": function.pre_stop.handler}
    return {name: handler for name, handler in hooks.items() if handler}


def _template(
    function: Function,
    init: frames.Init,
    confine: Callable[[Cell], dict[str, Any]],
    settings: Settings,
    *,
    network: bool,
) -> TemplateSpec:
    """What the template of the function is to be."""
    snapshot = function.snapshot == "initialized" and bool(function.initializer)
    init = init._replace(template={"load": True, "preload": [], "snapshot": snapshot})
    decisive = (init._replace(mark=""), function.target, function.limits, function.runtime, network)
    return TemplateSpec(
        key=hashlib.sha256(repr(decisive).encode()).hexdigest(),
        init=init,
        confine=confine,
        code="",
        disk=function.limits.disk_size,
        network=network,
        load_timeout=settings.load_timeout,
        initialization_timeout=float(function.limits.initialization_timeout),
    )


def _environment(function: Function, code: str, settings: Settings) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
        "HOME": "/tmp",  # noqa: S108  FC's own value
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "LD_LIBRARY_PATH": f"{code}:{code}/lib:/usr/local/lib",
        **function.environment_variables,
        "FC_ACCOUNT_ID": settings.account_id,
        "FC_REGION": settings.region,
        "FC_FUNC_CODE_PATH": code,
        "FC_FUNCTION_HANDLER": function.handler,
        "FC_FUNCTION_MEMORY_SIZE": str(function.limits.memory_size),
        "FC_FUNCTION_NAME": function.name,
        "FC_QUALIFIER": LATEST,
        "FC_RUNTIME_VERSION": function.runtime,
        "FC_SERVICE_NAME": function.service,
        "FC_VER_ID": LATEST,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": _ACCESS_KEY["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": _ACCESS_KEY["access_key_secret"],
        "ALIBABA_CLOUD_SECURITY_TOKEN": _ACCESS_KEY["security_token"],
        "accessKeyID": _ACCESS_KEY["access_key_id"],
        "accessKeySecret": _ACCESS_KEY["access_key_secret"],
        "securityToken": _ACCESS_KEY["security_token"],
    }


def _context(service: Service, function: Function, settings: Settings) -> dict[str, Any]:
    return {
        "credentials": _ACCESS_KEY,
        "function": {
            "name": function.name,
            "handler": function.handler,
            "memory": function.limits.memory_size,
            "timeout": function.limits.timeout,
            "version_id": LATEST,
            "qualifier": LATEST,
        },
        "service": {
            "name": service.name,
            "log_project": service.log_project,
            "log_store": service.log_store,
            "qualifier": LATEST,
            "version_id": LATEST,
        },
        "region": settings.region,
        "account_id": settings.account_id,
    }


def site_packages() -> list[str]:
    """Where pyfc's own interpreter has its packages, those of a virtual environment included."""
    paths = sysconfig.get_paths()
    folders = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return list(dict.fromkeys(folders))
