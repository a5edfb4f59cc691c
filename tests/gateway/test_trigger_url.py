"""What is told to be the address of an HTTP trigger."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pyfc.gateway.management import Call, trigger_url
from pyfc.host.local_names import LocalNames
from pyfc.model.hosts import own_host
from support import wait_until

DEFAULT = "/2016-08-15/proxy"


def told(base: str, *, has_local_names: bool) -> str:
    call = SimpleNamespace(base=base, api=SimpleNamespace(local_names=SimpleNamespace(are_known=has_local_names)))
    return trigger_url(cast("Call", call), "shop", "Web", "Live")


def test_it_is_the_functions_own_where_programs_find_such_names() -> None:
    own = f"http://{own_host('shop', 'Web', 'Live')}:8000/"

    assert told("http://127.0.0.1:8000", has_local_names=True) == own
    assert told("http://127.0.0.1:8000", has_local_names=False) == f"http://127.0.0.1:8000{DEFAULT}/shop.Live/Web/"


def test_it_is_the_default_one_for_callers_of_other_machines_and_by_tls() -> None:
    for base in ("http://dev.example:8000", "https://localhost:8000"):
        assert told(base, has_local_names=True) == f"{base}{DEFAULT}/shop.Live/Web/"


@pytest.mark.parametrize(
    ("found", "are_known"), [(["127.0.0.1", "::1"], True), (["127.0.0.1", "192.0.2.7"], False), ([], False)]
)
def test_names_are_known_if_the_machine_leads_them_to_itself(
    found: list[str], are_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        if not found:
            raise socket.gaierror(-2, "Name or service not known")
        return [(None, None, 0, "", (each, 0)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    names = LocalNames()

    wait_until(lambda: not names.is_asking, "the answer")
    assert asked == ["pyfc.localhost"]
    assert names.are_known is are_known
