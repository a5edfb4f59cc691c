"""CloudMonitor's door: an ASGI application that answers what its clients ask of metrics, signed in their ways (ACS3, or
signature 1.0 of RPC APIs).
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pyfc.auth import rpc
from pyfc.auth.keys import Key
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Signed, Verifier, check_body
from pyfc.cloud.cms.metric_list import Place, metric_list
from pyfc.cloud.request import body_of, query_of
from pyfc.errors import Internal, InvalidArgument, NotFound, PyfcError
from pyfc.model.names import request_id
from pyfc.observe.metrics.metrics import Metrics
from pyfc.settings import Settings

_log = logging.getLogger(__name__)
_MOST = 64 * 1024
"""Bytes of a body: a form."""
_ACTIONS = {"DescribeMetricList": False, "QueryMetricList": True}
"""Whether its names are the older ones."""
_HOST = re.compile(r"metrics\.([a-z0-9-]+\.)?aliyuncs\.com")
_FORM = "application/x-www-form-urlencoded"


class Door:
    """CloudMonitor as an ASGI application. A Door (cloud/interface.py)."""

    def __init__(self, metrics: Metrics, verifier: Verifier, permissions: Permissions, settings: Settings) -> None:
        self._metrics = metrics
        self._verifier = verifier
        self._permissions = permissions
        self._place = Place(settings.account_id, settings.region)
        self.is_open = settings.auth == "off"

    def takes(self, scope: Scope, host: str, headers: Mapping[bytes, bytes]) -> bool:
        """See Door: by the host, or by what is asked for at the server's root."""
        if self.names(host):
            return True
        if scope["path"] != "/":
            return False
        asked = headers.get(b"x-acs-action", b"").decode("latin-1")
        return asked in _ACTIONS or any(f"Action={each}".encode() in scope["query_string"] for each in _ACTIONS)

    def names(self, host: str) -> bool:
        """See Door."""
        return _HOST.fullmatch(host) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Door."""
        number = request_id().upper()
        try:
            answer = _response({"RequestId": number, **await self._answer(Request(scope, receive))})
        except PyfcError as error:
            answer = _refusal(error, number, scope)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("CloudMonitor could not answer %s %r", scope["method"], scope["path"][:500])
            answer = _refusal(Internal(detail="see the server's log"), number, scope)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> dict[str, Any]:
        body = await body_of(request.stream(), _MOST)
        if body is None:
            raise InvalidArgument(message=f"the body has more than {_MOST} bytes")
        parameters = query_of(request.scope["query_string"].decode("latin-1"), "replace")
        if request.headers.get("content-type", "").startswith(_FORM):
            parameters |= query_of(body.decode("latin-1"), "replace")
        action = request.headers.get("x-acs-action") or parameters.get("Action", "")
        if action not in _ACTIONS:
            raise NotFound(message=f"of CloudMonitor's operations there are {' and '.join(_ACTIONS)} here")
        key = None if self.is_open else self._key(request, parameters, body)
        if key is not None:
            self._permissions.check(key, f"cms:{action}", "acs:cms:*:*:*")
        return await metric_list(
            self._metrics, self._place, parameters, time.time(), is_older=_ACTIONS[action]
        )  # fmt: skip

    def _key(self, request: Request, parameters: Mapping[str, str], body: bytes) -> Key:
        """Whose request it is. Raises AccessDenied and its like."""
        if "authorization" not in request.headers:
            return rpc.verify(self._verifier.find, request.method, parameters, time.time(), self._verifier.once)
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        signed = Signed(request.method, target, request.headers, body=body)
        key = self._verifier.verify(signed)
        check_body(signed)
        return key


def _response(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status, media_type="application/json")


def _refusal(error: PyfcError, number: str, scope: Scope) -> Response:
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    code = "ResourceNotFound" if isinstance(error, NotFound) else error.code
    return _response({"RequestId": number, "HostId": host, "Code": code, "Message": str(error)}, error.status)
