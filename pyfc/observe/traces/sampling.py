"""Which calls belong to a trace that is exported, and which span their function goes on from.

A call that comes with a trace belongs to it if that is sampled; of others a part begins one, whose id is made of the
request's. Nothing is remembered of a call: its spans have ids that are made of the request's too.
"""

from __future__ import annotations

from pyfc.model.invocation import HttpRequest, Invocation
from pyfc.model.tracing import SAMPLED, SpanContext, from_jaeger, span_id

INVOKE_FUNCTION, INVOCATION = "InvokeFunction", "Invocation"
_TRACEPARENT, _UBER = "traceparent", "uber-trace-id"
_RANDOM = 56
"""The last bits of an id, which W3C wants to be random."""


class Sampling:
    """Of one server."""

    def __init__(self, ratio: float) -> None:
        """`ratio`: the part of calls that begin a trace, from 0 to 1."""
        self._most = round(ratio * (1 << _RANDOM))

    def continued(self, call: Invocation) -> Invocation:
        """The call as its function gets it: with the span Invocation as the one to go on from, if it is sampled."""
        context, baggage = call.trace or ("", {})
        caller = from_jaeger(context)
        if caller is None:
            if context:
                return call  # what it is, only its caller knows
            trace = int(call.request_id.replace("-", ""), 16)
            if trace & ((1 << _RANDOM) - 1) >= self._most:
                return call
            caller = SpanContext(trace, 0, SAMPLED)
        elif not caller.is_sampled:
            return call
        number = call.request_id, call.attempt
        own = SpanContext(caller.trace, span_id(INVOCATION, *number), caller.flags)
        context = own.as_jaeger(span_id(INVOKE_FUNCTION, *number))
        http = None if call.http is None else _told(call.http, own, context)
        return call._replace(trace=(context, baggage), caller_span=caller.span, http=http)


def _told(request: HttpRequest, own: SpanContext, context: str) -> HttpRequest:
    """The request of an HTTP function, whose headers tell of that span; of Jaeger's own where the caller used it."""
    headers = [each for each in request.headers if each[0] not in {_TRACEPARENT, _UBER}]
    jaeger = [(_UBER, context)] if len(headers) < len(request.headers) and _uses_jaeger(request) else []
    return request._replace(headers=[*headers, (_TRACEPARENT, own.as_w3c()), *jaeger])


def _uses_jaeger(request: HttpRequest) -> bool:
    return any(name == _UBER for name, _ in request.headers)
