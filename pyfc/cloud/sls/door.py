"""The log service's door: an ASGI application that finds out who asks for what, lets the operation do it, and answers
as SLS does.
"""

from __future__ import annotations

import contextlib
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
from pyfc.cloud.request import body_of, head_of
from pyfc.cloud.sls import administration, consumers, queries, shards, tracking
from pyfc.cloud.sls.asked import Answer, Asked, Environment
from pyfc.cloud.sls.compression import MOST
from pyfc.cloud.sls.faults import Fault, internal
from pyfc.cloud.sls.request import Sent, decoded, is_host, is_meant
from pyfc.cloud.sls.signature import check_body, verify

_log = logging.getLogger(__name__)
_MOST_PUBLIC = 3 * 1024 * 1024
"""Bytes of a body that nobody has signed."""
_UNSAID = "undefined"
"""What aliyun-sdk of npm has the host name when it makes a project, which then only the body names."""


class Operation(NamedTuple):
    """An operation of SLS."""

    method: str
    path: re.Pattern[str]
    run: Callable[[Asked], Awaitable[Answer]]
    action: str
    """What RAM calls the permission."""
    is_of_project: bool = True
    parameter: str = ""
    """What the query must have."""
    is_public: bool = False
    """Whether it needs no signature."""


def _operation(
    request: str,
    run: Callable[[Asked], Awaitable[Answer]],
    action: str,
    *,
    is_of_project: bool = True,
    parameter: str = "",
    is_public: bool = False,
) -> Operation:
    method, _, path = request.partition(" ")
    pattern = re.compile(path.replace("{}", "([^/]+)"))
    return Operation(method, pattern, run, f"log:{action}", is_of_project, parameter, is_public)


_OPERATIONS: Sequence[Operation] = (
    _operation("POST /logstores/{}/shards/(?:lb|route)", shards.put_logs, "PostLogStoreLogs"),
    _operation("POST /logstores/{}", shards.put_logs, "PostLogStoreLogs"),
    _operation("GET /logstores/{}/track", tracking.track, "PutWebtracking", is_public=True),
    _operation("POST /logstores/{}/track", tracking.track, "PutWebtracking", is_public=True),
    _operation("OPTIONS /logstores/{}/track", tracking.preflight, "PutWebtracking", is_public=True),
    _operation("GET /logstores/{}/consumergroups", consumers.list_groups, "ListConsumerGroup"),
    _operation("POST /logstores/{}/consumergroups", consumers.create_group, "CreateConsumerGroup"),
    _operation("GET /logstores/{}/consumergroups/{}", consumers.checkpoints, "GetConsumerGroupCheckPoint"),
    _operation("PUT /logstores/{}/consumergroups/{}", consumers.update_group, "UpdateConsumerGroup"),
    _operation("POST /logstores/{}/consumergroups/{}", consumers.change_group, "ConsumerGroupUpdateCheckPoint"),
    _operation("DELETE /logstores/{}/consumergroups/{}", consumers.delete_group, "DeleteConsumerGroup"),
    _operation("GET /logstores/{}/shards/{}", shards.read_shard, "GetCursorOrData"),
    _operation("GET /logstores/{}/shards", shards.list_shards, "ListShards"),
    _operation("GET /logstores/{}/index", queries.read_logstore, "GetLogStoreLogs", parameter="type"),
    _operation("GET /logstores/{}/index", administration.get_index, "GetIndex"),
    _operation("POST /logstores/{}/index", administration.create_index, "CreateIndex"),
    _operation("PUT /logstores/{}/index", administration.update_index, "UpdateIndex"),
    _operation("DELETE /logstores/{}/index", administration.delete_index, "DeleteIndex"),
    _operation("POST /logstores/{}/logs", queries.get_logs, "GetLogStoreLogs"),
    _operation("GET /logstores/{}", queries.read_logstore, "GetLogStoreLogs", parameter="type"),
    _operation("GET /logstores/{}", administration.get_logstore, "GetLogStore"),
    _operation("PUT /logstores/{}", administration.update_logstore, "UpdateLogStore"),
    _operation("DELETE /logstores/{}", administration.delete_logstore, "DeleteLogStore"),
    _operation("GET /logstores", administration.list_logstores, "ListLogStores"),
    _operation("POST /logstores", administration.create_logstore, "CreateLogStore"),
    _operation("POST /", administration.create_project, "CreateProject", is_of_project=False),
    _operation("GET /", administration.get_project, "GetProject"),
    _operation("PUT /", administration.update_project, "UpdateProject"),
    _operation("DELETE /", administration.delete_project, "DeleteProject"),
    _operation("GET /", administration.list_projects, "ListProject", is_of_project=False),
)


