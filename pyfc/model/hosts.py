"""Names of hosts: which of them mean this machine, and that which every function has on it.

A function's own is FUNCTION.SERVICE.localhost, with the qualifier of its trigger, if it has one, after the service. A
name that can be no part of a host's (capital letters, `_`, more than 63 characters) stands there in small letters, with
8 digits of its digest, so that no two are the same.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from hashlib import sha256
from urllib.parse import urlsplit

LOCAL = ".localhost"
APIGATEWAY = f".apigw{LOCAL}"
"""How the hosts end that are groups of the API gateway."""
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DIGESTED = re.compile(r"-[0-9a-f]{8}$")
_OTHERS = re.compile(r"apigw|log|mns|oss(-.*)?")
"""What stands there in hosts of the API gateway and of the cloud's services."""
_LONGEST = 54


def is_loopback(name: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if name == "localhost" or name.endswith(LOCAL):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def own_host(service: str, function: str, qualifier: str = "") -> str:
    """The host that is a function's own, or that of its trigger for a version or alias."""
    labels = [_label(function), _digested(service) if _OTHERS.fullmatch(service) else _label(service)]
    return ".".join([*labels, _label(qualifier)] if qualifier else labels) + LOCAL


def own_url(endpoint: str, host: str) -> str:
    """Where a function's own host is reached; '' if the server, as it is called, is not on the caller's machine, or
    speaks TLS, whose certificates are for other names.
    """
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        return ""
    return f"http://{host}:{parts.port}/" if parts.port else f"http://{host}/"


def is_of_function(host: str) -> bool:
    """Whether a host has the form of a function's own, and of nothing else's."""
    labels = host.removesuffix(LOCAL).split(".")
    return host.endswith(LOCAL) and len(labels) == 2 and _OTHERS.fullmatch(labels[1]) is None


@lru_cache(4096)
def _label(name: str) -> str:
    is_plain = _LABEL.fullmatch(name) is not None and _DIGESTED.search(name) is None
    return name if is_plain else _digested(name)


def _digested(name: str) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST].strip("-")
    return f"{readable or 'f'}-{sha256(name.encode()).hexdigest()[:8]}"
