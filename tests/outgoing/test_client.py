"""What the server requests for others: whom it asks, and what it lets them do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pyfc.errors import InvalidArgument, NotReached
from pyfc.model.networks import address_of, allowed, is_forbidden, is_private
from pyfc.outgoing import client, transport
from pyfc.outgoing.client import Outgoing, check_url
from pyfc.outgoing.interface import Answered
from servers import serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"


def asked(
    answer: bytes, *allow: str, url: str = "http://127.0.0.1:{port}/a?b=c", **options: Any
) -> tuple[Answered | None, str, list[bytes]]:
    """The answer, or why there is none, and what the server was asked. {port} in texts is the server's."""

    async def scenario() -> tuple[Answered | None, str, list[bytes]]:
        async with serving(answer, **options) as (port, requests):
            outgoing = Outgoing([each.replace("{port}", str(port)) for each in allow])
            try:
                found = await outgoing.post(url.replace("{port}", str(port)), b"body", {"Content-Type": "a/b"})
            except NotReached as error:
                return None, str(error), requests
            finally:
                await outgoing.close()
            return found, "", requests

    return asyncio.run(scenario())


def test_an_answer_comes_back_from_where_it_is_allowed() -> None:
    found, _, requests = asked(OK, "127.0.0.1:{port}")

    assert found is not None
    assert (found.status, found.headers["x-a"], found.body) == (200, "b", b"hello")
    assert requests[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert requests[0].endswith(b"\r\n\r\nbody")
    assert b"Content-Type: a/b\r\n" in requests[0]


@pytest.mark.parametrize(
    "allow", ["127.0.0.1", "127.0.0.0/8", "localhost", "localhost:{port}", "0.0.0.0/0", "127.0.0.1:{port}"]
)
def test_names_addresses_and_networks_can_be_allowed(allow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch, "127.0.0.1")
    found, why, _ = asked(OK, allow, url="http://localhost:{port}/")

    assert found is not None, why


@pytest.mark.parametrize("allow", [[], ["10.0.0.0/8"], ["127.0.0.1:1"], ["elsewhere.example"]])
def test_this_machine_is_not_asked_unless_it_is_named(allow: list[str]) -> None:
    found, why, requests = asked(OK, *allow)

    assert (found, requests) == (None, [])
    assert "PYFC_ALLOW_OUTGOING has 127.0.0.1:" in why


@pytest.mark.parametrize(
    "name", ["127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
)
def test_this_machine_has_no_other_spelling(name: str) -> None:
    found, why, requests = asked(OK, "10.0.0.0/8", url=f"http://{name}:{{port}}/")

    assert (found, requests, bool(why)) == (None, [], True)


def test_the_own_address_of_this_machine_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_own", lambda: {"8.8.8.8"})
    _resolve(monkeypatch, "8.8.8.8")
    connected = _connected(monkeypatch)

    _, why, _ = asked(OK, url="http://name.example:{port}/")

    assert (connected, "8.8.8.8 is not asked" in why) == ([], True)


def test_a_name_is_resolved_once_and_that_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    names = _resolve(monkeypatch, "93.184.216.34", then="127.0.0.1")
    connected = _connected(monkeypatch)

    asked(OK, url="http://name.example:{port}/")

    assert (names, connected) == (["name.example"], ["93.184.216.34"])


def test_of_several_addresses_the_first_that_may_be_asked_is(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolve(monkeypatch, "10.0.0.1", "93.184.216.34")
    connected = _connected(monkeypatch)

    asked(OK, url="http://name.example:{port}/")

    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "100.100.100.200", "169.254.1.1", "224.0.0.1", "0.0.0.0", "::", "ff02::1", "fe80::1%eth0",
     "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "2002:a9fe:a9fe::1", "255.255.255.255"],
)  # fmt: skip
def test_metadata_link_local_and_multicast_addresses_are_never_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve(monkeypatch, address)
    connected = _connected(monkeypatch)

    _, why, _ = asked(OK, "0.0.0.0/0", "::/0", "name.example", url="http://name.example:{port}/")

    assert (connected, "is not asked" in why, "PYFC" in why) == ([], True, False)
    assert is_forbidden(address_of(address))


@pytest.mark.parametrize(
    ("address", "wanted"),
    [("10.0.0.1", True), ("192.168.1.1", True), ("172.16.0.1", True), ("100.64.0.1", True), ("fd00::1", True),
     ("8.8.8.8", False), ("2606:4700::1", False), ("64:ff9b::a00:1", True), ("198.18.0.1", True), ("240.0.0.1", True)],
)  # fmt: skip
def test_what_is_not_public_is_private(address: str, wanted: bool) -> None:
    assert is_private(address_of(address), ()) is wanted


def test_a_redirect_is_an_answer() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/other\r\nContent-Length: 0\r\n\r\n"
    found, _, requests = asked(answer, "127.0.0.1")

    assert found is not None
    assert (found.status, len(requests)) == (302, 1)


def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(OK, "127.0.0.1")  # what is needed for it is loaded
    monkeypatch.setattr(client, "_SECONDS", 2.0)  # the request is there by then, on a busy machine too

    found, why, requests = asked(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "127.0.0.1", drips=True)

    assert (found, len(requests), "2 s" in why) == (None, 1, True)


def test_a_large_answer_is_given_up() -> None:
    for head in (b"Content-Length: 100000\r\n\r\n", b"\r\n"):
        found, why, _ = asked(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 100_000, "127.0.0.1")
        assert (found, "more than 65536 bytes" in why) == (None, True)


def test_what_is_packed_stays_packed() -> None:
    found, _, requests = asked(OK.replace(b"X-A: b", b"Content-Encoding: gzip"), "127.0.0.1")

    assert found is not None
    assert found.body == b"hello"
    assert b"Accept-Encoding: identity\r\n" in requests[0]


def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    found, why, _ = asked(OK, "127.0.0.1")

    assert found is not None, why


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    found, why, requests = asked(OK, "127.0.0.1", url="https://127.0.0.1:{port}/", tls=_self_signed(tmp_path))

    assert (found, requests, "certificate" in why.lower()) == (None, [], True)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://h/", "http://", "http:///a", "//h/", "http://u:p@h/", "http://h:99999/", "http://h:0/", "http://[x/",
     "http://h/ü", "http://h/a b", "http://h/\r\nX: y", "file:///etc/passwd", "unix:/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(NotReached) as refused:
        check_url(url)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "a b", "host:0", "host:99999", "host:x", "10.0.0.0/99", "http://h", "u@h", "*"])
