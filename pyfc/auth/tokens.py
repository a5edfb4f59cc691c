"""HTTP triggers with `authType: jwt`: tokens are checked by the keys that the trigger names, and claims passed on.

1. A token is good if one of the trigger's keys signed it by an algorithm of that key. The token chooses among these
   keys by its `kid`, never the algorithm alone, and `none` is no algorithm.
2. What is named for a claim cannot be sent by the client: it is taken away before anything else.
3. With a whitelist all paths but these need a token, with a blacklist only these do. A path that may be read in two
   ways (`/a/../b`, `//a`) needs one always.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

import jwt

from pyfc.errors import AccessDenied, InvalidArgument

ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512", "ES256K"),
    "OKP": ("EdDSA",),
    "oct": ("HS256", "HS384", "HS512"),
}
"""What keys of a kind may sign with; one with `alg` signs with that alone."""
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}
_FROM, _TO = ("header", "query", "cookie", "form"), ("header", "query", "cookie", "form")
_FORM = b"application/x-www-form-urlencoded"
_OPTIONS: Any = {"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
_MISSING, _WRONG = "missing or malformed jwt", "invalid or expired jwt"
_MOST_KEYS, _LONGEST_FORM = 100, 64 * 1024


class Place(NamedTuple):
    """Where in a request something stands."""

    kind: str
    name: str
    detail: str
    """Of a token the text before it, of a claim its name."""


Headers = list[tuple[bytes, bytes]]


class Parts(NamedTuple):
    """What of a request tokens are read from and claims written to."""

    url: bytes
    headers: Headers
    body: bytes | None
    """None for one that is still on its way."""

    def value(self, name: bytes) -> bytes:
        """The value of the last header of this name."""
        return next((value for key, value in reversed(self.headers) if key == name), b"")

    @property
    def is_form(self) -> bool:
        """Whether the body is a form."""
        return self.value(b"content-type").partition(b";")[0].strip().lower() == _FORM


def authorizer_of(config: str | Mapping[str, Any]) -> Authorizer:
    """What checks tokens by FC's authConfig, which may be JSON. Raises InvalidArgument."""
    return _authorizer(config if isinstance(config, str) else json.dumps(config))


@lru_cache(256)
def _authorizer(config: str) -> Authorizer:
    try:
        found = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(message=f"authConfig is no JSON: {error}") from error
    if not isinstance(found, Mapping):
        raise InvalidArgument(message="authConfig must be an object with jwks and tokenLookup")
    return Authorizer(found)


class Authorizer:
    """Checks the requests of one trigger."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config`: FC's authConfig. Raises InvalidArgument."""
        self._keys = list(_keys(config))
        self._lookups = _places(config, "tokenLookup", _FROM, ("readPosition", "parameterName", "prefix"))
        if not self._lookups:
            raise InvalidArgument(message="authConfig.tokenLookup names no place where a token stands")
        names = ("mappingParameterPosition", "claimName", "mappingParameterName")
        passed = _places(config, "claimPassBy", _TO, names)
        self._passed = [Place(kind, name or claim, claim or name) for kind, claim, name in passed if claim or name]
        self._free, self._bound = (_paths(config, name) for name in ("whitelist", "blacklist"))
        if self._free and self._bound:
            raise InvalidArgument(message="authConfig has a whitelist and a blacklist; it must have one of them")

    def authorized(self, path: bytes, url: bytes, headers: Headers, body: bytes | None) -> Parts:
        """The request with what its token claims. `path`: as the function is called at, undecoded; `headers` have names
        in lower case; `body`: None for one that is still on its way. Raises AccessDenied, InvalidArgument.
        """
        parts = Parts(url, headers, body)
        token = self._token(parts) if self._needs_token(path.decode("latin-1")) else None
        for place in self._passed:
            parts = _without(parts, place)
        if token is None:
            return parts
        claims = self._claims(token)
        for place in self._passed:
            if place.detail in claims:
                parts = _with(parts, place, _as_text(claims[place.detail]))
        return parts

    def _needs_token(self, path: str) -> bool:
        decoded = unquote(path)
        parts = [part.partition(";")[0] for part in decoded.split("/")[1:]]
        if "\\" in decoded or "" in parts[:-1] or not {".", ".."}.isdisjoint(parts):
            return True
        if self._bound:
            return _covers(self._bound, decoded)
        return not _covers(self._free, decoded)

    def _token(self, parts: Parts) -> str:
        for place in self._lookups:
            for value in _values(parts, place):
                if value.startswith(place.detail) and len(value) > len(place.detail):
                    return value[len(place.detail) :].strip()
        raise AccessDenied(message=_MISSING)

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise AccessDenied(message=_MISSING) from error
        for key in self._fitting(head):
            with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
                return dict(jwt.decode(token, key, algorithms=[key.algorithm_name], options=_OPTIONS))
        raise AccessDenied(message=_WRONG)

    def _fitting(self, head: Mapping[str, Any]) -> list[jwt.PyJWK]:
        """The keys that a token may be signed by: that of its name, else those without one; all if it names none."""
        keys, name = self._keys, head.get("kid")
        if name is not None:
            wanted = name if any(key.key_id == name for key in keys) else None
            keys = [key for key in keys if key.key_id == wanted]
        return [key for key in keys if key.algorithm_name == head.get("alg")]


