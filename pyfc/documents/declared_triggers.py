"""FC's objects of triggers become what is kept and the other way round; also what their shapes cannot say. Everything
here raises WrongProperty with the place of what is wrong.
"""

from __future__ import annotations

import json

from pyfc.documents import triggers, values
from pyfc.documents.reader import Document, Place, WrongProperty, absent, parsed, typed, wrong
from pyfc.errors import InvalidArgument
from pyfc.model.asynchronous import MAXIMUM_PAYLOAD
from pyfc.model.bucket import events_of, nearest
from pyfc.model.names import numbered
from pyfc.model.patterns import Pattern
from pyfc.model.schedule import parse
from pyfc.model.trigger import Trigger

_CONFIGS = triggers.ConfigReader()
"""Reads configurations of triggers, which are text in a request or in it."""
_TIMER_ENVELOPE = 512
"""Bytes of a timer's event beside its payload, at most."""


def trigger_of(service: str, function: str, document: Document, convention: str, old: Trigger | None = None) -> Trigger:
    """The trigger that `document` describes, or makes of `old`. `convention`: see triggers/http.py."""
    before = _trigger_fields(old) if old is not None else {}
    document, said = typed({**before, **document}, triggers.NewerTrigger)
    return Trigger(
        service=service,
        function=function,
        name=old.name if old is not None else said.trigger_name,
        type=old.type if old is not None else said.trigger_type,
        config=_trigger_config(said, convention, old),
        description=said.description,
        source_arn=old.source_arn if old is not None else said.source_arn,
        invocation_role=said.invocation_role,
        qualifier=numbered(said.qualifier),
    )


def _trigger_fields(trigger: Trigger) -> Document:
    return {
        "triggerName": trigger.name,
        "triggerType": trigger.type,
        "triggerConfig": trigger_config(trigger),
        "description": trigger.description,
        "invocationRole": trigger.invocation_role,
        "qualifier": trigger.qualifier,
    }


def _trigger_config(said: triggers.NewerTrigger, convention: str, old: Trigger | None) -> Document:
    kind = old.type if old is not None else said.trigger_type
    config = parsed(said.trigger_config, ("triggerConfig",))
    shape = triggers.TRIGGERS.get(kind, triggers.OtherTrigger)
    read = _CONFIGS.read(config, shape, ("triggerConfig",))
    if kind != "http":
        merged = {**old.config, **read} if old is not None else read
        if kind == "timer":
            _check_timer(merged)
        elif kind == "oss":
            _check_events(merged)
        elif kind == "eventbridge":
            _check_pattern(merged)
        return merged
    # what is not named stays: who may call, above all; what pages of other sites may do is said anew
    kept = {name: value for name, value in old.config.items() if name != "corsConfig"} if old is not None else {}
    before = {**kept, **read}
    defaults = triggers.HttpTrigger()
    check_authorization(before, ("triggerConfig",))
    return {"authType": defaults.auth_type, "methods": list(defaults.methods), **before, "convention": convention}


def _check_timer(config: Document) -> None:
    found = config.get("cronExpression")
    if not found:
        raise absent(("triggerConfig",), "cronExpression")
    try:
        parse(str(found))
    except ValueError as error:
        raise wrong(("triggerConfig", "cronExpression"), f"'{found}'", f"{values.TIMER} ({error})") from None
    size = len(json.dumps(config.get("payload", ""), ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MAXIMUM_PAYLOAD - _TIMER_ENVELOPE:
        raise wrong(
            ("triggerConfig", "payload"), f"{size} bytes as JSON",
            f"at most {MAXIMUM_PAYLOAD - _TIMER_ENVELOPE}: the event of an asynchronous call has {MAXIMUM_PAYLOAD}",
        )  # fmt: skip


def _check_events(config: Document) -> None:
    try:
        events_of(config.get("events", []))
    except ValueError as error:
        near = nearest(str(error))
        allowed = f"one of OSS's, perhaps {' or '.join(near)}" if near else "one of OSS's, like oss:ObjectCreated:*"
        raise wrong(("triggerConfig", "events"), f"'{error}'", allowed) from None


def _check_pattern(config: Document) -> None:
    found = config.get("eventRuleFilterPattern")
    try:
        Pattern.read(found)
    except ValueError as error:
        place = ("triggerConfig", "eventRuleFilterPattern")
        raise wrong(place, f"'{found}'", f"an event pattern of EventBridge ({error})") from None


def check_authorization(config: Document, place: Place) -> None:
    """An HTTP trigger that wants tokens says by what they are checked. `place`: of its configuration."""
    if config.get("authType") == "jwt":
        check_tokens(config, place, "authConfig")


def check_tokens(config: Document, place: Place, name: str) -> None:
    """Raises WrongProperty where what `name` says checks no tokens. `place`: of `config`."""
    from pyfc.auth.tokens import authorizer_of  # noqa: PLC0415  80 ms that only who checks tokens should wait for

    if not config.get(name):
        raise absent(place, name)
    try:
        authorizer_of(config[name])
    except InvalidArgument as error:
        raise WrongProperty((*place, name), f"checks no tokens: {error}") from None


def trigger_config(trigger: Trigger) -> Document:
    """What it was declared with."""
    return {key: value for key, value in trigger.config.items() if key != "convention"}
