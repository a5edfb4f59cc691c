"""Endpoints find that what is pushed to them was signed by the server, as code for MNS checks it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.x509 import load_pem_x509_certificate

from cloud.mns_client import Client, xml
from pyfc.cloud.mns.signing import NAME, PATH, Signing
from pyfc.errors import InvalidArgument
from servers import serving
from support import Server, wait_until

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def taken_apart(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The target of a request, its headers by their names in lower case, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs}, body


def check(target: str, headers: Mapping[str, str], certificate: bytes) -> None:
    """What receivers do that trust MNS's signatures. Raises InvalidSignature."""
    lines = ["POST", *(headers.get(name, "") for name in ("content-md5", "content-type", "date"))]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-mns-")]
    key = load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    signature = base64.b64decode(headers["authorization"], validate=True)
    key.verify(signature, "\n".join([*lines, target]).encode("latin-1"), PKCS1v15(), SHA1())


def test_a_receiver_checks_a_message_by_the_certificate_of_the_server(serve: Callable[..., Server]) -> None:
    async def work() -> None:
        async with serving(OK) as (port, asked):
            server = await asyncio.to_thread(
                serve, {"index.py": "def handler(event, context): ..."}, PYFC_ALLOW_OUTGOING="127.0.0.1"
            )
            client = Client(server)

            def publish() -> None:
                assert client.create("topics/t").status == 201
                place = f"http://127.0.0.1:{port}/hook?a=1"
                subscription = xml("Subscription", Endpoint=place, NotifyContentFormat="SIMPLIFIED")
                assert client("PUT", "/topics/t/subscriptions/s", subscription).status == 201
                message = xml("Message", MessageBody="hello", MessageTag="\u4e2d\u6587")
                assert client("POST", "/topics/t/messages", message).status == 201
                wait_until(lambda: asked, "the message")

            await asyncio.to_thread(publish)
            target, headers, body = taken_apart(asked[0])
            place = base64.b64decode(headers["x-mns-signing-cert-url"], validate=True).decode()
            assert place == f"{server.endpoint}{PATH}"
            certificate = await asyncio.to_thread(lambda: urllib.request.urlopen(place, timeout=5).read())
            check(target, headers, certificate)
            assert (target, body) == ("/hook?a=1", b"hello")
            assert base64.b64decode(headers["content-md5"]).decode() == hashlib.md5(body).hexdigest()
            assert {"x-mns-request-id", "x-mns-version", "x-mns-message-id", "x-mns-message-tag"} <= headers.keys()
            for changed in ({"x-mns-message-id": "0"}, {"date": "Mon, 01 Jan 2024 00:00:00 GMT"}, {"content-md5": ""}):
                with pytest.raises(InvalidSignature):
                    check(target, {**headers, **changed}, certificate)
            with pytest.raises(InvalidSignature):
                check("/hook", headers, certificate)

    asyncio.run(work())


def test_a_data_folder_keeps_its_keys_and_nobody_else_reads_them(tmp_path: Path) -> None:
    async def certificate() -> bytes:
        return await Signing(tmp_path, str).certificate()

    first = asyncio.run(certificate())

    assert asyncio.run(certificate()) == first
    assert b"PRIVATE" not in first
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [b"", b"no keys", b"certificate"])
def test_damaged_keys_are_named_and_stay_as_they_are(tmp_path: Path, left: bytes) -> None:
    if left == b"certificate":
        left = asyncio.run(Signing(tmp_path, str).certificate())
    (tmp_path / NAME).write_bytes(left)

    with pytest.raises(InvalidArgument, match=f"{NAME} is damaged: .*remove it"):
        asyncio.run(Signing(tmp_path, str).certificate())
    assert (tmp_path / NAME).read_bytes() == left
