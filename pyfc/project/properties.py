"""The properties that Funcraft's and Serverless Devs' files share: they differ in the case of the first letter only.

Ranges are FC's own (limits page and function API); a property that pyfc can not honour yet is noted, never dropped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyfc.errors import InvalidArgument, ProjectError
from pyfc.model.function import Function, Hook, Limits, Program
from pyfc.model.names import DEFAULT_SERVICE, LATEST, is_name, numbered
from pyfc.model.resources import ASYNC, Config, Route
from pyfc.model.rewriting import check as check_rewriting
from pyfc.model.trigger import Trigger
from pyfc.project.document import Field
from pyfc.project.files import is_there
from pyfc.project.interface import Declaration, Project

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
PROTOCOLS = ("HTTP", "HTTPS", "HTTP,HTTPS")
"""What a domain may be declared for."""
_SERVED = ("python3", "nodejs", "custom", "go1")
_RESERVED = {"accessKeyID", "accessKeySecret", "securityToken", "topic"}
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLES_SIZE = 4096
_SERVICE_LATER = ("vpcConfig", "nasConfig", "ossMountConfig", "tracingConfig", "role", "policies", "vpcBinding", "tags")
SERVICE = ("name", "description", "internetAccess", "logConfig", *_SERVICE_LATER)
_FUNCTION_LATER = (
    "customContainerConfig", "customDNS", "instanceType",
    "instanceSoftConcurrency", "cpu", "gpuMemorySize", "gpuConfig", "ossBucket", "ossKey", "resourceGroupId",
    "concurrencyConfig", "sessionAffinity", "sessionAffinityConfig", "instanceIsolationMode", "provisionConfig",
    "scalingConfig",
)  # fmt: skip
FUNCTION = (
    "name", "functionName", "description", "handler", "runtime", "codeUri", "code", "initializer", "memorySize",
    "timeout", "initializationTimeout", "instanceConcurrency", "diskSize", "environmentVariables",
    "instanceLifecycleConfig", "asyncConfiguration", "asyncInvokeConfig", "layers", "caPort", "cAPort",
    "customRuntimeConfig", "customHealthCheckConfig",
    *_FUNCTION_LATER,
)  # fmt: skip


def check_name(field: Field, what: str, text: str | None = None) -> str:
    """The name of a service, function or trigger."""
    name = field.text() if text is None else text
    if not is_name(name):
        allowed = "a letter or _, then letters, digits, _ and -, at most 128"
        raise field.error(f"the {what} name '{name}'", allowed)
    return name


def note_later(field: Field, names: tuple[str, ...], what: str, project: Project, *, capital: bool) -> None:
    """Note the properties among `names` that are set."""
    for name in names:
        value = field.get(name)
        if value is not None and not _is_off(value):
            shown = name[:1].upper() + name[1:] if capital else name
            project.unsupported.append(f"{shown} of {what}")


def _is_off(value: Field) -> bool:
    """Whether a value asks for nothing: empty, or switched off."""
    if value.is_mapping():
        return not value.items()
    try:
        return value.text().lower() in {"", "disable", "false"}
    except Exception:
        return False


def log_names(field: Field, what: str, project: Project, *, capital: bool) -> tuple[str, str]:
    """Project and store of a logConfig; ('', '') when they are to be made by the cloud."""
    value = field.get("logConfig")
    if value is None:
        return "", ""
    if not value.is_mapping():
        project.unsupported.append(f"{'LogConfig' if capital else 'logConfig'}: {value.text()} of {what}")
        return "", ""
    names = [value.get(key) for key in ("project", "logstore")]
    log_project, log_store = (name.text() if name is not None else "" for name in names)
    return log_project, log_store


def internet_access(field: Field) -> bool:
    """`internetAccess` of a service, or of a function of FC 3."""
    value = field.get("internetAccess")
    return value is None or value.boolean()


def read_function(field: Field, service: str, name: str, project: Project, *, capital: bool) -> Declaration:
    """One function from its properties."""
    what = f"function {service}/{name}"
    project.warnings.extend(field.unknown(FUNCTION))
    note_later(field, _FUNCTION_LATER, what, project, capital=capital)
    runtime = field.need("runtime").text()
    custom = runtime.startswith("custom")
    handler = field.get("handler") if custom else field.need("handler")
    handler_text = handler.text() if handler is not None else ""
    if handler is not None and runtime.startswith("python") and not all(handler_text.rpartition(".")):
        raise handler.error(f"'{handler_text}'", "<module>.<function>, as in index.handler")
    if (asynchronous := _asynchronous(field, service, name)) is not None:
        project.configs.append(asynchronous)
    initializer = _initializer(field)
    limits = _limits(field)
    function = Function(
        service=service,
        name=name,
        runtime=runtime,
        handler=handler_text,
        initializer=initializer,
        pre_freeze=_hook(field, "preFreeze"),
        pre_stop=_hook(field, "preStop"),
        description=_text(field, "description"),
        environment_variables=_variables(field),
        limits=limits,
        program=_program(field),
        internet_access=internet_access(field),
        layers=tuple(_layers(field)),
    )
    return Declaration(function=function, code=_code(field, what, project), where=field.where)


def _text(field: Field, name: str) -> str:
    value = field.get(name)
    return value.text() if value is not None else ""


def _initializer(field: Field) -> str:
    """`initializer`, or FC 3's `instanceLifecycleConfig.initializer.handler`."""
    hooks = field.get("instanceLifecycleConfig")
    hook = hooks.get("initializer") if hooks is not None and hooks.is_mapping() else None
    if hook is not None and hook.is_mapping():
        return _text(hook, "handler")
    return _text(field, "initializer")


