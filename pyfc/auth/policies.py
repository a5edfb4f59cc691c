"""RAM's policies: which statements the managed ones have, and what statements say of an action and a resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pyfc.model.permissions import EVERYTHING, Policies, Statement

_ANYWHERE = ("*",)
_PARTS = 5
"""Of a resource: acs:SERVICE:REGION:ACCOUNT:REST."""


def _allow(*actions: str) -> Statement:
    return Statement(actions=actions, resources=_ANYWHERE)


MANAGED: Mapping[str, Statement] = MappingProxyType(
    {
        EVERYTHING: _allow("*"),
        "ReadOnlyAccess": _allow("*:Get*", "*:List*", "*:Describe*", "*:Query*"),
        "AliyunOSSFullAccess": _allow("oss:*"),
        "AliyunOSSReadOnlyAccess": _allow("oss:Get*", "oss:List*"),
        "AliyunLogFullAccess": _allow("log:*"),
        "AliyunLogReadOnlyAccess": _allow("log:Get*", "log:List*", "log:Query*"),
        "AliyunMNSFullAccess": _allow("mns:*"),
        "AliyunMNSReadOnlyAccess": _allow("mns:Get*", "mns:List*", "mns:Peek*"),
        "AliyunEventBridgeFullAccess": _allow("eventbridge:*"),
        "AliyunFCFullAccess": _allow("fc:*"),
        "AliyunFCReadOnlyAccess": _allow("fc:Get*", "fc:List*"),
        "AliyunFCInvocationAccess": _allow("fc:InvokeFunction"),
    }
)
"""Managed policies of services that functions find here; others have nothing to say."""


def full_access(action: str) -> str:
    """The managed policy that allows an action; '' if there is none."""
    service = action.partition(":")[0]
    named = (name for name, statement in MANAGED.items() if statement.actions == (f"{service}:*",))
    return next(named, "")


def statements_of(policies: Policies) -> tuple[Statement, ...]:
    """What policies say."""
    found = (MANAGED.get(each) if isinstance(each, str) else each for each in policies)
    return tuple(each for each in found if each is not None)


def judged(statements: Iterable[Statement], action: str, resource: str) -> bool | None:
    """Whether statements allow an action on a resource; None if none is about them. One that denies counts more than
    those that allow.
    """
    lower = action.lower()
    found = {each.effect for each in statements if _is_about(each, lower, resource)}
    return None if not found else "Deny" not in found


def _is_about(statement: Statement, action: str, resource: str) -> bool:
    """Of actions the case does not matter."""
    for each in statement.actions:
        if fits(each.lower(), action):
            return any(_means(one, resource) for one in statement.resources)
    return False


def _means(pattern: str, resource: str) -> bool:
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", _PARTS - 1), resource.split(":", _PARTS - 1)
    if len(wanted) < _PARTS or len(given) < _PARTS:
        return fits(pattern, resource)
    return fits(wanted[4], given[4]) and fits(wanted[1], given[1]) and fits(wanted[0], given[0])


def fits(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern with `*` and `?` has it. The time is bounded by the product of their lengths,
    which that of a regular expression made of the pattern is not.
    """
    first = pattern.find("*")
    if "?" not in pattern and first in (-1, len(pattern) - 1):
        return text == pattern if first < 0 else text.startswith(pattern[:-1])
    at = place = after = 0
    star = -1
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, after = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:  # the last star takes one more character
            after += 1
            at, place = star + 1, after
        else:
            return False
    return not pattern[at:].strip("*")
