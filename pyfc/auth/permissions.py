"""Who may do what: the one place that every door asks. The operator's keys may do everything; what the credentials of
a function may do is what its policies say, or those of its service (model/permissions.py says what counts without).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pyfc.auth.keys import Key
from pyfc.auth.policies import full_access, judged, statements_of
from pyfc.errors import AccessDenied
from pyfc.model.function import Function, Service
from pyfc.model.names import Target
from pyfc.model.permissions import ALL, OWN, Statement
from pyfc.model.trigger import Trigger

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,254}")
"""Of a bucket, log project, queue or topic."""
_SEPARATORS = re.compile(r"[\s,;]+")
_CLOUD = ".aliyuncs.com"
_ANYTHING = Statement(actions=("*",), resources=("*",))
_CALLING = Statement(actions=("fc:InvokeFunction",), resources=("*",))


class Subject(NamedTuple):
    """A function, as far as it decides what its credentials may do."""

    service: Service | None
    """None if there is none by its name."""
    function: Function
    triggers: tuple[Trigger, ...]


Find = Callable[[Target], Subject | None]


class _Known(NamedTuple):
    """What a function may do, worked out."""

    subject: Subject
    statements: tuple[Statement, ...]


class Permissions:
    """What the keys of one server may do."""

    def __init__(self, find: Find) -> None:
        """`find`: the function that credentials are of; None when it is gone."""
        self._find = find
        self._known: dict[Target, _Known] = {}

    def allows(self, caller: Key, action: str, resource: str, *others: str) -> bool:
        """Whether `caller` may do `action` (like oss:PutObject) with `resource` (like acs:oss:*:*:photos/a.png).
        `others`: names that it has besides: one that is allowed is enough, one that is denied too much.
        """
        return caller.may_manage or self._judged(caller, action, (resource, *others)) is True

    def check(self, caller: Key, action: str, resource: str, *others: str) -> None:
        """Raises AccessDenied where `allows` says no."""
        if not self.allows(caller, action, resource, *others):
            raise AccessDenied(message=self.refusal(caller, action, resource, *others))

    def reaches_out(self, caller: Key) -> bool:
        """Whether addresses that it names may be asked for it: not for functions without internetAccess."""
        subject = self._find(caller.function) if caller.function is not None else None
        if subject is None:
            return caller.may_manage
        service, function, _ = subject
        return function.internet_access and (service is None or service.internet_access)

    def refusal(self, caller: Key, action: str, resource: str, *others: str) -> str:
        """Why an action is not allowed, and what would allow it."""
        target = caller.function
        if target is None:
            return f"these credentials may not do {action} on {resource}"
        name = f"function '{target.function}' of service '{target.service}'"
        if self._judged(caller, action, (resource, *others)) is False:
            return (
                f"{name} may not do {action} on {resource}: a statement with Effect Deny in its policies says so; "
                "`permissions: all` in pyfc.yml opens everything"
            )
        statement = json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})
        choice = " or ".join(filter(None, [full_access(action), f"the statement {statement}"]))
        return (
            f"{name} may not do {action} on {resource}: add {choice} to `permissions` in pyfc.yml, where "
            "`permissions: all` allows everything, or to the Policies of its service, which are then all that it may do"
        )

    def _judged(self, caller: Key, action: str, resources: Iterable[str]) -> bool | None:
        if caller.function is None:
            return None
        statements = self._statements(caller.function)
        found = {judged(statements, action, resource) for resource in resources}
        return None if found == {None} else False not in found

    def _statements(self, target: Target) -> tuple[Statement, ...]:
        subject = self._find(target)
        if subject is None:
            self._known.pop(target, None)
            return ()
        known = self._known.get(target)
        if known is None or not _is_same(known.subject, subject):
            known = self._known[target] = _Known(subject, _statements(subject))
        return known.statements


def _is_same(one: Subject, other: Subject) -> bool:
    return all(mine is yours for mine, yours in zip(one, other, strict=True))


def _statements(subject: Subject) -> tuple[Statement, ...]:
    service, function, _ = subject
    policies = function.policies or (service.policies if service is not None else ()) or (OWN,)
    if ALL in policies:
        return (_ANYTHING,)
    own = _own(subject) if OWN in policies else []
    return (*own, *statements_of(policies))


def _own(subject: Subject) -> list[Statement]:
    """What the policy OWN says."""
    found = [_CALLING]
    for service, resource in dict.fromkeys(_resources(subject)):
        found.append(Statement(actions=(f"{service}:*",), resources=(resource, f"{resource}/*")))
    return found


def _resources(subject: Subject) -> Iterator[tuple[str, str]]:
    """What a function names: the service, and the resource as policies have it."""
    service, function, triggers = subject
    for trigger in triggers:
        if (arn := trigger.source_arn.split(":", 4))[4:]:
            yield arn[1], f"acs:{arn[1]}:*:*:{arn[4]}"
        yield from _of_trigger(trigger.config)
    for extras in (service.extras if service is not None else {}, function.extras):
        for mount in _list(_mapping(extras.get("ossMountConfig")).get("mountPoints")):
            yield from _buckets(_mapping(mount).get("bucketName"))
        yield from _projects(_mapping(extras.get("logConfig")).get("project"))
    if service is not None:
        yield from _projects(service.log_project)
    for value in function.environment_variables.values():
        for name in _names(value):
            yield from _buckets(name)
            yield from _projects(name)
            yield from _messages(name, "queues", "topics")


def _of_trigger(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _buckets(config.get("bucketName"))
    yield from _projects(_mapping(config.get("logConfig")).get("project"))
    yield from _messages(config.get("topicName"), "topics")
    event_source = _mapping(_mapping(config.get("eventSourceConfig")).get("eventSourceParameters"))
    yield from _messages(_mapping(event_source.get("sourceMNSParameters")).get("QueueName"), "queues")


def _buckets(name: Any) -> Iterator[tuple[str, str]]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        yield "oss", f"acs:oss:*:*:{name}"


def _projects(name: Any) -> Iterator[tuple[str, str]]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        yield "log", f"acs:log:*:*:project/{name}"


def _messages(name: Any, *kinds: str) -> Iterator[tuple[str, str]]:
    if isinstance(name, str) and _NAME.fullmatch(name):
        yield from (("mns", f"acs:mns:*:*:/{kind}/{name}") for kind in kinds)


def _names(value: str) -> Iterator[str]:
    """Names that an environment variable may mean: a value, one of several, the bucket of oss://BUCKET/KEY, the first
    label of a host of the cloud.
    """
    for part in _SEPARATORS.split(value):
        if "://" in part:
            yield from _of_address(part)
        elif _NAME.fullmatch(part):
            yield part
        elif part.partition("/")[0].endswith(_CLOUD):
            yield part.partition(".")[0]


def _of_address(text: str) -> Iterator[str]:
    try:
        host = urlsplit(text).hostname or ""
    except ValueError:
        return
    if text.startswith("oss://") or host.endswith(_CLOUD):
        yield host.partition(".")[0]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
