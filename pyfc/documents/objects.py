"""FC's JSON objects become what is kept (pyfc/model) and the other way round; also what shapes cannot say, since it
takes several properties together. Triggers are in declared_triggers.py, what is said of a function beside it is in
configurations.py. Everything here raises WrongProperty with the place of what is wrong.

What pyfc keeps without honouring it (`extras`) is returned as it was given.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import msgspec

from pyfc.documents import shapes, values
from pyfc.documents.affinity import affinity_of
from pyfc.documents.declared_triggers import check_tokens
from pyfc.documents.reader import (
    Document,
    Place,
    WrongProperty,
    absent,
    names,
    typed,
    wrong,
)
from pyfc.errors import InvalidArgument
from pyfc.model.function import (
    Function,
    Hook,
    Limits,
    Program,
    Service,
)
from pyfc.model.names import numbered
from pyfc.model.resources import Alias, Domain, Route
from pyfc.model.rewriting import check as check_rewriting

_VARIABLES_SIZE = 4096
"""Bytes of all environment variables of a function."""
_USUAL: Document = {
    "role": "", "vpcConfig": {"vpcId": "", "vSwitchIds": [], "securityGroupId": ""},
    "nasConfig": {"userId": -1, "groupId": -1, "mountPoints": []},
}  # fmt: skip
"""What a service is told to have that was declared without them."""
INSTANCE_TYPE = "e1"
"""That of functions that declare none."""
RESOURCE_GROUP = "default"
"""The one group that everything belongs to."""
_USUAL_OF_FUNCTION: Document = {"instanceType": INSTANCE_TYPE, "role": "", "resourceGroupId": RESOURCE_GROUP}
"""What functions are told to have that declare nothing else."""
_USUAL_OF_DOMAIN: Document = {"wafConfig": {"enableWAF": False}}
"""What domains are told to have by the newer API."""


def _kept(document: Document, shape: type[shapes.Shape], usual: Document) -> Document:
    """What changes nothing here, but for what is told anyway: a client may send back what it was told."""
    found = {name: document[name] for name in names(shape) if name in document}
    return {name: value for name, value in found.items() if name not in usual or value != usual[name]}


def service_of(document: Document, old: Service | None = None) -> Service:
    """The service that `document` describes, or makes of `old`."""
    before = service_fields(old) if old is not None else {}
    document, said = typed({**before, **document}, shapes.Service)
    logs = said.log_config or shapes.LogConfig()
    usual = {**_USUAL, "tracingConfig": {}, "logConfig": _logs(logs.project, logs.logstore)}
    return Service(
        name=old.name if old is not None else said.service_name,
        description=said.description,
        log_project=logs.project,
        log_store=logs.logstore,
        internet_access=said.internet_access,
        extras=_kept(document, shapes.KeptOfService, usual),
        tags=dict(old.tags) if old is not None else {},
        policies=old.policies if old is not None else (),
    )


def service_fields(service: Service) -> Document:
    """What of a service can be set."""
    return {
        "serviceName": service.name,
        "description": service.description,
        "internetAccess": service.internet_access,
        "logConfig": _logs(service.log_project, service.log_store),
        **_USUAL,
        **service.extras,
    }


def _logs(project: str, store: str) -> Document:
    return {"project": project, "logstore": store}


def function_of(service: str, document: Document, old: Function | None = None) -> Function:
    """The function that `document` describes, or makes of `old`; its code and layers' folder are `old`'s."""
    document, said = typed(_completed(document, old) if old is not None else document, shapes.NewerFunction)
    hooks = said.instance_lifecycle_config or shapes.Lifecycle()
    first = hooks.initializer
    _check_commands(hooks, said)
    handler, command = _first(first, said.initializer)
    read = Function(
        service=service,
        name=old.name if old is not None else said.function_name,
        runtime=said.runtime,
        handler=_handler(said),
        initializer=handler,
        initializer_command=command,
        pre_freeze=_hook(hooks.pre_freeze),
        pre_stop=_hook(hooks.pre_stop),
        description=said.description,
        environment_variables=_variables(said),
        limits=_limits(said, first),
        program=_program(said),
        internet_access=said.internet_access,
        layers=tuple(each if isinstance(each, str) else each.arn for each in said.layers),
        extras=_kept(document, shapes.KeptOfFunction, _USUAL_OF_FUNCTION),
        affinity=affinity_of(said),
    )
    if old is None:
        return read
    kept = (
        "code", "opt", "tags", "snapshot", "profile", "provision", "maximum_instance_count", "is_disabled",
        "why_disabled", "is_declared", "policies", "left_out",
    )  # fmt: skip
    return replace(read, **{name: getattr(old, name) for name in kept})


def _completed(document: Document, old: Function) -> Document:
    """With what is not to change; clients send '' as a runtime that they do not mean."""
    return {**function_fields(old), **document, "runtime": document.get("runtime") or old.runtime}


def _handler(said: shapes.AnyFunction) -> str:
    if not said.handler and not said.runtime.startswith("custom"):
        raise absent((), "handler")
    if said.handler and said.runtime.startswith("python") and not all(said.handler.rpartition(".")):
        raise wrong(("handler",), f"'{said.handler}'", "<module>.<function>, as in index.handler")
    return said.handler


def _limits(said: shapes.AnyFunction, first: shapes.Initializer | None) -> Limits:
    own = first.timeout if first is not None else 0
    return Limits(
        memory_size=said.memory_size,
        timeout=said.timeout,
        initialization_timeout=own or said.initialization_timeout,
        instance_concurrency=said.instance_concurrency,
        disk_size=said.disk_size,
    )


def _hook(said: shapes.Hook | None) -> Hook:
    if said is None:
        return Hook()
    return Hook(handler=said.handler, timeout=said.timeout, command=tuple(said.command))


def _first(said: shapes.Initializer | None, usual: str) -> tuple[str, tuple[str, ...]]:
    """Handler and command of the initializer. `usual`: the property of the older APIs."""
    return (usual, ()) if said is None else (said.handler, tuple(said.command))


def _check_commands(hooks: shapes.Lifecycle, said: shapes.AnyFunction) -> None:
    every = {"initializer": hooks.initializer, "preFreeze": hooks.pre_freeze, "preStop": hooks.pre_stop}
    for name, hook in every.items():
        if hook is not None and hook.command:
            _check_command(hook, ("instanceLifecycleConfig", name, "command"), said)


def _check_command(hook: shapes.Hook, place: Place, said: shapes.AnyFunction) -> None:
    """A hook is a handler or a command (FC: both are an error), and there is somebody to run that."""
    if hook.handler:
        raise wrong(
            place, f"'{hook.command[0]}'", f"left out, for there is a handler, '{hook.handler}': one of them runs"
        )
    if not said.runtime.startswith("custom"):
        raise wrong(place, f"'{hook.command[0]}'", f"left out: hooks of {said.runtime} are handlers")


def _program(said: shapes.AnyFunction) -> Program:
    """`customRuntimeConfig` (with `port` and `healthCheckConfig` in FC 3), `caPort`, `customHealthCheckConfig`."""
    config = said.custom_runtime_config or shapes.CustomRuntime()
    health = config.health_check_config or said.custom_health_check_config
    return Program(
        command=(*config.command, *config.args),
        argument_count=len(config.args),
        port=config.port or said.ca_port,
        health=msgspec.to_builtins(health) if health is not None else {},
    )


def _variables(said: shapes.AnyFunction) -> dict[str, str]:
    found = {name: text_of(value) for name, value in said.environment_variables.items()}
    size = sum(len(name.encode()) + len(text.encode()) for name, text in found.items())
    if size > _VARIABLES_SIZE:
        most = f"at most {_VARIABLES_SIZE} bytes, names and values together"
        raise wrong(("environmentVariables",), f"{size} bytes long", most)
    return found


def text_of(value: values.Scalar | None) -> str:
    """A value as environment variables and tags have it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def function_fields(function: Function) -> Document:
    """What of a function can be set."""
    limits = function.limits
    hooks: Document = {}
    for name, hook in (("preFreeze", function.pre_freeze), ("preStop", function.pre_stop)):
        hooks[name] = {"handler": hook.handler, "timeout": hook.timeout}
        if hook.command:
            hooks[name]["command"] = list(hook.command)
    if function.initializer_command:
        command = list(function.initializer_command)
        hooks["initializer"] = {"command": command, "timeout": limits.initialization_timeout}
    document: Document = {
        "functionName": function.name,
        "description": function.description,
        "runtime": function.runtime,
        "handler": function.handler,
        "initializer": function.initializer,
        "timeout": limits.timeout,
        "initializationTimeout": limits.initialization_timeout,
        "memorySize": limits.memory_size,
        "instanceConcurrency": limits.instance_concurrency,
        "diskSize": limits.disk_size,
        "environmentVariables": dict(function.environment_variables),
        "layers": list(function.layers),
        "instanceLifecycleConfig": hooks,
        "internetAccess": function.internet_access,
        **function.extras,
    }
    if function.runtime.startswith("custom"):
        document["caPort"] = function.program.port
        words = function.program.command
        end = len(words) - function.program.argument_count
        document["customRuntimeConfig"] = {"command": list(words[:end]), "args": list(words[end:])}
        if function.program.health:
            document["customHealthCheckConfig"] = dict(function.program.health)
    return document


