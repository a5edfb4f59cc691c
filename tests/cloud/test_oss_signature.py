"""Signatures of OSS's clients are checked, whatever their version and however they name the bucket."""

from __future__ import annotations

import pytest

from cloud.signed import HEADERS, KEY, NOW, URLS
from pyfc.auth.keys import Key
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.model import Place
from pyfc.cloud.oss.request import Sent, is_meant
from pyfc.cloud.oss.signature import Verified, verify
from pyfc.cloud.request import query_of


def _verify(
    method: str, path: str, query: str, headers: dict[str, str], *, now: float = NOW, secret: str = "secret",
    token: str = "", host: str = "127.0.0.1",
) -> Verified:  # fmt: skip
    key = Key(id="LTAIid", secret=secret, token=token)
    return verify({"LTAIid": key}.get, Sent(method, host, path, query_of(query, "surrogateescape"), headers), now)


@pytest.mark.parametrize("name", HEADERS)
def test_a_client_that_signs_a_header_is_known(name: str) -> None:
    found = _verify(*HEADERS[name])

    assert found.key is not None
    assert found.place.bucket == "bkt"
    assert found.place.key in {KEY, "k", ""}


def test_a_client_that_signs_the_text_of_its_date_is_known() -> None:
    # aliyun-oss-go-sdk 3.0.2, signature of version 4, read off the wire
    headers = {
        "content-type": "text/plain", "x-oss-content-sha256": "UNSIGNED-PAYLOAD",
        "date": "Fri, 27 Nov 2026 21:50:46 GMT",
        "authorization": "OSS4-HMAC-SHA256 Credential=LTAIid/20261127/cn-hangzhou/oss/aliyun_v4_request,"
        "Signature=d39a98b745900559dd35b6f57a0ba3a8210e8cbe53da47e50890f519d9b4b67c",
    }  # fmt: skip

    found = _verify("PUT", "/bkt/d%2Fa%20b%2B%C3%BC.txt", "", headers, now=1795816246.0)

    assert (found.key is not None, found.place) == (True, Place("bkt", KEY))


@pytest.mark.parametrize("name", URLS)
def test_a_signed_url_is_good_until_it_expires(name: str) -> None:
    path, query = URLS[name]

    assert _verify("GET", path, query, {}).place == Place("bkt", KEY)
    with pytest.raises(Fault, match="expired") as caught:
        _verify("GET", path, query, {}, now=NOW + 1000)
    assert caught.value.code == "AccessDenied"


@pytest.mark.parametrize("name", HEADERS)
def test_another_secret_does_not_match(name: str) -> None:
    with pytest.raises(Fault) as caught:
        _verify(*HEADERS[name], secret="other")
    assert caught.value.code == "SignatureDoesNotMatch"
    assert "StringToSign" in caught.value.more


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("change", ["path", "query", "method"])
def test_a_url_is_good_for_nothing_but_what_was_signed(name: str, change: str) -> None:
    path, query = URLS[name]
    path = f"{path}x" if change == "path" else path
    query = query.replace("response-content-type=a%2Fb", "response-content-type=text%2Fhtml")
    query = f"acl&{query}" if change == "query" else query

    with pytest.raises(Fault) as caught:
        _verify("PUT" if change == "method" else "GET", path, query, {})
    assert caught.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", HEADERS)
def test_a_request_that_is_older_than_a_quarter_of_an_hour_is_refused(name: str) -> None:
    for now in (NOW - 901, NOW + 901):
        with pytest.raises(Fault) as caught:
            _verify(*HEADERS[name], now=now)
        assert caught.value.code == "RequestTimeTooSkewed"


def test_credentials_of_a_function_need_their_token() -> None:
    assert _verify(*HEADERS["V1 put with a token"], token="token").key is not None
    for name in ("V1 put with a token", "V1 put"):
        with pytest.raises(Fault) as caught:
            _verify(*HEADERS[name], token="another")
        assert caught.value.code == "InvalidAccessKeyId"