class Door:
    """The log service as an ASGI application."""

    def __init__(self, environment: Environment, find: Find, permissions: Permissions, *, is_open: bool) -> None:
        """`find`: a key by its id. `is_open`: whether nobody has to sign."""
        self._environment = environment
        self._find = find
        self._permissions = permissions
        self.is_open = is_open

    def takes(self, _: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request is for the log service."""
        return is_meant(host, headers)

    def names(self, host: str) -> bool:
        """Whether a host is one of the log service's own."""
        return is_host(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = secrets.token_hex(12).upper()
        try:
            found = await self._answer(_sent(scope), Request(scope, receive).stream())
        except Fault as fault:
            found = Answer(fault.status, body=fault.body)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("the log service could not answer %s %r", scope["method"], scope["path"][:500])
            found = Answer(500, body=internal().body)
        await _send(found, request_id, send)

    async def _answer(self, sent: Sent, chunks: AsyncIterator[bytes]) -> Answer:
        """Nothing of a body is kept before the signature of its head is right."""
        operation, names = _found(sent)
        key = None if operation.is_public else self._signer(sent)
        project = self._project(operation, sent)
        if key is not None and not self.is_open:
            self._check(key, operation, project, names)
        sent = sent._replace(body=await _body(chunks, _MOST_PUBLIC if operation.is_public else MOST))
        if key is not None and not self.is_open:
            check_body(sent)
        depth = self._environment.led_by(key) if key is not None else 0
        return await operation.run(Asked(self._environment, sent, project, names, depth))

    def _signer(self, sent: Sent) -> Key | None:
        """Whose key has signed the head of a request. Raises Fault where somebody has to."""
        if not self.is_open:
            return verify(self._find, sent, time.time())
        with contextlib.suppress(Fault):  # nobody has to sign; who does is known
            return verify(self._find, sent, time.time())
        return None

    def _project(self, operation: Operation, sent: Sent) -> str:
        """The project that is meant; of a client that has a plain address and does not say which: the only one."""
        if sent.project:
            return "" if sent.project == _UNSAID and not operation.is_of_project else sent.project
        projects: Mapping[str, object] = self._environment.store.projects
        if sent.path == "/" or is_host(sent.host.partition(":")[0]):
            return ""
        if len(projects) != 1:
            raise Fault(
                "ProjectNotSpecified", f"The request's host names no project, and there are {len(projects)}: use a "
                "host like PROJECT.REGION.log.aliyuncs.com, by http_proxy",
            )  # fmt: skip
        return next(iter(projects))

    def _check(self, key: Key, operation: Operation, project: str, names: Sequence[str]) -> None:
        """Raises Fault Unauthorized for who may not do this."""
        logstore = f"/logstore/{names[0]}" if names else ""
        where = self._environment
        resource = f"acs:log:{where.region}:{where.account}:project/{project}{logstore}"
        if not self._permissions.allows(key, operation.action, resource):
            raise Fault("Unauthorized", self._permissions.refusal(key, operation.action, resource))


def _found(sent: Sent) -> tuple[Operation, tuple[str, ...]]:
    """The operation that is meant, and what the path names. Raises Fault for what SLS or pyfc does not have."""
    for each in _OPERATIONS:
        is_it = each.method == sent.method and (not each.parameter or each.parameter in sent.query)
        match = each.path.fullmatch(sent.path) if is_it else None
        if match is not None and (sent.project or sent.path != "/" or not each.is_of_project):
            return each, match.groups()
    raise Fault("NotSupported", f"pyfc's log service does not have {sent.method} {sent.path[:200]}.")


def _sent(scope: Scope) -> Sent:
    """The head of a request."""
    method, host, path, query, headers = head_of(scope, "replace")
    return Sent(method, host, decoded(path), query, headers)


async def _body(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """Raises Fault for one that is too large."""
    found = await body_of(chunks, most)
    if found is None:
        raise Fault("PostBodyTooLarge", f"The body has more than {most} bytes.")
    return found


async def _send(found: Answer, request_id: str, send: Send) -> None:
    kind = {"Content-Type": found.type} if found.body else {}  # clients read what is called JSON, also when it is empty
    headers = {
        "Server": "AliyunSLS", "x-log-requestid": request_id, "x-log-time": str(int(time.time())),
        **kind, **found.headers, "Content-Length": str(len(found.body)),
    }  # fmt: skip
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": found.status, "headers": pairs})
    await send({"type": "http.response.body", "body": found.body})
