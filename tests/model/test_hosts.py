"""The names that functions have on this machine."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyfc.model.hosts import is_loopback, is_of_function, own_host, own_url

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", fullmatch=True)
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("shop", "web"), "web.shop.localhost"),
        (("default", "a-b1"), "a-b1.default.localhost"),
        (("shop", "web", "prod"), "web.shop.prod.localhost"),
        (("shop", "web", "3"), "web.shop.3.localhost"),
        (("shop", "Web"), "web-29751047.shop.localhost"),
        (("my_shop", "web"), "web.my-shop-6c8c0c21.localhost"),
        (("shop", "___"), "f-bda25155.shop.localhost"),
        (("log", "web"), "web.log-836ff184.localhost"),
    ],
)
def test_a_function_has_the_host_of_its_names(names: tuple[str, ...], host: str) -> None:
    assert own_host(*names) == host


def test_names_that_differ_have_different_hosts() -> None:
    digested = own_host("s", "Web").partition(".")[0]
    names = ["web", "Web", "WEB", "web_", "web-", "we_b", "we-b", digested, "w" * 64, "w" * 65, "w" * 63]

    for one, other in combinations(names, 2):
        assert own_host("s", one) != own_host("s", other)
        assert own_host(one, "f") != own_host(other, "f")


@given(NAMES, NAMES, st.sampled_from(["", "7", "pre_live"]))
def test_every_name_gives_a_host_that_dns_knows(service: str, function: str, qualifier: str) -> None:
    *labels, last = own_host(service, function, qualifier).split(".")

    assert last == "localhost"
    assert len(labels) == (3 if qualifier else 2)
    assert all(LABEL.fullmatch(each) for each in labels)
    assert is_loopback(own_host(service, function, qualifier))
    assert is_of_function(own_host(service, function))


@pytest.mark.parametrize(
    "host", ["localhost", "shop.localhost", "a.b.c.localhost", "g.apigw.localhost", "b.oss-x.localhost"]
)
def test_other_hosts_are_no_functions(host: str) -> None:
    assert not is_of_function(host)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:8000", "http://web.shop.localhost:8000/"),
        ("http://localhost", "http://web.shop.localhost/"),
        ("http://[::1]:8000", "http://web.shop.localhost:8000/"),
        ("http://other.shop.localhost:1", "http://web.shop.localhost:1/"),
        ("http://dev.example:8000", ""),
        ("http://10.0.0.1:8000", ""),
        ("https://localhost:8000", ""),
    ],
)
def test_an_own_address_is_told_where_it_leads_to_the_server(endpoint: str, url: str) -> None:
    assert own_url(endpoint, own_host("shop", "web")) == url