def test_a_key_that_nobody_has_is_named() -> None:
    method, path, query, headers = HEADERS["V1 put"]

    with pytest.raises(Fault) as caught:
        verify({}.get, Sent(method, "127.0.0.1", path, query_of(query, "surrogateescape"), headers), NOW)
    assert (caught.value.code, caught.value.more) == ("InvalidAccessKeyId", {"OSSAccessKeyId": "LTAIid"})


def test_the_bucket_may_stand_in_the_host_in_the_path_or_in_both() -> None:
    method, _, query, headers = HEADERS["V1 put"]
    host = "bkt.oss-cn-hangzhou.aliyuncs.com"

    for path in ("/d%2Fa%20b%2B%C3%BC.txt", "/bkt/d/a%20b%2B%C3%BC.txt"):
        assert _verify(method, path, query, headers, host=host).place == Place("bkt", KEY)


@pytest.mark.parametrize(
    "authorization",
    ["OSS", "OSS LTAIid", "OSS2 x", "OSS4-HMAC-SHA256 Credential=LTAIid", "OSS4-HMAC-SHA256 Credential=a/b/c/d/e",
     "Bearer x", "OSS LTAIid:\xff", "OSS4-HMAC-SHA256 Credential=LTAIid/20261128/r/oss/aliyun_v4_request,Signature=x"],
)  # fmt: skip
def test_what_is_no_signature_is_refused(authorization: str) -> None:
    with pytest.raises(Fault) as caught:
        _verify("GET", "/bkt/k", "", {"date": "Fri, 27 Nov 2026 19:50:53 GMT", "authorization": authorization})
    assert caught.value.status in {400, 403}


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "20261399T000000Z",
        "Fri, 99 Nov 2026 19:50:53 GMT",
        "Fri, 27 Nov 2026 19:50:53 +99999",
        ",",
        "0 0",
    ],
)
def test_a_date_that_is_none_is_refused(date: str) -> None:
    headers = {**HEADERS["V1 put"][3], "date": date}

    with pytest.raises(Fault):
        _verify("PUT", "/bkt/k", "", headers)


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/bkt/%ff", "UTF-8"), (f"/bkt/{'a' * 1024}", "1023"), ("/bkt//a", "slash"), ("/bkt/%5Ca", "slash")],
)
def test_a_path_that_can_be_no_key_is_refused(path: str, problem: str) -> None:
    with pytest.raises(Fault, match=problem) as caught:
        _ = Sent("GET", "127.0.0.1", path, {}, {}).places
    assert caught.value.code == "InvalidObjectName"


def test_the_longest_key_is_taken() -> None:
    assert Sent("GET", "127.0.0.1", f"/bkt/{'%C3%BC' * 511}a", {}, {}).places[0].key == "ü" * 511 + "a"


@pytest.mark.parametrize(
    ("host", "query", "authorization", "is_for_oss"),
    [
        ("bkt.oss-cn-hangzhou.aliyuncs.com", "", b"", True),
        ("bkt.oss-cn-hangzhou-internal.aliyuncs.com", "", b"", True),
        ("oss-cn-hangzhou.aliyuncs.com", "", b"", True),
        ("127.0.0.1", "", b"OSS a:b", True),
        ("127.0.0.1", "", b"OSS4-HMAC-SHA256 Credential", True),
        ("127.0.0.1", "OSSAccessKeyId=a&Signature=b", b"", True),
        ("127.0.0.1", "x-oss-signature=b", b"", True),
        ("127.0.0.1", "", b"FC a:b", False),
        ("127.0.0.1", "a=b", b"", False),
        ("bkt.oss-evil.example", "", b"", False),
        ("bkt.oss-cn-hangzhou.aliyuncs.com.evil.example", "", b"", False),
    ],
)
def test_requests_to_the_object_store_are_told_apart(
    host: str, query: str, authorization: bytes, *, is_for_oss: bool
) -> None:
    headers = {b"authorization": authorization} if authorization else {}

    assert is_meant(host, query, headers) is is_for_oss
