"""What an instance of one function is born with: its environment, its context, its limits.

The variables are those of FC's "Environment variables" page. What the credentials are good for: auth/permissions.py.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pyfc.build.packages import imported
from pyfc.bundles.bundle import Artefact
from pyfc.errors import InvalidArgument
from pyfc.host.interpreters import Interpreter
from pyfc.host.runtimes import Runtime
from pyfc.model.function import Function, Service
from pyfc.model.mounts import mounts_of
from pyfc.model.names import LATEST, Target
from pyfc.sandbox.sandbox import LIMITS, Cell, Sandbox
from pyfc.settings import Settings
from pyfc.wire import frames
from pyfc.workers.launch import LaunchSpec, ProgramSpec, TemplateSpec
from pyfc.workers.profiling import SOCKET

_SYSTEM = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
_MARK = 12
"""Bytes that no output contains by chance."""


async def nothing_to_do() -> None:
    """Of what has no code."""


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
    """What a worker settles into, its cell given the function's limits. Raises HostRefused."""
    present: Callable[[], Awaitable[None]] = nothing_to_do
    """Sees to it that the function's code is there. Raises CodeLost."""
    lacks: Callable[[], bool] = lambda: False
    """Whether what its code needs could not be built."""
    woken: Callable[[], None] = lambda: None
    """Hears that an instance is there for calls, as it has started or gets processor again."""


def compiler_of(function: Function, runtime: Runtime, interpreter: Interpreter) -> str:
    """What decides how the code of `function` is compiled, beside the code, its packages and its layers."""
    early = sorted((name, function.environment_variables.get(name, "")) for name in runtime.early)
    return repr((runtime.name, os.path.realpath(interpreter.path), interpreter.version, early))


class BirthContext(NamedTuple):
    """What is the same for all functions of one server."""

    settings: Settings
    sandbox: Sandbox
    credentials: Callable[[Target], Mapping[str, str]]
    """Those of a function, as its context has them."""


class Subject(NamedTuple):
    """Whose instances are born."""

    service: Service
    function: Function
    artefact: Artefact
    runtime: Runtime
    interpreter: str
    """The program that runs it."""


def birth(subject: Subject, context: BirthContext) -> Birth:
    """The birth of the instances of a function. The sandbox has been entered."""
    service, function, artefact, runtime, interpreter = subject
    settings, sandbox, _ = context
    is_debugged = function.is_called(settings.debug)
    network = service.internet_access and function.internet_access
    mounts = mounts_of(service, function)
    wish = sandbox.wish(artefact, function.limits, interpreter, network=network, mounts=mounts, changes=runtime.serves)
    init = _init(subject, context)._replace(
        sandbox=wish, packages=packages(runtime, interpreter, settings, debugs=is_debugged)
    )

    def confine(cell: Cell) -> dict[str, Any]:
        return sandbox.confine(wish, cell, function.limits)

    bears = runtime.templates and not is_debugged and not mounts
    spec = LaunchSpec(
        runtime=runtime,
        interpreter=interpreter,
        limits=LIMITS,
        program=ProgramSpec(
            environment=init.environment,
            confine=confine,
            size=function.limits,
            needs_start=not network or bool(mounts) or _decides_early(function, runtime),
        ),
        template=_template(function, artefact, init, confine, settings) if bears else None,
    )
    load_timeout = settings.program_timeout if runtime.serves else settings.load_timeout
    return Birth(
        spec=spec,
        init=init,
        load_timeout=float(UNLIMITED) if is_debugged else load_timeout,
        initialization_timeout=float(function.limits.initialization_timeout),
        maximum_result=settings.maximum_result,
        pre_freeze_timeout=float(function.pre_freeze.timeout),
        pre_stop_timeout=float(function.pre_stop.timeout),
        confine=confine,
    )


def _decides_early(function: Function, runtime: Runtime) -> bool:
    """Whether a program has to be started for this function: it reads at its start what others decide."""
    return function.opt is not None or any(name in function.environment_variables for name in runtime.early)


def _init(subject: Subject, context: BirthContext) -> frames.Init:
    """What every instance is told, but for its sandbox and the packages that are not its own."""
    service, function, artefact, runtime, _ = subject
    settings, sandbox, _ = context
    credentials = context.credentials(function.target)
    code, cache = sandbox.places(artefact)
    commands = sandbox.commands if runtime.serves else ""
    withheld = function.extras.get("disableInjectCredentials", "")
    environment = _environment(function, code, settings, commands)
    if runtime.serves:
        _add_code(environment, code)
    if withheld not in {"Env", "All"}:
        environment |= _for_environment(credentials)
    if withheld in {"Request", "All"}:
        credentials = dict.fromkeys(credentials, "")
    if layers := sandbox.layers(artefact):
        _add_layers(environment, layers)
    concurrency = function.limits.instance_concurrency
    return frames.Init(
        handler=function.handler,
        initializer=function.initializer or " ".join(function.initializer_command[:1]),
        code=code,
        environment=environment,
        context=_context(service, function, settings, credentials),
        packages=[],
        cache=cache,
        source=artefact.source,
        concurrency=concurrency,
        mark=os.urandom(_MARK).hex() if runtime.marks and concurrency == 1 else "",
        sandbox={},
        template={},
        hooks=_hooks(function),
        debug_port=settings.debug_port if function.is_called(settings.debug) else 0,
        program=_program(function, runtime),
        debugger=settings.debugger,
        profiler=_profiler(subject, context),
    )


