"""What a token must be for a trigger to let a request in, and how its claims reach the function."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pyfc.auth.tokens import Authorizer
from pyfc.errors import AccessDenied, InvalidArgument

PRIVATE = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
SECRET = "x" * 64
_WRITES: dict[str, Any] = {
    "RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm, "EdDSA": jwt.algorithms.OKPAlgorithm,
}  # fmt: skip


def public(algorithm: str, **more: str) -> dict[str, Any]:
    """A key set's entry for what signs by an algorithm."""
    if algorithm.startswith("HS"):
        found = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")}
    else:
        found = json.loads(_WRITES[algorithm].to_jwk(PRIVATE[algorithm].public_key()))
    return {key: value for key, value in found.items() if key != "key_ops"} | more


def config(*keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"jwks": {"keys": list(keys)}, "tokenLookup": "header:Authorization:Bearer ", **more}


def token(algorithm: str = "RS256", key: Any = None, headers: Any = None, **claims: Any) -> str:
    return jwt.encode(claims, PRIVATE.get(algorithm, SECRET) if key is None else key, algorithm, headers)


def call(
    authorizer: Authorizer, token: str = "", path: str = "/", url: str = "", body: bytes | None = b"", **headers: str
) -> tuple[str, dict[str, str], bytes | None]:
    """Url, headers and body as the function gets them."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if token:
        sent.append((b"authorization", f"Bearer {token}".encode()))
    url, found, body = authorizer.authorized(path.encode(), (url or path).encode(), sent, body)  # type: ignore[assignment]
    return url.decode(), {name.decode(): value.decode() for name, value in found}, body  # type: ignore[attr-defined]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "HS256"])
@pytest.mark.parametrize("names_it", [True, False])
def test_a_token_of_one_of_the_keys_is_let_in(algorithm: str, names_it: bool) -> None:
    key = public(algorithm, **({"alg": algorithm} if names_it else {}))

    url, headers, _ = call(Authorizer(config(key)), token(algorithm, exp=time.time() + 60), path="/a?b")

    assert url == "/a?b"
    assert set(headers) == {"authorization"}


def test_what_is_not_signed_by_the_keys_own_algorithm_is_refused() -> None:
    authorizer = Authorizer(config(public("RS256", alg="RS256", kid="one")))
    pem = PRIVATE["RS256"].public_key()
    modulus = base64.urlsafe_b64encode(str(pem.public_numbers().n).encode())
    other = rsa.generate_private_key(65537, 2048)
    unsigned = jwt.encode({}, "", algorithm="none")

    for wrong in (
        unsigned,
        unsigned.replace(unsigned.split(".")[0], base64.urlsafe_b64encode(b'{"alg":"None"}').decode().rstrip("=")),
        token("RS256", other, {"kid": "one"}),
        token("HS256", modulus, {"kid": "one"}),
        token("RS256", headers={"kid": "two"}),
        jwt.encode({}, PRIVATE["RS256"], "RS512", {"kid": "one"}),
        token("RS256", headers={"kid": "one"})[:-4] + "AAAA",
        token("RS256", headers={"kid": "one"}, exp=time.time() - 1),
        token("RS256", headers={"kid": "one"}, nbf=time.time() + 60),
        "a.b.c",
    ):
        with pytest.raises(AccessDenied, match=r"(invalid or expired|missing or malformed) jwt"):
            call(authorizer, wrong)
    call(authorizer, token("RS256", headers={"kid": "one"}))
    call(authorizer, token("RS256"))


def test_a_token_finds_its_key_by_kid_or_one_that_has_none() -> None:
    authorizer = Authorizer(config(public("RS256", kid="one"), public("ES256", kid="two"), public("HS256")))

    call(authorizer, token("ES256", headers={"kid": "two"}))
    call(authorizer, token("HS256", headers={"kid": "three"}))
    call(authorizer, token("ES256"))
    with pytest.raises(AccessDenied):
        call(authorizer, token("ES256", headers={"kid": "one"}))
    with pytest.raises(AccessDenied):
        call(authorizer, token("ES256", headers={"kid": "three"}))


@pytest.mark.parametrize("written", [True, False])
def test_a_token_stands_where_the_trigger_says(written: bool) -> None:
    places = [("header", "X-Token", "T "), ("query", "token", ""), ("cookie", "session", ""), ("form", "f", "")]
    lookup: Any = ",".join(":".join(place).rstrip(":") for place in places)
    if not written:
        keys = ("readPosition", "parameterName", "prefix")
        lookup = [dict(zip(keys, place, strict=True)) for place in places]
    authorizer = Authorizer(config(public("RS256"), tokenLookup=lookup))
    good = token()

    call(authorizer, x_token=f"T {good}")
    call(authorizer, url=f"/?a=b&token={good}")
    call(authorizer, cookie=f"a=b; session={good}")
    call(authorizer, body=f"a=b&f={good}".encode(), content_type="application/x-www-form-urlencoded; charset=utf-8")
    for sent in ({"x_token": good}, {"token": good}, {"cookie": f"other={good}"}, {}):
        with pytest.raises(AccessDenied, match="missing or malformed jwt"):
            call(authorizer, **sent)


def test_claims_reach_the_function_and_what_is_named_for_them_can_not_be_sent() -> None:
    passed = "header:sub:X-User,header:roles:X-Roles,query:sub:user,cookie:sub:user,form:sub:user,header::plain"
    authorizer = Authorizer(config(public("RS256"), claimPassBy=passed))
    forged = {"x_user": "root", "x_roles": "all", "cookie": "user=root; a=b", "plain": "root"}
    form = {"body": b"user=root&c=d", "content_type": "application/x-www-form-urlencoded", "content_length": "13"}

    url, headers, body = call(
        authorizer, token(sub="ad\u00e9", roles=["x"]), url="/p?%75ser=root&k=v", **forged, **form
    )  # type: ignore[arg-type]

    assert url == "/p?k=v&user=ad%C3%A9"
    assert body == b"c=d&user=ad%C3%A9"
    del headers["authorization"]
    assert headers == {
        "x-user": "ad%C3%A9", "x-roles": '["x"]', "cookie": "a=b; user=ad%C3%A9", "content-length": "17",
        "content-type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    sent = [(b"x_user", b"root"), (b"authorization", f"Bearer {token()}".encode())]
    assert authorizer.authorized(b"/", b"/", sent, b"").headers == sent[1:]


def test_a_form_that_is_too_long_to_look_at_is_refused_where_claims_stand_in_forms() -> None:
    authorizer = Authorizer(config(public("RS256"), claimPassBy="form:sub:user"))

    for body in (b"x" * 70_000, None):
        with pytest.raises(InvalidArgument, match="has at most 65536 bytes"):
            call(authorizer, token(), body=body, content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("kind", "free", "bound"),
    [
        ("whitelist", ["/open", "/files/", "/files/a/b", "/%6fpen"], ["/", "/open/x", "/opener", "/files"]),
        ("blackList", ["/", "/open/x", "/files"], ["/open", "/files/", "/files/a/b", "/%6fpen"]),
    ],
)
def test_the_lists_say_which_paths_need_a_token(kind: str, free: list[str], bound: list[str]) -> None:
    authorizer = Authorizer(config(public("RS256"), claimPassBy="header:sub:user", **{kind: ["/open", "/files/*"]}))

    for path in free:
        assert call(authorizer, path=path, user="forged")[1] == {}
    doubtful = [
        "/files/../secret",
        "//open",
        "/files/%2e%2e/secret",
        "/files/..;/secret",
        "/x/../open",
        "/files\\..\\x",
    ]
    for path in (*bound, *doubtful):
        with pytest.raises(AccessDenied):
            call(authorizer, path=path)
        call(authorizer, token(), path=path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"jwks": {}}, "jwks.keys must be a list of 1 to 100 keys"),
        ({"jwks": {"keys": ["x"]}}, r"keys\[0\] must be an object"),
        ({"jwks": {"keys": [{"kty": "none"}]}}, r"keys\[0\] is one of kind 'none' for nothing"),
        ({"jwks": {"keys": [public("RS256", alg="none")]}}, "is one of kind 'RSA' for none; it must be one for RS256"),
        ({"jwks": {"keys": [public("RS256", alg="HS256")]}}, "is one of kind 'RSA' for HS256"),
        ({"jwks": {"keys": [public("RS256", use="enc")]}}, "use is 'enc'; it must be 'sig'"),
        ({"jwks": {"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}}, r"keys\[0\] is no key"),
        ({"tokenLookup": ""}, "names no place where a token stands"),
        ({"tokenLookup": "body:x"}, "tokenLookup has 'body'; it must be one of header, query, cookie, form"),
        ({"claimPassBy": [1]}, "claimPassBy must be a list of objects, or text"),
        ({"whitelist": ["x"]}, "whitelist must be a list of paths that begin with /"),
        ({"whitelist": ["/a"], "blacklist": ["/b"]}, "a whitelist and a blacklist"),
    ],
)
def test_a_configuration_by_which_nothing_can_be_checked_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Authorizer(config(public("RS256")) | wrong)


def test_a_server_without_tokens_does_not_wait_for_what_checks_them() -> None:
    code = "import sys, pyfc.app; print([name for name in ('jwt', 'pyfc.auth.tokens') if name in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
