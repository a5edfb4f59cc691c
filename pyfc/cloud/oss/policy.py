"""The policy of a form that uploads a file: what the form may hold, until when, and who has signed it (V1, V2, V4)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pyfc.auth.keys import Key
from pyfc.auth.signature import Find, is_same
from pyfc.cloud.oss.faults import Fault
from pyfc.cloud.oss.signature import key_of, no_match, read_credential, sign_v2
from pyfc.cloud.oss.writing import LARGEST
from pyfc.cloud.signature import sign_v1, sign_v4

_OPERATORS = ("eq", "starts-with", "in", "not-in", "content-length-range")
_V4 = "OSS4-HMAC-SHA256"
Fields = Callable[[str], str]
"""A field of the form by its name in lower case; '' if there is none."""


class Range(NamedTuple):
    """How many bytes the file may have."""

    least: int = 0
    most: int = LARGEST


def verified(find: Find, fields: Fields) -> Key | None:
    """Who has signed a form, None for nobody. Raises Fault InvalidAccessKeyId, SignatureDoesNotMatch, InvalidArgument
    for a form that is signed in part.
    """
    name, signature, sign = _claim(fields)
    policy = fields("policy")
    if not name and not signature and not policy:
        return None
    if not name or not signature or not policy:
        raise Fault("InvalidArgument", "A form that is signed has a policy, the id of a key and a signature.")
    key = key_of(find, name, fields("x-oss-security-token"))
    try:
        made = sign(key.secret, policy)
    except UnicodeEncodeError:
        raise Fault("InvalidPolicyDocument", "The policy is no Base64.") from None
    if not is_same(made, signature):
        raise no_match(name, signature, policy)
    return key


def _claim(fields: Fields) -> tuple[str, str, Callable[[str, str], str]]:
    """The id of a key, the signature, and how it is made."""
    version = fields("x-oss-signature-version")
    if version == _V4:
        name, scope, _ = read_credential(fields("x-oss-credential"), fields("x-oss-date"))
        return name, fields("x-oss-signature"), lambda secret, text: sign_v4(secret, scope, text)
    if version == "OSS2":
        return fields("x-oss-access-key-id"), fields("x-oss-signature"), sign_v2
    return fields("ossaccesskeyid"), fields("signature"), sign_v1


def checked(fields: Fields, now: float) -> Range:
    """How large the file may be, after the fields have been compared with the policy, if there is one. Raises Fault
    InvalidPolicyDocument, AccessDenied for what the policy does not allow.
    """
    if not fields("policy"):
        return Range()
    policy = _decoded(fields("policy"))
    if _expiry(policy) < now:
        raise Fault("AccessDenied", "Invalid according to Policy: Policy expired.")
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise _no_policy("it has no list of conditions")
    found = Range()
    for condition in conditions:
        for name, operator, values in _tests(condition):
            if operator == "content-length-range":
                found = _narrowed(found, values)
            elif not _holds(fields(name), operator, values):
                shown = json.dumps(condition)[:500]
                raise Fault("AccessDenied", f"Invalid according to Policy: Policy Condition failed: {shown}")
    return found


def _decoded(text: str) -> dict[str, Any]:
    try:
        policy = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _no_policy("it is no JSON in base64") from None
    if not isinstance(policy, dict):
        raise _no_policy("it is no JSON object")
    return policy


def _expiry(policy: Mapping[str, Any]) -> float:
    try:
        found = datetime.fromisoformat(policy["expiration"])
    except (KeyError, TypeError, ValueError):
        raise _no_policy("its expiration is no time like 2026-12-01T12:00:00.000Z") from None
    if found.tzinfo is None:
        raise _no_policy("its expiration has no time zone")
    return found.timestamp()


def _tests(condition: object) -> list[tuple[str, str, Sequence[Any]]]:
    """What a condition says, as field, operator and values."""
    if isinstance(condition, dict):
        return [(name.lower(), "eq", [value]) for name, value in condition.items()]
    if not isinstance(condition, list) or len(condition) != 3 or condition[0] not in _OPERATORS:
        raise _no_policy(f"a condition is no [OPERATOR, NAME, VALUE] with one of {', '.join(_OPERATORS)}")
    operator, name, value = condition
    if operator == "content-length-range":
        return [("", operator, [name, value])]
    if not isinstance(name, str) or not name.startswith("$"):
        raise _no_policy("the name of a field begins with $")
    return [(name[1:].lower(), operator, value if isinstance(value, list) else [value])]


def _holds(value: str, operator: str, wanted: Sequence[Any]) -> bool:
    if operator == "starts-with":
        return any(isinstance(each, str) and value.startswith(each) for each in wanted)
    if operator == "not-in":
        return value not in wanted
    return value in wanted


def _narrowed(found: Range, values: Sequence[Any]) -> Range:
    if any(not isinstance(each, int) or isinstance(each, bool) or each < 0 for each in values):
        raise _no_policy("content-length-range has two numbers")
    least, most = values
    return Range(max(found.least, least), min(found.most, most))


def _no_policy(what: str) -> Fault:
    return Fault("InvalidPolicyDocument", f"Invalid Policy: {what}.")