def _hook(field: Field, name: str) -> Hook:
    """`instanceLifecycleConfig.preFreeze` or `.preStop`."""
    hooks = field.get("instanceLifecycleConfig")
    hook = hooks.get(name) if hooks is not None and hooks.is_mapping() else None
    if hook is None or not hook.is_mapping():
        return Hook()
    timeout = hook.get("timeout")
    return Hook(
        handler=_text(hook, "handler"), timeout=timeout.integer(1, 90) if timeout is not None else Hook().timeout
    )


def _program(field: Field) -> Program:
    """`customRuntimeConfig` (with `port` and `healthCheckConfig` in FC 3), `caPort`, `customHealthCheckConfig`."""
    config = field.get("customRuntimeConfig")
    config = config if config is not None and config.is_mapping() else None
    command = [*_words(config, "command"), *_words(config, "args")]
    port = (config.get("port") if config is not None else None) or field.get("caPort") or field.get("cAPort")
    health = config.get("healthCheckConfig") if config is not None else None
    health = health or field.get("customHealthCheckConfig")
    return Program(
        command=tuple(command),
        port=port.integer(1, 65535) if port is not None and not port.is_null() else Program().port,
        health=_health(health) if health is not None and health.is_mapping() else {},
    )


def _asynchronous(field: Field, service: str, name: str) -> Config | None:
    """`asyncConfiguration` (Funcraft, `s` for FC 2) or `asyncInvokeConfig` (FC 3), in the words of FC's API."""
    value = field.get("asyncConfiguration") or field.get("asyncInvokeConfig")
    if value is None:
        return None
    document: dict[str, Any] = {}
    for key, (lowest, highest) in {"maxAsyncRetryAttempts": (0, 8), "maxAsyncEventAgeInSeconds": (1, 2592000)}.items():
        number = value.get(key)
        if number is not None:
            document[key] = number.integer(lowest, highest)
    for key in ("statefulInvocation", "asyncTask"):
        flag = value.get(key)
        if flag is not None:
            document["statefulInvocation"] = flag.boolean()
    destinations = value.get("destination") or value.get("destinationConfig")
    for key in ("onSuccess", "onFailure"):
        one = destinations.get(key) if destinations is not None else None
        if one is not None:
            arn = one.need("destination").text() if one.is_mapping() else one.text()
            document.setdefault("destinationConfig", {})[key] = {"destination": arn}
    qualifier = value.get("qualifier")
    return Config(
        kind=ASYNC,
        service=service,
        function=name,
        qualifier=qualifier.text() if qualifier is not None else LATEST,
        document=document,
    )


def _layers(field: Field) -> list[str]:
    """ARNs of layer versions."""
    value = field.get("layers")
    return [each.text() for each in value.elements()] if value is not None else []


def read_route(path: Field, text: str, values: Field, own: tuple[str, str] | None = None) -> Route:
    """One route of a domain: `text` is its path, `values` names the function, which is `own` if it names none."""
    if not text.startswith("/") or "*" in text.removesuffix("/*").removesuffix("*"):
        raise path.error(f"the route '{text}'", "a path that begins with / and has * only as its end, like /api/*")
    service, qualifier, methods = values.get("serviceName"), values.get("qualifier"), values.get("methods")
    rewrite = _rewriting(values.get("rewriteConfig"))
    function = values.get("functionName") if own is not None else values.need("functionName")
    names = own or (DEFAULT_SERVICE, "")
    return Route(
        path=text,
        service=check_name(service, "service") if service is not None else names[0],
        function=check_name(function, "function") if function is not None else names[1],
        qualifier=numbered(qualifier.text()) if qualifier is not None else "",
        methods=tuple(each.choice(METHODS) for each in methods.elements()) if methods is not None else (),
        rewrite=rewrite,
    )