def _profiler(subject: Subject, context: BirthContext) -> str:
    is_wanted = subject.function.profile and subject.runtime.profiler == "own" and context.settings.observe == "on"
    return SOCKET if is_wanted and context.sandbox.has_namespaces else ""


def _program(function: Function, runtime: Runtime) -> dict[str, Any]:
    if not runtime.serves:
        return {}
    pulls = function.runtime in runtime.pulls
    command = function.program.command or (f"./{function.handler if pulls else 'bootstrap'}",)
    return {
        "command": list(command),
        "port": function.program.port,
        "pulls": pulls,
        "health": dict(function.program.health),
        "hooks": {name: list(words) for name, words in _hook_commands(function).items() if words},
    }


def _hook_commands(function: Function) -> dict[str, tuple[str, ...]]:
    return {
        "initializer": function.initializer_command,
        "preFreeze": function.pre_freeze.command,
        "preStop": function.pre_stop.command,
    }


def _hooks(function: Function) -> dict[str, str]:
    hooks = {"preFreeze": function.pre_freeze.entry, "preStop": function.pre_stop.entry}
    return {name: entry for name, entry in hooks.items() if entry}


def _template(
    function: Function,
    artefact: Artefact,
    init: frames.Init,
    confine: Callable[[Cell], dict[str, Any]],
    settings: Settings,
) -> TemplateSpec:
    """What the template of the function is to be: all of it; or, while its files are watched, the modules that they
    import, so that it outlives the next change of them.
    """
    snapshot = function.snapshot == "initialized" and bool(function.initializer)
    shown = {"digest": artefact.folder.name, "cache": artefact.cache.name} if settings.reload else {}
    changes: dict[str, Any]
    if settings.reload:
        preload = imported(artefact.folder)
        init = init._replace(template={"load": False, "preload": preload, "snapshot": False})
        lasting = init._replace(handler="", initializer="", hooks={}, code="", cache="", context={}, source="", mark="")
        own = {"digest": "", "cache": "", "read": [], "write": []}  # paths mean nothing where there are templates
        environment = {**init.environment, "FC_FUNCTION_HANDLER": ""}
        decisive = (lasting._replace(sandbox={**init.sandbox, **own}, environment=environment), artefact.packages)
        changes = {"environment": {"FC_FUNCTION_HANDLER": function.handler}}
    else:
        init = init._replace(template={"load": True, "preload": [], "snapshot": snapshot})
        decisive = (init._replace(mark=""), "")
        changes = {"handler": "", "initializer": "", "environment": {}, "context": {}, "source": "", "hooks": {}}
    key = repr((decisive, function.target, function.limits, function.runtime))
    return TemplateSpec(
        key=hashlib.sha256(key.encode()).hexdigest(),
        init=init,
        copy=init._replace(code="", packages=[], cache="", sandbox={}, template={}, **changes),
        confine=confine,
        shown=shown,
        disk=function.limits.disk_size,
        network=bool(init.sandbox.get("network", True)),
        load_timeout=settings.load_timeout,
        initialization_timeout=float(function.limits.initialization_timeout),
    )


def _environment(function: Function, code: str, settings: Settings, commands: str) -> dict[str, str]:
    declared = function.environment_variables.get("PATH", "")  # names folders of FC's images, which this machine lacks
    installed = [f"{code}/{folder}" for folder in ("bin", "node_modules/.bin")]
    return {
        "HOME": "/tmp",  # noqa: S108  FC's own value
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "LD_LIBRARY_PATH": f"{code}:{code}/lib:/usr/local/lib",
        **function.environment_variables,
        "PATH": ":".join(filter(None, [declared, *installed, commands, _SYSTEM])),
        "FC_ACCOUNT_ID": settings.account_id,
        "FC_REGION": settings.region,
        "FC_FUNC_CODE_PATH": code,
        "FC_FUNCTION_HANDLER": function.handler,
        "FC_FUNCTION_MEMORY_SIZE": str(function.limits.memory_size),
        "FC_FUNCTION_NAME": function.name,
        "FC_QUALIFIER": function.version_id or LATEST,
        "FC_RUNTIME_VERSION": function.runtime,
        "FC_SERVICE_NAME": function.service,
        "FC_VER_ID": function.version_id or LATEST,
    }


