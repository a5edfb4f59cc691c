"""What is checked of a call's headers, by FC's rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from pyfc.auth.keys import Keys
from pyfc.auth.permissions import Permissions
from pyfc.auth.signature import Signed, Verifier
from pyfc.calls.paths import resources_of
from pyfc.errors import InvalidArgument
from pyfc.gateway.exchange import Exchange

if TYPE_CHECKING:
    from pyfc.auth.tokens import Authorizer

_CREDENTIAL = re.compile(rb"(?:^FC |Credential=)(STS\.[A-Za-z0-9]{1,64})")
Parts = tuple[bytes, list[tuple[bytes, bytes]], bytes]


def wants_log(value: bytes) -> bool:
    """Whether X-Fc-Log-Type asks for the log. Raises InvalidArgument."""
    if value not in {b"Tail", b"None", b""}:
        raise InvalidArgument(
            message=f"LogType is set to an invalid value (allowed: Tail | None, actual: '{value.decode('latin-1')}')"
        )
    return value == b"Tail"


class Callers(NamedTuple):
    """What tells who calls, and what that may call."""

    keys: Keys
    verifier: Verifier
    permissions: Permissions


def check_signature(callers: Callers, exchange: Exchange, *, is_trigger: bool = False) -> None:
    """Raises what is wrong with the signature of a call, AccessDenied for a function that may not call."""
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.fields.items()}
    method, url = exchange.method.decode("latin-1"), (exchange.sent or exchange.url).decode("latin-1")
    body = exchange.body if exchange.incoming is None else None
    key = callers.verifier.verify(Signed(method, url, fields, is_trigger, body))
    callers.permissions.check(key, "fc:InvokeFunction", *resources_of(unquote(exchange.path.decode("latin-1"))))


def is_of_function(keys: Keys, given: bytes) -> bool:
    """Whether an Authorization header is of a function of this server."""
    found = _CREDENTIAL.search(given)
    key = keys.find(found[1].decode("latin-1")) if found is not None else None
    return key is not None and key.function is not None


def authorized(authorizer: Authorizer, exchange: Exchange, path: bytes) -> Parts:
    """Url, headers and body of a request with what its token claims. Raises AccessDenied, InvalidArgument."""
    whole = None if exchange.incoming is not None else exchange.body
    url, headers, body = authorizer.authorized(path, exchange.url, exchange.headers, whole)
    return url, headers, exchange.body if body is None else body


def is_asynchronous(value: bytes, *, wants_log: bool = False) -> bool:
    """Whether X-Fc-Invocation-Type asks for the queue. Raises InvalidArgument, for who wants the log of that too."""
    if value not in {b"Sync", b"Async", b""}:
        raise InvalidArgument(message=f"X-Fc-Invocation-Type is '{value.decode('latin-1')}'; it must be Sync or Async")
    if wants_log and value == b"Async":
        raise InvalidArgument(message="LogType is set to an invalid value (allowed: None, actual: 'Tail')")
    return value == b"Async"