def read_protocol(field: Field | None) -> str:
    """`protocol` of a domain."""
    return field.choice(PROTOCOLS) if field is not None else PROTOCOLS[0]


def _rewriting(field: Field | None) -> Mapping[str, Any]:
    """FC's rewriteConfig, after it has been looked at."""
    if field is None:
        return {}
    rules = field.plain() if field.is_mapping() else {"equalRules": field.plain()}
    try:
        check_rewriting(rules)
    except InvalidArgument as error:
        raise ProjectError(where=field.where, message=str(error)) from None
    return rules


def _words(config: Field | None, name: str) -> list[str]:
    value = config.get(name) if config is not None else None
    return [each.text() for each in value.elements()] if value is not None and not value.is_null() else []


def _health(field: Field) -> dict[str, int | str]:
    """FC's customHealthCheckConfig with its ranges and defaults (function API)."""
    ranges = {
        "initialDelaySeconds": (0, 120, 0), "periodSeconds": (1, 120, 3), "timeoutSeconds": (1, 3, 1),
        "failureThreshold": (1, 120, 3), "successThreshold": (1, 120, 1),
    }  # fmt: skip
    found: dict[str, int | str] = {"httpGetUrl": field.need("httpGetUrl").text()}
    for name, (lowest, highest, default) in ranges.items():
        value = field.get(name)
        found[name] = value.integer(lowest, highest) if value is not None else default
    return found


def _limits(field: Field) -> Limits:
    defaults = Limits()

    def number(name: str, default: int, lowest: int, highest: int, step: int = 1) -> int:
        value = field.get(name)
        return default if value is None else value.integer(lowest, highest, step)

    disk = field.get("diskSize")
    return Limits(
        memory_size=number("memorySize", defaults.memory_size, 128, 32768, 64),
        timeout=number("timeout", defaults.timeout, 1, 86400),
        initialization_timeout=number("initializationTimeout", defaults.initialization_timeout, 1, 300),
        instance_concurrency=number("instanceConcurrency", defaults.instance_concurrency, 1, 200),
        disk_size=int(disk.choice(("512", "10240"))) if disk is not None else defaults.disk_size,
    )


def _variables(field: Field) -> dict[str, str]:
    value = field.get("environmentVariables")
    if value is None:
        return {}
    variables = {}
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name) or _is_reserved(name):
            raise text.error("a name that FC does not allow", "a letter, then letters, digits and _, and not FC_*")
        variables[name] = "" if text.is_null() else text.text()
    size = sum(len(name.encode()) + len(text.encode()) for name, text in variables.items())
    if size > _VARIABLES_SIZE:
        raise value.error(f"{size} bytes long", f"at most {_VARIABLES_SIZE} bytes, names and values together")
    return variables


def _is_reserved(name: str) -> bool:
    """Whether FC sets this variable itself; FC_EXTENSION_* are for its extensions, and the function's to set."""
    return (name.startswith("FC_") and not name.startswith("FC_EXTENSION_")) or name in _RESERVED


def _code(field: Field, what: str, project: Project) -> Path | None:
    value = field.get("codeUri") or field.get("code")
    if value is not None and value.is_mapping():
        value = value.get("src")
    if value is None:
        is_elsewhere = field.get("ossBucket") is not None or field.get("ossBucketName") is not None
        return None if is_elsewhere else Path(os.path.realpath(field.file.parent))
    text = value.text()
    if text.startswith("oss://"):
        project.unsupported.append(f"code at {text} of {what}")
        return None
    try:
        path = project.boundary.check(field.file.parent / text)
    except InvalidArgument as error:
        raise ProjectError(where=value.where, message=str(error)) from error
    runtime = field.need("runtime").text()
    if not is_there(path) and runtime.startswith(_SERVED):
        raise value.error(f"'{text}'", f"an existing file, folder or zip ({path} does not exist)")
    return path


def http_trigger(field: Field, function: tuple[str, str], name: str, config: Field, *, convention: str) -> Trigger:
    """An HTTP trigger from its configuration. `convention`: `handler`, or `event` for FC 3's functions."""
    auth = config.get("authType")
    methods = config.get("methods")
    found = ["GET", "POST", "PUT", "DELETE", "HEAD"]
    if methods is not None:
        found = [method.choice(METHODS) for method in methods.elements()]
    return Trigger(
        service=function[0],
        function=function[1],
        name=check_name(field, "trigger", name),
        type="http",
        config={
            "authType": auth.choice(("anonymous", "function")) if auth is not None else "anonymous",
            "methods": found,
            "convention": convention,
        },
    )
