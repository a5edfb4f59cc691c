"""FC's context object, as Python functions see it (fields and names: FC's Python context page). What is in it comes
with Init and Invoke: the server decides that.
"""

from __future__ import annotations

import logging
from typing import Any


class Credentials:
    """The function's role credentials; placeholders that open nothing."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.access_key_id = values["access_key_id"]
        self.access_key_secret = values["access_key_secret"]
        self.security_token = values["security_token"]


class FunctionMeta:
    """The function as it is declared: memory in MB, timeout in seconds."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.name = values["name"]
        self.handler = values["handler"]
        self.memory = values["memory"]
        self.timeout = values["timeout"]
        self.version_id = values["version_id"]
        self.qualifier = values["qualifier"]


class ServiceMeta:
    """The service that the function belongs to."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.name = values["name"]
        self.log_project = values["log_project"]
        self.log_store = values["log_store"]
        self.qualifier = values["qualifier"]
        self.version_id = values["version_id"]


class Tracing:
    """What the caller sent of an OpenTracing trace."""

    def __init__(self, span_context: str, span_baggages: dict[str, str], jaeger_endpoint: str | None) -> None:
        self.span_context = span_context or None
        self.jaeger_endpoint = jaeger_endpoint
        self.span_baggages = span_baggages


class FCContext:
    """One call's context. What does not change between calls is shared between them."""

    def __init__(
        self,
        fixed: Fixed,
        request_id: str,
        logger: logging.Logger,
        retry_count: int = 0,
        trace: tuple[str, dict[str, str]] | None = None,
        alias: str = "",
    ) -> None:
        self.request_id = request_id
        self.credentials = fixed.credentials
        self.function, self.service = fixed.called_by(alias) if alias else (fixed.function, fixed.service)
        self.region = fixed.region
        self.account_id = fixed.account_id
        self.log_project = fixed.service.log_project
        self.log_store = fixed.service.log_store
        self.retry_count = retry_count
        self.logger = logger
        self.tracing = Tracing(*trace, fixed.untraced.jaeger_endpoint) if trace is not None else fixed.untraced

    def to_json(self) -> dict[str, Any]:
        """The context as text, without credentials; some functions print it."""
        return {
            "request_id": self.request_id,
            "function": vars(self.function),
            "service": vars(self.service),
            "region": self.region,
            "account_id": self.account_id,
        }


class Fixed:
    """The part of the context that lives as long as the instance."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.credentials = Credentials(values["credentials"])
        self.function = FunctionMeta(values["function"])
        self.service = ServiceMeta(values["service"])
        self.region = values["region"]
        self.account_id = values["account_id"]
        self.untraced = Tracing("", {}, values.get("jaeger_endpoint") or None)
        self._values = values

    def called_by(self, alias: str) -> tuple[FunctionMeta, ServiceMeta]:
        """Function and service for a call by an alias."""
        function, service = self._values["function"], self._values["service"]
        return FunctionMeta({**function, "qualifier": alias}), ServiceMeta({**service, "qualifier": alias})


def rehearse() -> None:
    """Make a context for nobody (see zygote.py)."""
    function = dict.fromkeys(("name", "handler", "memory", "timeout", "version_id", "qualifier"), "")
    service = dict.fromkeys(("name", "log_project", "log_store", "qualifier", "version_id"), "")
    credentials = dict.fromkeys(("access_key_id", "access_key_secret", "security_token"), "")
    values = {"credentials": credentials, "function": function, "service": service, "region": "", "account_id": ""}
    FCContext(Fixed(values), "", logging.getLogger())