def alias_of(service: str, scope: str, document: Document, old: Alias | None = None) -> Alias:
    """The alias that `document` describes, or makes of `old`; FC's older tools send an empty version for none."""
    before = alias_fields(old) if old is not None else {}
    document, said = typed({**before, **document}, shapes.Alias)
    return Alias(
        service=service,
        scope=scope,
        name=old.name if old is not None else said.alias_name,
        version_id=str(said.version_id) or (old.version_id if old is not None else ""),
        description=said.description,
        additional_version_weight=said.additional_version_weight,
        resolve_policy=said.resolve_policy,
        route_policy=document.get("routePolicy") or {},
    )


def alias_fields(alias: Alias) -> Document:
    """What of an alias can be set."""
    document: Document = {
        "aliasName": alias.name,
        "versionId": alias.version_id,
        "description": alias.description,
        "additionalVersionWeight": dict(alias.additional_version_weight) or None,
        "resolvePolicy": alias.resolve_policy,
    }
    if alias.route_policy:
        document["routePolicy"] = dict(alias.route_policy)
    return document


def domain_of(document: Document, old: Domain | None = None, *, service: str = "") -> Domain:
    """The domain that `document` describes, or makes of `old`. `service`: of routes that name none."""
    before = {"domainName": old.name, "protocol": old.protocol, **old.extras} if old is not None else {}
    document, said = typed({**before, **document}, shapes.Domain)
    if "certConfig" in document and "certConfig" in before:
        document["certConfig"] = _with_key(document["certConfig"], before["certConfig"])
    _check_auth(said, document)
    name = old.name if old is not None else said.domain_name.lower()
    routes = old.routes if old is not None else ()
    if said.route_config is not None:
        places = (("routeConfig", "routes", number) for number in range(len(said.route_config.routes)))
        routes = tuple(map(_route, said.route_config.routes, repeat(service), places))
    return Domain(
        name=name,
        protocol=said.protocol,
        routes=routes,
        spelling=old.spelling if old is not None else "" if said.domain_name == name else said.domain_name,
        extras=_kept(document, shapes.KeptOfDomain, _USUAL_OF_DOMAIN),
    )


