"""Signatures of SLS's clients are checked. The requests are read off aliyun-log-python-sdk 0.9.52, with access key
`LTAIid`, secret `secret` and, where there is one, token `token`.
"""

from __future__ import annotations

import pytest

from pyfc.auth.keys import Key
from pyfc.cloud.request import query_of
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.request import Sent, decoded, is_meant
from pyfc.cloud.sls.signature import check_body, verify

NOW = 1795809053.0
HOST = "web.cn-hangzhou.log.aliyuncs.com"
BODY = b'{"description":"d"}'
DATE = "Fri, 27 Nov 2026 19:50:53 GMT"
QUERY = "type=log&query=a+b%2B%C3%BC%3A+%22x%22&from=1&topic="
V1 = {"x-log-apiversion": "0.6.0", "x-log-signaturemethod": "hmac-sha1", "date": DATE}
V1_PUT = {**V1, "x-log-bodyrawsize": "19", "content-type": "application/json",
          "content-md5": "48FB9BA17A42A92D7FF8792BCDD15752"}  # fmt: skip
V4 = {"x-log-apiversion": "0.6.0", "x-log-date": "20261127T195053Z"}
V4_PUT = {**V4, "x-log-bodyrawsize": "19", "content-type": "application/json",
          "x-log-content-sha256": "4dcfa1e37cc57d71dfb7568bba86f0bf8fe424c0a660abe8edb744efc021aaea"}  # fmt: skip
SCOPE = "SLS4-HMAC-SHA256 Credential=LTAIid/20261127/cn-hangzhou/sls/aliyun_v4_request,Signature="
UNSIGNED = {"x-log-date": DATE}
"""The client adds this after it has signed."""
REQUESTS = {
    "V1 put": ("PUT", "/", "", BODY,
               {**V1_PUT, **UNSIGNED, "authorization": "LOG LTAIid:cuxlo2dE2fuqJf34ZyF1B5JKr9U="}),
    "V1 put without x-log-date": ("PUT", "/", "", BODY,
                                  {**V1_PUT, "authorization": "LOG LTAIid:cuxlo2dE2fuqJf34ZyF1B5JKr9U="}),
    "V1 put of the client for Go": ("PUT", "/", "", BODY,
                                    {**V1_PUT, "authorization": "SLS LTAIid:cuxlo2dE2fuqJf34ZyF1B5JKr9U="}),
    "V1 query": ("GET", "/logstores/access", QUERY, b"",
                 {**V1, **UNSIGNED, "x-log-bodyrawsize": "0",
                  "authorization": "LOG LTAIid:KXI0iD6JTKZtXJhAzy0r4YNUFDI="}),
    "V1 put with a token": ("PUT", "/", "", BODY,
                            {**V1_PUT, **UNSIGNED, "x-acs-security-token": "token",
                             "authorization": "LOG LTAIid:p6xGZAw/yEmSxpckpZ2YQoEv7a0="}),
    "V4 put": ("PUT", "/", "", BODY,
               {**V4_PUT,
                "authorization": f"{SCOPE}5320f3027752c042a0fd4556db54b2f1ec53123f144f21302ec9fa473ffa90a6"}),
    "V4 query": ("GET", "/logstores/access", QUERY, b"",
                 {**V4, "x-log-bodyrawsize": "0",
                  "x-log-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                  "authorization": f"{SCOPE}3df334ce24c7a40e4b5ec5778776653c129dc6e5bcf5db793a05ca18832a8fab"}),
    "V4 put with a token": ("PUT", "/", "", BODY,
                            {**V4_PUT, "x-acs-security-token": "token", "authorization":
                             f"{SCOPE}1f5710c25dea55aad653e3544073b123cb66810125d141408cf1cc7e40323b70"}),
}  # fmt: skip
"""Method, path, query, body, headers."""


def _sent(name: str, host: str = HOST, **changed: str) -> Sent:
    method, path, query, body, headers = REQUESTS[name]
    fields = headers | {key.replace("_", "-"): value for key, value in changed.items()}
    return Sent(method, host, decoded(path), query_of(query, "replace"), fields, body)


def _verify(sent: Sent, secret: str = "secret", token: str = "", now: float = NOW) -> Key:
    key = verify({"LTAIid": Key(id="LTAIid", secret=secret, token=token)}.get, sent, now)
    check_body(sent)
    return key


def _code(sent: Sent, **known: object) -> str:
    with pytest.raises(Fault) as caught:
        _verify(sent, **known)  # type: ignore[arg-type]
    return caught.value.code


@pytest.mark.parametrize("name", REQUESTS)
def test_a_client_that_signs_is_known(name: str) -> None:
    assert _verify(_sent(name), token="token" if "token" in name else "").id == "LTAIid"


@pytest.mark.parametrize("name", REQUESTS)
def test_another_secret_does_not_match(name: str) -> None:
    assert _code(_sent(name), secret="other") == "SignatureNotMatch"


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_sent_again_later_is_refused(name: str) -> None:
    assert _code(_sent(name), now=NOW + 901) == "RequestTimeExpired"


@pytest.mark.parametrize("name", REQUESTS)
def test_what_was_changed_on_the_way_does_not_match(name: str) -> None:
    sent = _sent(name)

    assert _code(sent._replace(path=f"{sent.path}x")) == "SignatureNotMatch"
    assert _code(sent._replace(query={**sent.query, "x": "y"})) == "SignatureNotMatch"
    assert _code(sent._replace(body=b"other")) == "SignatureNotMatch"


def test_a_time_that_was_not_signed_makes_no_old_request_a_new_one() -> None:
    sent = _sent("V1 put", x_log_date="Fri, 27 Nov 2026 21:50:53 GMT")

    assert _code(sent, now=NOW + 7200) == "SignatureNotMatch"


def test_a_port_that_a_proxy_is_told_need_not_be_signed() -> None:
    assert _verify(_sent("V4 query", host=f"{HOST}:80")).id == "LTAIid"


def test_a_key_of_a_function_needs_its_token() -> None:
    assert _code(_sent("V1 put"), token="token") == "Unauthorized"
    assert _code(_sent("V4 put"), token="token") == "Unauthorized"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "Unauthorized"),
        ("LOG", "Unauthorized"),
        ("LOG nobody:x", "Unauthorized"),
        ("FC LTAIid:x", "Unauthorized"),
        ("SLS4-HMAC-SHA256 Credential=LTAIid/x", "ParameterInvalid"),
        ("LOG LTAIid:ü", "SignatureNotMatch"),
    ],
)
def test_a_signature_of_no_use_is_refused_by_name(header: str, code: str) -> None:
    assert _code(_sent("V1 put", authorization=header)) == code


@pytest.mark.parametrize(
    ("host", "headers", "is_it"),
    [
        (HOST, {}, True),
        ("cn-hangzhou-intranet.log.aliyuncs.com", {}, True),
        ("web.cn-hangzhou.log.pyfc.localhost", {}, True),
        ("127.0.0.1", {b"authorization": b"LOG id:x"}, True),
        ("127.0.0.1", {b"authorization": b"SLS id:x"}, True),
        ("127.0.0.1", {b"x-log-apiversion": b"0.6.0"}, True),
        ("127.0.0.1", {b"authorization": b"OSS id:x"}, False),
        ("log.example.com", {}, False),
        ("evil.com.log.aliyuncs.com.example.com", {}, False),
    ],
)
def test_requests_to_the_log_service_are_told_from_others(
    host: str, headers: dict[bytes, bytes], is_it: bool
) -> None:  # fmt: skip
    assert is_meant(host, headers) is is_it
