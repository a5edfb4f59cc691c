"""JSON, arrays and maps in SLS's SQL. An array or a map is its JSON text here: SQLite has no such values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 100_000
"""Characters that a pattern is tried on."""
_MOST = 100_000
"""Values of a sequence."""


def _json(text: Any, path: Any) -> Any:
    if text is None or path is None:
        return None
    found: Any = json.loads(str(text))
    for name, number in re.findall(r"""\.?([^.\[\]"'$]+)|\[["']?([^\]"']+)["']?\]""", str(path).removeprefix("$")):
        key = name or number
        if isinstance(found, list) and key.lstrip("-").isdigit():
            found = found[int(key)] if -len(found) <= int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found


def _json_extract(text: Any, path: Any) -> str | None:
    found = _json(text, path)
    return None if found is None else json.dumps(found, ensure_ascii=False)


def _json_extract_scalar(text: Any, path: Any) -> str | None:
    found = _json(text, path)
    if found is None or isinstance(found, dict | list):
        return None
    return json.dumps(found) if isinstance(found, bool) else str(found)


def _json_array_length(text: Any) -> int | None:
    found = json.loads(text) if text is not None else None
    return len(found) if isinstance(found, list) else None


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _value(value: Any) -> Any:
    """One of an array or a map, as SQLite has it."""
    return _shown(value) if isinstance(value, dict | list | bool) else value


def _list(text: Any) -> list[Any]:
    found = json.loads(text)
    if not isinstance(found, list):
        raise TypeError("it is no array")
    return found


def _map(text: Any) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError("it is no map")
    return found


def _element_at(text: Any, which: Any) -> Any:
    found = json.loads(text)
    if isinstance(found, dict):
        return _value(found.get(str(which)))
    place = int(which)
    return _value(found[place - 1 if place > 0 else place]) if place else None


def _split(text: Any, mark: Any, most: Any = 0) -> str:
    return _shown(str(text).split(str(mark), int(most) - 1))


def _split_to_map(text: Any, between: Any, within: Any) -> str:
    pairs = (each.partition(str(within)) for each in str(text).split(str(between)) if each)
    return _shown({key: value for key, _, value in pairs})


def _matches(text: Any, pattern: Any, group: Any = 0) -> str:
    return _shown([found[int(group)] for found in re.finditer(str(pattern), str(text)[:_LONGEST])])


def _contains(text: Any, value: Any) -> bool:
    return value in _list(text)


def _sorted(text: Any) -> str:
    found = _list(text)
    return _shown(sorted(each for each in found if each is not None) + [each for each in found if each is None])


def _sum(text: Any) -> float:
    return math.fsum(float(each) for each in _list(text) if each is not None)


def _sequence(first: Any, last: Any, step: Any = 1) -> str:
    begin, end, by = int(first), int(last), int(step)
    found = range(begin, end + (1 if by > 0 else -1), by)
    if len(found) > _MOST:
        raise ValueError("it is too long")
    return _shown(list(found))


def _is_scalar(text: Any) -> bool:
    return not isinstance(json.loads(text), dict | list)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "json_extract": (_json_extract, (2,)), "json_extract_scalar": (_json_extract_scalar, (2,)),
    "json_array_length": (_json_array_length, (1,)), "json_size": (lambda text, path: len(_json(text, path)), (2,)),
    "json_parse": (lambda text: _shown(json.loads(text)), (1,)),
    "json_format": (lambda text: _shown(json.loads(text)), (1,)),
    "json_array_get": (lambda text, place: _value(_list(text)[int(place)]), (2,)),
    "json_array_contains": (_contains, (2,)), "is_json_scalar": (_is_scalar, (1,)),
    "split": (_split, (2, 3)), "split_to_map": (_split_to_map, (3,)),
    "regexp_extract_all": (_matches, (2, 3)),
    "regexp_split": (lambda text, pattern: _shown(re.split(str(pattern), str(text)[:_LONGEST])), (2,)),
    "element_at": (_element_at, (2,)), "cardinality": (lambda text: len(json.loads(text)), (1,)),
    "contains": (_contains, (2,)), "array_position": (lambda text, value: _list(text).index(value) + 1, (2,)),
    "array_join": (lambda text, mark: str(mark).join(str(each) for each in _list(text) if each is not None), (2,)),
    "array_distinct": (lambda text: _shown(list(dict.fromkeys(_list(text)))), (1,)), "array_sort": (_sorted, (1,)),
    "array_max": (lambda text: _value(max(_list(text))), (1,)),
    "array_min": (lambda text: _value(min(_list(text))), (1,)), "array_sum": (_sum, (1,)),
    "sequence": (_sequence, (2, 3)),
    "map_keys": (lambda text: _shown(list(_map(text))), (1,)),
    "map_values": (lambda text: _shown(list(_map(text).values())), (1,)),
}  # fmt: skip
"""By name: what it does, and how many arguments it may have."""
