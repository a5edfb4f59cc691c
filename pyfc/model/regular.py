"""Regular expressions that users write, by RE2, which takes time that grows with the text and not beyond: there is no
pattern that takes long. What it does not have (looking around, references back) is refused.
"""

from __future__ import annotations

from typing import Any

try:
    import re2
except ImportError:  # there is no wheel for every system
    re2 = None


class WrongExpression(ValueError):
    """What is no regular expression, or none here, with the reason."""


class MissingEngine(WrongExpression):
    """RE2 is not installed."""


def compiled(pattern: str) -> Any:
    """What matches as Python's `re` does; those that were compiled last are remembered. Raises WrongExpression."""
    if re2 is None:
        raise MissingEngine("needs the package google-re2: pip install google-re2")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise WrongExpression(_reason(error)) from None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
