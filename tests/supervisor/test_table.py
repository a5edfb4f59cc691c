"""The table follows the desired state; what can not be served keeps nothing else from it."""

from __future__ import annotations

import dataclasses
from typing import Any

from pyfc.calls.table import Entry, Table
from pyfc.model.function import Function, Service
from pyfc.model.names import Target
from pyfc.registry.registry import Change, Declared, key_of
from pyfc.supervisor.draft import Draft

ROUTE: Any = object()
GOOD = Function(service="s", name="good", runtime="python3", handler="index.handler")
BAD = dataclasses.replace(GOOD, name="bad")


def make(service: Service, function: Function, *, eager: bool) -> Entry:
    if function.name == "bad" and function.handler == "index.handler":
        raise ZeroDivisionError
    return Entry(function, ROUTE, ())


def draft_of(*values: Declared, before: Table | None = None) -> Draft:
    draft = Draft(before or Table({}, {}, {}, {}), {}, make)
    for number, value in enumerate(values, 1):
        draft.apply(Change(number, key_of(value), value))
    return draft


def test_a_function_that_can_not_be_served_keeps_no_other_from_it() -> None:
    draft = draft_of(Service(name="s"), BAD, GOOD)

    assert list(draft.table().entries) == [Target("s", "good")]
    assert draft.failed == {"functions/s/bad"}


def test_what_was_served_stays_when_its_successor_can_not_be() -> None:
    served = dataclasses.replace(BAD, handler="index.other")
    before = draft_of(Service(name="s"), served).table()

    draft = draft_of(BAD, before=before)

    assert draft.table().entries[BAD.target].function == served
    assert not draft.retired


def test_a_function_whose_service_is_not_known_is_not_served() -> None:
    draft = draft_of(GOOD)

    assert not draft.table().entries
    assert draft.failed == {"functions/s/good"}


def test_of_a_services_functions_each_is_replaced_by_itself() -> None:
    other = dataclasses.replace(BAD, handler="index.other")
    before = draft_of(Service(name="s"), other, GOOD).table()
    entries = {BAD.target: Entry(BAD, ROUTE, ()), GOOD.target: before.entries[GOOD.target]}

    draft = draft_of(Service(name="s", internet_access=False), before=before._replace(entries=entries))

    assert draft.failed == {"functions/s/bad"}
    assert [entry.function for entry in draft.retired] == [GOOD]
