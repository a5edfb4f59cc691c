"""Values of declared shapes, right and wrong, for tests of whatever reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st
from msgspec import Meta

from pyfc.documents.shapes import Shape

Where = tuple[str, ...]
"""Names on the way to a property; `[]` is in a list."""
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_ANYTHING = st.recursive(
    st.booleans() | st.integers(-(2**31), 2**31) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=4,
)
_OF_PATTERN = {
    "cron": ["cron(0 0 20 * * *)", "at(2126-10-10T10:10:10Z)"],
    "zone": ["2126-10-10T10:10:10Z", "2026-10-10T10:10:10+08:00"],
}


def properties(shape: type[Shape], above: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Every property of a shape and of the shapes in it: where it stands, and its kind."""
    for field in msgspec.structs.fields(shape):
        yield from kinds(field.type, (*above, field.encode_name))


def kinds(kind: Any, where: Where) -> Iterator[tuple[Where, Any]]:
    """This kind, and what it holds."""
    yield where, kind
    for each in options(kind):
        bare, _ = bared(each)
        if get_origin(bare) is list:
            yield from kinds(get_args(bare)[0], (*where, "[]"))
        elif isinstance(bare, type) and issubclass(bare, Shape):
            yield from properties(bare, where)


def options(kind: Any) -> list[Any]:
    found = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return [each for each in found if each is not type(None)]


def bared(kind: Any) -> tuple[Any, Meta]:
    return get_args(kind)[:2] if get_origin(kind) is Annotated else (kind, Meta())  # type: ignore[return-value]


def placed(where: Where, value: Any) -> Any:
    """A document that has `value` at this place and nothing else."""
    if not where:
        return value
    inner = placed(where[1:], value)
    return [inner] if where[0] == "[]" else {where[0]: inner}


def documents(shape: type[Shape]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that fit a shape: what is required, and some of the rest."""
    required, optional = {}, {}
    for field in msgspec.structs.fields(shape):
        (required if field.required else optional)[field.encode_name] = values(field.type)
    return st.fixed_dictionaries(required, optional=optional)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a kind, as JSON has them."""
    return st.one_of([_values(each) for each in options(kind)])


def _values(kind: Any) -> st.SearchStrategy[Any]:
    bare, meta = bared(kind)
    if bare is Any:
        return _ANYTHING
    if get_origin(bare) is Literal:
        return st.sampled_from(get_args(bare))
    if get_origin(bare) is list:
        return st.lists(values(get_args(bare)[0]), max_size=min(meta.max_length or 3, 3))
    if get_origin(bare) is dict:
        key, inner = get_args(bare)
        return st.dictionaries(values(key), values(inner), max_size=min(meta.max_length or 3, 3))
    if isinstance(bare, type) and issubclass(bare, Shape):
        return st.deferred(lambda: documents(bare))
    if bare is str:
        return _texts(meta)
    return _numbers(bare, meta)


def _texts(meta: Meta) -> st.SearchStrategy[str]:
    for word, samples in _OF_PATTERN.items():
        if word in (meta.description or ""):
            return st.sampled_from(samples)
    return st.from_regex(meta.pattern) if meta.pattern is not None else _TEXT


def _numbers(kind: Any, meta: Meta) -> st.SearchStrategy[Any]:
    if kind is bool:
        return st.booleans()
    low, high = meta.ge if meta.ge is not None else 0, meta.le if meta.le is not None else 100_000
    if kind is float:
        return st.floats(low if meta.gt is None else meta.gt + 0.01, high)
    step = int(meta.multiple_of or 1)
    return st.integers(int(low) // step, int(high) // step).map(lambda number: number * step)


def mistaken(kind: Any) -> list[Any]:
    """Values that are none of a kind: of another type, out of its range, of no pattern of it."""
    found = ["x", 5, 1.5, 10**30, True, [], [[]], [5], {}, {"x": {}}, "a b*", "\n", "x" * 2000, -1, *_beside(kind)]
    return [value for value in found if not fits(value, kind)]


def _beside(kind: Any) -> Iterator[Any]:
    for each in options(kind):
        bare, meta = bared(each)
        yield from [meta.ge - 1] if meta.ge is not None else []
        yield from [meta.le + 1, str(meta.le + 1)] if meta.le is not None else []
        yield from [meta.gt] if meta.gt is not None else []
        yield from [meta.ge + 1] if meta.multiple_of is not None and meta.ge is not None else []
        if meta.max_length is not None and get_origin(bare) is list:
            is_shape = isinstance(get_args(bare)[0], type) and issubclass(get_args(bare)[0], Shape)
            yield [{} if is_shape else "x"] * (meta.max_length + 1)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; empty text is as good as nothing."""
    if value == "" or kind is Any:
        return True
    if isinstance(value, str) and any(get_origin(bared(each)[0]) is Literal for each in options(kind)):
        value = next(
            (word for each in options(kind) for word in words(each) if str(word).lower() == value.lower()), value
        )
    try:
        msgspec.convert(value, kind, strict=False)
    except (ValueError, msgspec.ValidationError):
        return False
    return True


def words(kind: Any) -> tuple[Any, ...]:
    """The words of a kind that is one of some."""
    bare, _ = bared(kind)
    return get_args(bare) if get_origin(bare) is Literal else ()


def last(where: Where) -> str:
    """The name of the property at a place."""
    return next(re.sub(r"\W", "", part) for part in reversed(where) if part != "[]")