def test_what_can_not_be_allowed_is_told(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"HOST|port"):
        allowed(text)


def test_names_whose_servers_hang_keep_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(OK, "127.0.0.1")  # what is needed for it is loaded
    monkeypatch.setattr(client, "_SECONDS", 0.3)
    hanging = threading.Event()
    monkeypatch.setattr(transport.socket, "getaddrinfo", lambda *_, **__: hanging.wait(20))

    async def scenario() -> None:
        outgoing = Outgoing()
        asking = [outgoing.post(f"http://name{number}.example/", b"", {}) for number in range(40)]
        given_up = asyncio.gather(*asking, return_exceptions=True)
        assert await asyncio.to_thread(lambda: "done") == "done"
        assert all(isinstance(each, NotReached) for each in await given_up)
        hanging.set()
        await outgoing.close()

    asyncio.run(scenario())


def test_headers_that_are_none_are_refused() -> None:
    async def scenario() -> None:
        async with serving(OK) as (port, requests):
            outgoing = Outgoing(["127.0.0.1"])
            with pytest.raises(NotReached):
                await outgoing.post(f"http://127.0.0.1:{port}/", b"", {"Host": "a\r\nX-B: c"})
            await outgoing.close()
            assert requests == []

    asyncio.run(scenario())


def _resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str, then: str = "") -> list[str]:
    """Have every name mean these addresses, and the next time another one; returns the names that are asked for."""
    names: list[str] = []

    def found(host: str, port: int, **_: object) -> list[Any]:
        meant = [then] if then and names else list(addresses)
        names.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in meant]

    monkeypatch.setattr(transport.socket, "getaddrinfo", found)
    return names


def _connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connect to nothing; returns the addresses that would have been."""
    seen: list[str] = []

    def refuse(into: list[str]) -> Callable[..., Awaitable[Any]]:
        async def connect_tcp(_: object, host: str, *__: object, **___: object) -> Any:
            into.append(host)
            raise OSError("nobody is there")

        return connect_tcp

    monkeypatch.setattr(transport.httpcore.AnyIOBackend, "connect_tcp", refuse(seen))
    return seen


def _self_signed(folder: Path) -> ssl.SSLContext:
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return found