def _keys(config: Mapping[str, Any]) -> Iterator[jwt.PyJWK]:
    """The keys of a trigger, once for each of their algorithms."""
    given = config.get("jwks")
    keys = given.get("keys") if isinstance(given, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MOST_KEYS:
        raise InvalidArgument(message=f"authConfig.jwks.keys must be a list of 1 to {_MOST_KEYS} keys")
    for number, key in enumerate(keys):
        where = f"authConfig.jwks.keys[{number}]"
        if not isinstance(key, Mapping):
            raise InvalidArgument(message=f"{where} must be an object")
        if key.get("use", "sig") != "sig":
            raise InvalidArgument(message=f"{where}.use is {key['use']!r}; it must be 'sig'")
        try:
            yield from [jwt.PyJWK(dict(key), algorithm) for algorithm in _algorithms(where, key)]
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidArgument(message=f"{where} is no key: {error}") from error


def _algorithms(where: str, key: Mapping[str, Any]) -> tuple[str, ...]:
    """What a key signs by."""
    kind = str(key.get("kty"))
    allowed = ALGORITHMS.get(kind, ())
    if kind == "EC":
        allowed = (_CURVES.get(str(key.get("crv")), ""),)
    chosen = (str(key["alg"]),) if key.get("alg") else allowed
    if not allowed or not set(chosen) <= set(allowed):
        said = f"is one of kind {kind!r} for {', '.join(chosen) or 'nothing'}"
        raise InvalidArgument(message=f"{where} {said}; it must be one for {', '.join(allowed) or 'RSA, EC, OKP, oct'}")
    return chosen


def _places(config: Mapping[str, Any], name: str, kinds: Sequence[str], keys: tuple[str, str, str]) -> list[Place]:
    """Places as a list of objects with these keys, or as text: `header:Authorization:Bearer ,query:token`."""
    found = [Place(row[0].strip().lower(), row[1].strip(), row[2].lstrip()) for row in _rows(config, name, keys)]
    for place in found:
        if place.kind not in kinds:
            raise InvalidArgument(message=f"authConfig.{name} has {place.kind!r}; it must be one of {', '.join(kinds)}")
    return found


def _rows(config: Mapping[str, Any], name: str, keys: tuple[str, str, str]) -> list[list[str]]:
    given = config.get(name) or []
    if isinstance(given, str):
        return [[*each.split(":", 2), "", ""][:3] for each in given.split(",")]
    if isinstance(given, list) and all(isinstance(each, Mapping) for each in given):
        return [[str(each.get(key) or "") for key in keys] for each in given]
    raise InvalidArgument(message=f"authConfig.{name} must be a list of objects, or text")


def _paths(config: Mapping[str, Any], name: str) -> list[str]:
    given = config.get(name) or config.get(name.replace("list", "List")) or []
    if isinstance(given, str) or not all(isinstance(each, str) and each.startswith("/") for each in given):
        raise InvalidArgument(message=f"authConfig.{name} must be a list of paths that begin with /")
    return list(given)


def _covers(paths: Sequence[str], path: str) -> bool:
    return any(path == each or (each.endswith("/*") and path.startswith(each[:-1])) for each in paths)


def _values(parts: Parts, place: Place) -> list[str]:
    """What stands at a place, the first first."""
    if place.kind == "header":
        name = place.name.lower().encode()
        return [value.decode("latin-1") for key, value in parts.headers if key == name]
    return [value for name, value in _pairs(parts, place.kind) if name == place.name]


def _pairs(parts: Parts, kind: str) -> list[tuple[str, str]]:
    if kind == "query":
        return parse_qsl(parts.url.partition(b"?")[2].decode("latin-1"), keep_blank_values=True)
    if kind == "cookie":
        pairs = [each.decode("latin-1").partition("=") for each in _cookies(parts)]
        return [(name, value.strip('"')) for name, _, value in pairs]
    if not parts.is_form or parts.body is None or len(parts.body) > _LONGEST_FORM:
        return []
    return parse_qsl(parts.body.decode("latin-1"), keep_blank_values=True)


def _cookies(parts: Parts) -> list[bytes]:
    whole = b";".join(value for key, value in parts.headers if key == b"cookie")
    return [each.strip() for each in whole.split(b";") if each.strip()]


def _without(parts: Parts, place: Place) -> Parts:
    """The request without what the client sent at a place."""
    if place.kind == "header":
        same = place.name.lower().replace("_", "-").encode()  # which many programs take for one another
        return parts._replace(headers=[each for each in parts.headers if each[0].replace(b"_", b"-") != same])
    if place.kind == "cookie":
        kept = [each for each in _cookies(parts) if each.partition(b"=")[0].strip() != place.name.encode()]
        return _header(parts, b"cookie", b"; ".join(kept))
    if place.kind == "form":
        _check_form(parts)
    return _kept(parts, place.kind, place.name)


def _kept(parts: Parts, kind: str, name: str) -> Parts:
    before = _pairs(parts, kind)
    after = [each for each in before if each[0] != name]
    return parts if len(after) == len(before) else _written(parts, kind, after)


def _check_form(parts: Parts) -> None:
    """Raises InvalidArgument for a form that cannot be looked at."""
    if parts.is_form and (parts.body is None or len(parts.body) > _LONGEST_FORM):
        raise InvalidArgument(message=f"a form that claims are written to has at most {_LONGEST_FORM} bytes")


def _with(parts: Parts, place: Place, text: str) -> Parts:
    """The request with a value at a place that is empty."""
    if place.kind == "header":
        return _header(parts, place.name.lower().encode(), _visible(text))
    if place.kind == "cookie":
        return _header(parts, b"cookie", b"; ".join([*_cookies(parts), f"{place.name}={quote(text)}".encode()]))
    if place.kind == "form" and not parts.is_form:
        return parts
    return _written(parts, place.kind, [*_pairs(parts, place.kind), (place.name, text)])


def _written(parts: Parts, kind: str, pairs: list[tuple[str, str]]) -> Parts:
    text = urlencode(pairs).encode()
    if kind == "query":
        path = parts.url.partition(b"?")[0]
        return parts._replace(url=path + b"?" + text if text else path)
    return _header(parts._replace(body=text), b"content-length", str(len(text)).encode())


def _header(parts: Parts, name: bytes, value: bytes) -> Parts:
    kept = [each for each in parts.headers if each[0] != name]
    return parts._replace(headers=[*kept, (name, value)] if value else kept)


def _visible(text: str) -> bytes:
    """A header's value: what none can hold is percent-encoded."""
    is_plain = text.isascii() and text.isprintable()
    return (text if is_plain else quote(text, safe=" !#$&'()*+,/:;=?@[]")).strip().encode()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
