"""The languages of the console: a table each, with the same keys, and how one is chosen."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh-CN": "中文"}
"""By their codes, each in its own words."""
_USUAL = "en"


class Texts:
    """The texts of one language."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._table = table(code)

    def __call__(self, key: str, **values: object) -> str:
        """A text, with what its braces name. Raises KeyError for a key that no table has."""
        return self._table[key].format(**values)


@cache
def table(code: str) -> dict[str, str]:
    """The texts of a language by their keys."""
    text = (Path(__file__).parent / "languages" / f"{code}.toml").read_text("utf-8")
    return {f"{part}.{key}": value for part, values in tomllib.loads(text).items() for key, value in values.items()}


@cache
def texts(code: str) -> Texts:
    """The texts of a language."""
    return Texts(code)


def chosen(cookie: str, accepted: str) -> str:
    """The language of a request: that of its cookie, else the first of its Accept-Language header that there is."""
    if cookie in LANGUAGES:
        return cookie
    weighed: list[tuple[float, str]] = []
    for each in accepted.split(",")[:20]:
        name, _, weight = each.partition(";q=")
        with_weight = weight.strip() or "1"
        weighed.append((float(with_weight) if with_weight.replace(".", "", 1).isdecimal() else 0.0, name.strip()))
    for _, name in sorted(weighed, key=lambda pair: -pair[0]):
        if name.lower().startswith("zh"):
            return "zh-CN"
        if name.lower().startswith("en"):
            return "en"
    return _USUAL