def _for_environment(credentials: Mapping[str, str]) -> dict[str, str]:
    """The names by which functions find their credentials."""
    return {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": credentials["access_key_id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": credentials["access_key_secret"],
        "ALIBABA_CLOUD_SECURITY_TOKEN": credentials["security_token"],
        "accessKeyID": credentials["access_key_id"],
        "accessKeySecret": credentials["access_key_secret"],
        "securityToken": credentials["security_token"],
    }


def _add_code(environment: dict[str, str], code: str) -> None:
    """Modules in the code are found. A function that names folders of its own, into which a tool of FC's would have
    installed them, finds them too: here they lie at the root of the code.
    """
    declared = [folder for folder in environment.get("PYTHONPATH", "").split(":") if folder]
    environment["PYTHONPATH"] = ":".join([*declared, *([] if code in declared else [code])])


def _add_layers(environment: dict[str, str], place: str) -> None:
    """Programs and libraries of layers are found; where they are not at /opt, modules too."""
    environment["PATH"] = f"{environment['PATH']}:{place}/bin"
    environment["LD_LIBRARY_PATH"] = f"{environment['LD_LIBRARY_PATH']}:{place}/lib"
    if place != "/opt":
        for name, folders in _MODULES.items():
            found = [f"{place}/{folder}" for folder in folders]
            environment[name] = ":".join([*filter(None, [environment.get(name, "")]), *found])


_MODULES = {
    "PYTHONPATH": ("python", *(f"python/lib/python3.{minor}/site-packages" for minor in range(6, 15))),
    "NODE_PATH": ("nodejs/node_modules", *(f"nodejs/node{major}/node_modules" for major in range(6, 25, 2))),
}
"""Where FC's layers have what functions import."""


def _context(
    service: Service, function: Function, settings: Settings, credentials: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "credentials": dict(credentials),
        "function": {
            "name": function.name,
            "handler": function.handler,
            "initializer": function.initializer,
            "initialization_timeout": function.limits.initialization_timeout,
            "memory": function.limits.memory_size,
            "timeout": function.limits.timeout,
            "version_id": function.version_id or LATEST,
            "qualifier": function.version_id or LATEST,
        },
        "service": {
            "name": service.name,
            "log_project": service.log_project,
            "log_store": service.log_store,
            "qualifier": function.version_id or LATEST,
            "version_id": function.version_id or LATEST,
        },
        "region": settings.region,
        "account_id": settings.account_id,
        "jaeger_endpoint": _jaeger(function) or _jaeger(service),
    }


def _jaeger(declared: Function | Service) -> str:
    """Where it wants its traces sent; '' for nowhere."""
    config = declared.extras.get("tracingConfig")
    params = config.get("params") if isinstance(config, Mapping) and config.get("type") == "Jaeger" else None
    endpoint = params.get("endpoint") if isinstance(params, Mapping) else None
    return endpoint if isinstance(endpoint, str) else ""


UNLIMITED = 86400
"""Seconds that a person may look at a line of code."""


def paused(function: Function) -> Function:
    """The function with one instance and no time limits, for a debugger."""
    limits = dataclasses.replace(function.limits, timeout=UNLIMITED, initialization_timeout=UNLIMITED)
    return dataclasses.replace(function, limits=limits, maximum_instance_count=1)


def packages(runtime: Runtime, interpreter: str, settings: Settings, *, debugs: bool) -> list[str]:
    """Folders with packages that are no function's own and may be imported. Raises InvalidArgument."""
    if settings.site_packages and interpreter == sys.executable:
        return site_packages()
    return debugger(runtime, settings.debugger) if debugs else []


def debugger(runtime: Runtime, how: str) -> list[str]:
    """The folder with what debugging functions of `runtime` needs, if it needs anything. Raises InvalidArgument if it
    is not installed, or is none for them.
    """
    name = runtime.debuggers.get(how)
    if name is None:
        what = "--debug" if how == "attach" else f"--debugger {how}"
        raise InvalidArgument(message=f"{what} is not for functions of {runtime.title}")
    if not name:
        return []
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise InvalidArgument(message=f"--debug needs {name} beside pyfc: pip install {name.replace('_', '-')}")
    origin = Path(found.origin)
    return [str(origin.parents[1] if found.submodule_search_locations else origin.parent)]


def site_packages() -> list[str]:
    """Where pyfc's own interpreter has its packages, those of a virtual environment included."""
    paths = sysconfig.get_paths()
    folders = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return list(dict.fromkeys(folders))
