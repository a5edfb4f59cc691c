"""What a path means, and what serves it: one place knows, for calls by HTTP and for those out of the queue."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pyfc.calls.paths import call_of, event_place, http_place, is_newer, is_own, serving
from pyfc.calls.table import Entry, Table
from pyfc.errors import (
    AliasNotFound,
    FunctionDisabled,
    FunctionNotFound,
    InvalidArgument,
    NoHttpTrigger,
    PathNotSupported,
    PyfcError,
    ServiceNotFound,
    VersionNotFound,
)
from pyfc.model.function import Function, Service
from pyfc.model.names import Target
from pyfc.model.resources import SERVICE_SCOPE, Alias
from pyfc.model.trigger import Trigger

ROUTE: Any = object()
ONE = Function(service="s", name="one", runtime="python3", handler="h.h")
OLD = dataclasses.replace(ONE, version_id="1")
OFF = dataclasses.replace(ONE, name="off", is_disabled=True)
WEB = dataclasses.replace(ONE, name="web")
CONFIG = {"authType": "anonymous", "methods": ["GET"], "convention": "handler"}
TRIGGER = Trigger(service="s", function="web", name="t", type="http", config=CONFIG)
LIVE = Alias(service="s", scope=SERVICE_SCOPE, name="live", version_id="1")
TABLE = Table(
    {"s": Service(name="s")},
    {each.target: Entry(each, ROUTE, (TRIGGER,) if each is WEB else ()) for each in (ONE, OLD, OFF, WEB)},
    {("s", SERVICE_SCOPE, "live"): LIVE},
    {},
)


OLDER, NEWER = b"/2016-08-15/services/s/functions/f", b"/2023-03-30/functions/f"


@pytest.mark.parametrize(
    ("url", "call"),
    [
        (OLDER + b"/invocations", (OLDER + b"/invocations", False)),
        (OLDER + b"/invocations?a", (OLDER + b"/invocations", False)),
        (b"/2021-04-06/services/s/functions/f/invocations", (b"/2021-04-06/services/s/functions/f/invocations", False)),
        (NEWER + b"/invocations?qualifier=1", (NEWER + b"/invocations?qualifier=1", False)),
        (b"/2016-08-15/proxy/s/f/a?b=c", (b"/2016-08-15/proxy/s/f/a", True)),
        (b"/2021-04-06/proxy/s/f/invocations", (b"/2021-04-06/proxy/s/f/invocations", True)),
        (b"/2023-03-30/proxy/s/f/", None),
        (OLDER, None),
        (b"/2016-08-15/services", None),
        (NEWER + b"/stateful-async-invocations", None),
        (b"/healthz", None),
        (b"/", None),
    ],
)
def test_a_url_is_a_call_or_it_is_none(url: bytes, call: tuple[bytes, bool] | None) -> None:
    assert call_of(url) == call


def test_what_is_the_servers_own_is_no_domains() -> None:
    for url in (b"/2016-08-15/x", b"/2021-04-06/x", b"/2023-03-30/x", b"/pyfc/x", b"/healthz"):
        assert is_own(url)
    for url in (b"/", b"/x", b"/pyfcx", b"/2016-08-15"):
        assert not is_own(url)
    assert is_newer(b"/2023-03-30/functions")
    assert is_newer("/2023-03-30/functions")
    assert not is_newer(b"/2016-08-15/services")
    assert not is_newer("/2016-08-15/services")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (ONE.target, ONE),
        (OLD.target, OLD),
        (Target("s", "one", "live"), OLD),
        (OFF.target, FunctionDisabled),
        (Target("s", "none"), FunctionNotFound),
        (Target("t", "one"), ServiceNotFound),
        (Target("s", "one", "9"), VersionNotFound),
        (Target("s", "one", "other"), AliasNotFound),
        (Target("s", "web", "live"), FunctionNotFound),
    ],
)
def test_what_serves_a_target_is_found_with_every_check(target: Target, found: Function | type[PyfcError]) -> None:
    if isinstance(found, Function):
        assert serving(TABLE, target, {})[0].function is found
    else:
        with pytest.raises(found):
            serving(TABLE, target, {})


def test_a_path_leads_to_its_function_by_the_way_that_the_function_is_called() -> None:
    assert event_place(TABLE, b"/2016-08-15/services/s.live/functions/one/invocations", {}).entry.function is OLD
    assert http_place(TABLE, b"/2016-08-15/proxy/s/web/a/b", {}).entry.function is WEB
    with pytest.raises(NoHttpTrigger):
        http_place(TABLE, b"/2016-08-15/proxy/s/one/", {})
    with pytest.raises(InvalidArgument, match="/2016-08-15/proxy/s/web/"):
        event_place(TABLE, b"/2016-08-15/services/s/functions/web/invocations", {})
    for path in (b"/2016-08-15/proxy", b"/2016-08-15/proxy/s", b"/2016-08-15/proxy/s//a"):
        with pytest.raises(PathNotSupported):
            http_place(TABLE, path, {})


def test_an_http_function_takes_events_when_it_has_a_trigger_that_sends_some() -> None:
    timer = dataclasses.replace(TRIGGER, name="tick", type="timer", config={})
    other = dataclasses.replace(timer, qualifier="live")

    def found(*triggers: Trigger) -> Entry:
        table = TABLE._replace(entries={**TABLE.entries, WEB.target: Entry(WEB, ROUTE, triggers)})
        return event_place(table, b"/2016-08-15/services/s/functions/web/invocations", {}).entry

    assert found(TRIGGER, timer).function is WEB
    with pytest.raises(InvalidArgument, match="has an HTTP trigger"):
        found(TRIGGER, other)