def _check_auth(said: shapes.Domain, document: Document) -> None:
    if said.auth_config is not None and said.auth_config.auth_type == "jwt":
        check_tokens(document["authConfig"], ("authConfig",), "authInfo")


def _with_key(new: Document, old: Document) -> Document:
    """A certificate with its private key, which is told to nobody: it stays while the certificate does."""
    is_same = new.get("certificate") == old.get("certificate") and "privateKey" in old
    return {"privateKey": old["privateKey"], **new} if is_same else new


def domain_fields(domain: Domain) -> Document:
    """What of a domain can be set."""
    routes = [
        {
            "path": route.path,
            "serviceName": route.service,
            "functionName": route.function,
            "qualifier": route.qualifier or None,
            "methods": list(route.methods),
            "rewriteConfig": dict(route.rewrite),
        }
        for route in domain.routes
    ]
    return {"domainName": domain.name, "protocol": domain.protocol, "routeConfig": {"routes": routes}, **domain.extras}


def route_of(document: Document, service: str) -> Route:
    """One route of a domain, to a function of `service` if it names none."""
    return _route(typed(document, shapes.Route)[1], service, ())


def _route(said: shapes.Route, service: str, place: Place) -> Route:
    rewrite = said.rewrite_config
    return Route(
        path=said.path,
        service=said.service_name or service,
        function=said.function_name,
        qualifier=numbered(said.qualifier),
        methods=tuple(said.methods),
        rewrite=_rewriting(rewrite, (*place, "rewriteConfig")) if rewrite is not None else {},
    )


def _rewriting(said: shapes.RewriteConfig, place: Place) -> Document:
    rules = {kind: listed for kind, listed in msgspec.to_builtins(said).items() if listed}
    try:
        check_rewriting(rules)
    except InvalidArgument as error:
        raise WrongProperty(place, f"can not be followed: {error}") from None
    return rules
