"""What the pages of other sites may do with an HTTP trigger (CORS): its `corsConfig`, or that of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_AGE = 86400
"""Seconds for which a browser may remember what a preflight has told."""
_ANY = "*"


class Cors(NamedTuple):
    """What is allowed. Where nothing is configured it is everything, unless the function says something itself."""

    origins: tuple[str, ...] = ()
    """() for all; so it is with methods (those of the trigger) and headers."""
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    """Response headers that pages may read, beside FC's own."""
    credentials: bool = True
    age: int = _AGE
    is_configured: bool = False

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Cors:
        """From FC's corsConfig; {} for none."""
        if not config:
            return cls()
        return cls(
            origins=tuple(config.get("allowOrigins", ())),
            methods=tuple(config.get("allowMethods", ())),
            headers=tuple(config.get("allowHeaders", ())),
            exposed=tuple(config.get("exposeHeaders", ())),
            credentials=bool(config.get("allowCredentials", False)),
            age=int(config.get("maxAge", _AGE)),
            is_configured=True,
        )

    def lines(self, fields: Mapping[bytes, bytes]) -> str:
        """Headers of an answer, by which the page that has asked may read it; '' if it may not."""
        origin = fields[b"origin"].decode("latin-1")
        if self.origins and _ANY not in self.origins and origin not in self.origins:
            return ""
        found = f"Access-Control-Allow-Origin: {origin}\r\n"
        if self.credentials:
            found += "Access-Control-Allow-Credentials: true\r\n"
        return found + _listed("Access-Control-Expose-Headers", self.exposed)

    def preflight(self, fields: Mapping[bytes, bytes], method: str, methods: Iterable[str], cors: str) -> str | None:
        """The beginning of the answer to a browser that asks what it may send; None if it does not, or if the function
        answers that itself. `methods` of the trigger; `cors`: the lines of its answers.
        """
        is_own = "OPTIONS" in methods and not self.is_configured
        if method != "OPTIONS" or is_own or b"access-control-request-method" not in fields:
            return None
        if cors:
            asked = fields.get(b"access-control-request-headers", b"").decode("latin-1")
            headers = (asked,) if asked and (not self.headers or _ANY in self.headers) else self.headers
            cors += _listed("Access-Control-Allow-Methods", self.methods or sorted(methods))
            cors += _listed("Access-Control-Allow-Headers", headers) + f"Access-Control-Max-Age: {self.age}\r\n"
        return f"HTTP/1.1 204 No Content\r\n{cors}"


def _listed(name: str, values: Iterable[str]) -> str:
    found = ", ".join(values)
    return f"{name}: {found}\r\n" if found else ""
