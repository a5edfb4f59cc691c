"""The message service's door: an ASGI application that finds out who asks for what, lets the operation do it, and
answers as MNS does.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from pyfc.auth.keys import Key
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Find
from pyfc.cloud.mns import administration, queue_operations, signing, topic_operations
from pyfc.cloud.mns.asked import Answer, Asked, Environment
from pyfc.cloud.mns.faults import Fault, internal
from pyfc.cloud.mns.model import NAMED
from pyfc.cloud.mns.request import Sent, is_host, is_meant, sent
from pyfc.cloud.mns.signature import check_body, verify
from pyfc.cloud.request import body_of
from pyfc.triggers.trail import Done, Trail

_log = logging.getLogger(__name__)
_MOST = 1024 * 1024
"""Bytes of a body: 64 KB of text, each character of which may be escaped, and what is around it."""
_PEM = "application/x-pem-file"


class Operation(NamedTuple):
    """An operation of MNS."""

    method: str
    path: re.Pattern[str]
    run: Callable[[Asked], Awaitable[Answer]]
    action: str
    """What RAM calls the permission."""
    parameter: str = ""
    """What the query must have, in lower case."""


def _operation(request: str, run: Callable[[Asked], Awaitable[Answer]], action: str, parameter: str = "") -> Operation:
    method, _, path = request.partition(" ")
    return Operation(method, re.compile(path.replace("{}", "([^/]+)")), run, f"mns:{action}", parameter)


_OPERATIONS: Sequence[Operation] = (
    _operation("POST /queues/{}/messages", queue_operations.send, "SendMessage"),
    _operation("GET /queues/{}/messages", queue_operations.receive, "PeekMessage", "peekonly"),
    _operation("GET /queues/{}/messages", queue_operations.receive, "ReceiveMessage"),
    _operation("DELETE /queues/{}/messages", queue_operations.delete, "DeleteMessage"),
    _operation("PUT /queues/{}/messages", queue_operations.change_visibility, "ChangeMessageVisibility"),
    _operation("GET /queues/{}", administration.get_queue, "GetQueueAttributes"),
    _operation("PUT /queues/{}", administration.create("queues"), "SetQueueAttributes", "metaoverride"),
    _operation("PUT /queues/{}", administration.create("queues"), "CreateQueue"),
    _operation("DELETE /queues/{}", administration.delete_queue, "DeleteQueue"),
    _operation("GET /queues", administration.list_all("queues"), "ListQueue"),
    _operation("POST /topics/{}/messages", topic_operations.publish, "PublishMessage"),
    _operation(
        "PUT /topics/{}/subscriptions/{}", topic_operations.subscribe, "SetSubscriptionAttributes", "metaoverride"
    ),
    _operation("PUT /topics/{}/subscriptions/{}", topic_operations.subscribe, "Subscribe"),
    _operation("GET /topics/{}/subscriptions/{}", topic_operations.get_subscription, "GetSubscriptionAttributes"),
    _operation("DELETE /topics/{}/subscriptions/{}", topic_operations.unsubscribe, "Unsubscribe"),
    _operation("GET /topics/{}/subscriptions", topic_operations.list_subscriptions, "ListSubscriptionByTopic"),
    _operation("GET /topics/{}", administration.get_topic, "GetTopicAttributes"),
    _operation("PUT /topics/{}", administration.create("topics"), "SetTopicAttributes", "metaoverride"),
    _operation("PUT /topics/{}", administration.create("topics"), "CreateTopic"),
    _operation("DELETE /topics/{}", administration.delete_topic, "DeleteTopic"),
    _operation("GET /topics", administration.list_all("topics"), "ListTopic"),
)


class Door:
    """The message service as an ASGI application."""

    def __init__(
        self,
        environment: Environment,
        find: Find,
        permissions: Permissions,
        trail: Trail,
        is_bucket: Callable[[str], bool],
        *,
        is_open: bool,
    ) -> None:
        """`find`: a key by its id. `trail`: what hears of changes. `is_bucket`: whether the object store has one of a
        name, whose paths are its own where nothing is signed. `is_open`: whether nobody has to sign.
        """
        self._trail = trail
        self._environment = environment
        self._find = find
        self._permissions = permissions
        self._is_bucket = is_bucket
        self.is_open = is_open

    def takes(self, scope: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is for the message service; one that nobody has signed is by its path."""
        if scope["path"] == signing.PATH or is_meant(host, headers):
            return True
        first = scope["path"][1:].partition("/")[0]
        return first in NAMED and b"authorization" not in headers and not self._is_bucket(first)

    def names(self, host: str) -> bool:
        """Whether a host is one of the message service's own."""
        return is_host(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id, head = secrets.token_hex(12).upper(), sent(scope)
        try:
            client = (scope.get("client") or ("",))[0]
            found = await self._answer(head, Request(scope, receive).stream(), receive, client)
        except Fault as fault:
            found = _refusal(fault, request_id, head)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("the message service could not answer %s %r", scope["method"], scope["path"][:500])
            found = _refusal(internal(), request_id, head)
        await _send(found, request_id, send)

    async def _answer(self, head: Sent, chunks: AsyncIterator[bytes], receive: Receive, client: str) -> Answer:
        """Nothing of a body is kept before the signature of its head is right."""
        if (head.method, head.path) == ("GET", signing.PATH):
            return Answer(200, await self._environment.signing.certificate(), {"Content-Type": _PEM})
        operation, names = _found(head)
        key = None if self.is_open else verify(self._find, head, time.time())
        if key is not None:
            self._check(key, operation, head)
        body = await body_of(chunks, _MOST)
        if body is None:
            raise Fault("InvalidArgument", f"The body has more than {_MOST} bytes.")
        whole = head._replace(body=body)
        check_body(whole)
        await self._environment.topics.ready()
        depth = 0 if key is None else self._environment.led_by(key)
        reaches_out = self.is_open if key is None else self._permissions.reaches_out(key)
        asked = Asked(self._environment, whole, names, receive, depth, reaches_out)
        is_told = self._trail.wants(operation.action)
        return await (self._told(operation, asked, key, client) if is_told else operation.run(asked))

    async def _told(self, operation: Operation, asked: Asked, key: Key | None, client: str) -> Answer:
        """Do it, and have the trail hear of that."""
        agent = asked.sent.headers.get("user-agent", "")
        done = Done(operation.action, _named(operation, asked.names), key, client, agent)
        try:
            found = await operation.run(asked)
        except Fault as fault:
            await self._trail.tell(done._replace(error=(fault.code, fault.message)))
            raise
        await self._trail.tell(done)
        return found

    def _check(self, key: Key, operation: Operation, head: Sent) -> None:
        """Raises Fault AccessDenied for who may not do this."""
        where = self._environment
        resource = f"acs:mns:{where.region}:{where.account}:{head.path}"
        if not self._permissions.allows(key, operation.action, resource):
            raise Fault("AccessDenied", self._permissions.refusal(key, operation.action, resource))


def _named(operation: Operation, names: Sequence[str]) -> Mapping[str, str]:
    """What an operation is about, by MNS's names."""
    first = "QueueName" if operation.path.pattern.startswith("/queues") else "TopicName"
    return dict(zip((first, "SubscriptionName"), names, strict=False))


def _found(head: Sent) -> tuple[Operation, tuple[str, ...]]:
    """The operation that is meant, and what the path names. Raises Fault for what MNS or pyfc does not have."""
    for each in _OPERATIONS:
        is_it = each.method == head.method and (not each.parameter or each.parameter in head.query)
        match = each.path.fullmatch(head.path) if is_it else None
        if match is not None:
            return each, match.groups()
    raise Fault("InvalidRequestURL", f"pyfc's message service does not have {head.method} {head.path[:200]}.")


def _refusal(fault: Fault, request_id: str, head: Sent) -> Answer:
    return Answer(fault.status, fault.body(request_id, f"http://{head.host}"))


async def _send(found: Answer, request_id: str, send: Send) -> None:
    headers = {
        "Server": "AliyunMQS", "x-mns-request-id": request_id, "x-mns-version": "2015-06-06", **found.headers,
        "Content-Length": str(len(found.body)),
    }  # fmt: skip
    if found.body:
        headers.setdefault("Content-Type", "text/xml;charset=utf-8")
    elif found.status == 204:
        del headers["Content-Length"]
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": found.status, "headers": pairs})
    await send({"type": "http.response.body", "body": found.body})
