"""Whether a log is what a search asks for: a search becomes a function of a log's fields, once.

Without an index all fields are searched, with the usual delimiters and without regard to capital letters; with one only
what it names, as it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pyfc.cloud.sls import words
from pyfc.cloud.sls.faults import Fault
from pyfc.cloud.sls.language import All, Both, Either, Has, Not, Part, Range, Word

Fields = Mapping[str, str]
Test = Callable[[Fields], bool]
_RESERVED = ("__topic__", "__source__", "__tag__:", "__receive_time__")
"""Fields that are searched by name whatever the index says."""
_HIDDEN = frozenset(("__time__", "__time_ns_part__", "__source__"))
"""Fields in which words without a key are not looked for."""


class _Way(NamedTuple):
    """How a text is searched."""

    delimiters: str
    is_exact: bool


_USUAL = _Way(words.DELIMITERS, is_exact=False)


class Index:
    """What of a logstore can be searched."""

    def __init__(self, config: Mapping[str, Any] | None) -> None:
        self._config = config
        self._keys: Mapping[str, Any] = (config or {}).get("keys") or {}
        self._line: Mapping[str, Any] | None = (config or {}).get("line")

    def way(self, key: str) -> _Way:
        """How a field's text is searched. Raises Fault for one that is not indexed."""
        if self._config is None or key.startswith(_RESERVED):
            return _USUAL
        found = self._keys.get(key)
        if found is None:
            raise Fault("ParameterInvalid", f"key ({key[:200]}) is not config as key value config")
        return _way(found)

    def line(self) -> _Way | None:
        """How words without a key are searched in all fields; None where they are in those with an index only."""
        return _USUAL if self._config is None else None if self._line is None else _way(self._line)

    def texts(self, fields: Fields) -> Iterable[tuple[_Way, str]]:
        """Where words without a key are looked for."""
        line = self.line()
        for key, text in fields.items():
            if key in _HIDDEN:
                continue
            if line is not None:
                yield line, text
            elif key in self._keys and self._keys[key].get("type", "text") in ("text", "json"):
                yield _way(self._keys[key]), text

    def check_number(self, key: str) -> None:
        """Raises Fault for a field whose index is of no numbers."""
        if self._config is not None and self._keys.get(key, {}).get("type") not in ("long", "double"):
            raise Fault("ParameterInvalid", f"key ({key[:200]}) is not indexed as long or double")


def test_of(part: Part, index: Index) -> Test:
    """A search as a function. Raises Fault ParameterInvalid for fields that are not indexed."""
    return _MAKERS[type(part)](part, index)


def _all(_: All, __: Index) -> Test:
    return lambda fields: True


def _both(part: Both, index: Index) -> Test:
    tests = [test_of(each, index) for each in part.parts]
    return lambda fields: all(test(fields) for test in tests)


def _either(part: Either, index: Index) -> Test:
    tests = [test_of(each, index) for each in part.parts]
    return lambda fields: any(test(fields) for test in tests)


def _not(part: Not, index: Index) -> Test:
    test = test_of(part.part, index)
    return lambda fields: not test(fields)


def _has(part: Has, index: Index) -> Test:
    index.way(part.key)
    if part.is_empty:
        return lambda fields: fields.get(part.key) == ""
    return lambda fields: part.key in fields


def _range(part: Range, index: Index) -> Test:
    index.check_number(part.key)

    def test(fields: Fields) -> bool:
        try:
            number = float(fields[part.key])
        except (KeyError, ValueError):
            return False
        above = part.low is None or number > part.low or (part.with_low and number == part.low)
        return above and (part.high is None or number < part.high or (part.with_high and number == part.high))

    return test


def _word(part: Word, index: Index) -> Test:
    if part.key:
        way = index.way(part.key)
        found = [_pattern(part, word, way) for word in _split(part, way)]
        return lambda fields: part.key in fields and all(each.search(fields[part.key]) for each in found)
    wanted_words = _split(part, index.line() or _USUAL)
    known: dict[_Way, Sequence[re.Pattern[str]]] = {}

    def patterns(way: _Way) -> Sequence[re.Pattern[str]]:
        if way not in known:
            known[way] = [_pattern(part, word, way) for word in wanted_words]
        return known[way]

    def test(fields: Fields) -> bool:
        texts = [(patterns(way), text) for way, text in index.texts(fields)]
        return all(any(found[place].search(text) for found, text in texts) for place in range(len(wanted_words)))

    return test


def _split(part: Word, way: _Way) -> Sequence[str]:
    if part.is_phrase:
        return [part.text]
    return words.split(part.text, way.delimiters.replace("?", "").replace("*", ""))


def _pattern(part: Word, word: str, way: _Way) -> re.Pattern[str]:
    if part.is_phrase:
        return words.phrase(word, is_exact=way.is_exact)
    return words.pattern(word, way.delimiters, has_wildcards=True, is_exact=way.is_exact)


def _way(config: Mapping[str, Any]) -> _Way:
    tokens = config.get("token")
    delimiters = "".join(each for each in tokens if isinstance(each, str)) if isinstance(tokens, list) else ""
    return _Way(delimiters, is_exact=config.get("caseSensitive") is True)


_MAKERS: Mapping[type, Callable[[Any, Index], Test]] = {
    All: _all, Both: _both, Either: _either, Not: _not, Has: _has, Range: _range, Word: _word,
}  # fmt: skip


def wanted(part: Part) -> str:
    """What the full-text index must have of a log that is found, as FTS5 asks for it; '' if that says nothing."""
    if isinstance(part, Word):
        return " AND ".join(map(_quoted, words.wanted(part.text, has_wildcards=not part.is_phrase)))
    if not isinstance(part, Both | Either):
        return ""
    parts = [f"({each})" if each else "" for each in map(wanted, part.parts)]
    if isinstance(part, Both):
        return " AND ".join(filter(None, parts))
    return " OR ".join(parts) if all(parts) else ""


def _quoted(piece: str) -> str:
    return f'"{piece[:-1]}" *' if piece.endswith("*") else f'"{piece}"'
