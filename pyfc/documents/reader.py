"""Reads what others have written, the body of a request or a part of a template file, as a declared shape has it.

1. Names are matched without regard to case, since FC's server is Go and its clients rely on it: Funcraft sends
   `CAPort` and `PreFreeze` where the SDKs send `caPort` and `preFreeze`.
2. null is as good as nothing, and so is empty text where something else is wanted: clients send what they do not mean.
3. Numbers, true and false may come as text, as FC's older clients and every file write them.
4. What has a name that is not declared is left out, and whoever reads is told.
5. What is wrong raises WrongProperty with its place, which a reader of files turns into a file and a line.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

from pyfc.documents.shapes import Shape
from pyfc.errors import InvalidArgument

Document = dict[str, Any]
Place = tuple[str | int, ...]
"""Names, and numbers in lists, from the whole on."""
S = TypeVar("S", bound=Shape)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_LONGEST = 200
"""Characters of a value or a place in a message."""
_MOST_NAMES = 1000
"""Names that the log has told; after that it tells no more."""
_log = logging.getLogger(__name__)


class WrongProperty(InvalidArgument):
    """{message}"""

    def __init__(
        self, place: Place, text: str, *, found: str = "", allowed: str = "", missing: str = "", own: str = ""
    ) -> None:
        """`text`: what is wrong, without the place. It is made of what was `found` and what is `allowed`, or of the
        property that is `missing`. `own`: FC's text, which its clients know, instead of place and text.
        """
        self.place = place
        self.text = text
        self.found = found
        self.allowed = allowed
        self.missing = missing
        super().__init__(message=own[: 2 * _LONGEST] or f"{shown(place)[-_LONGEST:] or 'the body'} {text}")

    def moved(self, place: Place) -> WrongProperty:
        """The same, where it stands under another name."""
        return WrongProperty(place, self.text, found=self.found, allowed=self.allowed, missing=self.missing)


def wrong(place: Place, found: str, allowed: str, own: str = "") -> WrongProperty:
    """What is wrong at a place, and what would be right; or in FC's text."""
    cut = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
    return WrongProperty(place, f"is {cut}; it must be {allowed}", found=found, allowed=allowed, own=own)


def absent(place: Place, name: str) -> WrongProperty:
    """A property that must be there is not."""
    return WrongProperty(place, f"has no {name}; it is required", missing=name)


def parsed(value: Any, place: Place) -> Any:
    """A property that may be sent as JSON text. Raises WrongProperty."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong(place, f"no JSON ({error})", "a mapping of names to values, as text") from None


def shown(place: Place) -> str:
    """A place as people write it, like routeConfig.routes[0].path."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


@cache
def properties(shape: type[Shape]) -> dict[str, FieldInfo]:
    """What a shape declares, by the names in small letters."""
    return {field.encode_name.lower(): field for field in msgspec.structs.fields(shape)}


def names(shape: type[Shape]) -> list[str]:
    """The names that a shape declares."""
    return [field.encode_name for field in properties(shape).values()]


class Reader:
    """Reads JSON. Readers of something else say what a value holds, and what becomes of names they do not know."""

    def unfold(self, value: Any) -> Any:
        """A value as a mapping, a list, a scalar or None; what they hold may need to be unfolded too."""
        return value

    def plain(self, value: Any) -> Any:
        """A value with everything in it, where anything is allowed."""
        return value

    def truth(self, text: str) -> Any:
        """What a text means where true or false is wanted; the text if it means neither."""
        return {"true": True, "false": False}.get(text.lower(), text)

    def unknown(self, value: Any, shape: type[Shape], strange: Sequence[str]) -> None:
        """`strange` stands among the names of `value`, and the shape does not declare it (an open one keeps it)."""

    def read(self, value: Any, shape: type[Shape], place: Place = (), *, partial: bool = False) -> Document:
        """What `value` says, by the names of the shape; what may be anything stays as it is. `partial`: nothing must be
        there. Raises WrongProperty.
        """
        given = self.unfold(value)
        if not isinstance(given, Mapping):
            raise wrong(place, described(given, shape), allowed(shape))
        found = {**self._others(value, given, shape), **self._known(given, shape, place)}
        if not partial:
            _check_required(found, shape, place)
        return found

    def _known(self, given: Mapping[str, Any], shape: type[Shape], place: Place) -> Document:
        declared = properties(shape)
        known = [(field, each) for name, each in given.items() if (field := declared.get(str(name).lower()))]
        read = {field.encode_name: self._property(each, field, place) for field, each in known}
        return {name: each for name, each in read.items() if each is not None}

    def _others(self, value: Any, given: Mapping[str, Any], shape: type[Shape]) -> Document:
        strange = [name for name in given if str(name).lower() not in properties(shape)]
        if strange:
            self.unknown(value, shape, strange)
        return {name: self.plain(given[name]) for name in strange} if shape.is_open else {}

    def _property(self, value: Any, field: FieldInfo, place: Place) -> Any:
        return value if field.type is Any else self._value(value, field.type, (*place, field.encode_name))

    def _value(self, value: Any, kind: Any, place: Place) -> Any:
        """A value of one of the kinds that `kind` allows; None for nothing."""
        if kind is Any:
            return self.plain(value)
        given = self.unfold(value)
        options = _options(kind)
        if given is None or (given == "" and not any(_is_text(each) for each in options)):
            return None
        for option in options:
            if _form(option) is _form_of(given):
                return self._fitting(value, given, option, place)
        raise wrong(place, described(given, kind), allowed(kind))

    def _fitting(self, value: Any, given: Any, kind: Any, place: Place) -> Any:
        bare, meta = _bare(kind)
        if _form(kind) is None:
            return _scalar(self.truth(given) if bare is bool and isinstance(given, str) else given, kind, place)
        if get_origin(bare) is list:
            found = self._list(given, bare, place)
        else:
            found = self._dict(given, bare, place) if get_origin(bare) is dict else self.read(value, bare, place)
        if meta is not None and meta.max_length is not None and len(found) > meta.max_length:
            raise wrong(place, f"{len(found)} long", allowed(kind))
        return found

    def _list(self, given: list[Any], kind: Any, place: Place) -> Any:
        [inner] = get_args(kind)
        read = (self._value(each, inner, (*place, number)) for number, each in enumerate(given))
        return [each for each in read if each is not None]

    def _dict(self, given: Mapping[str, Any], kind: Any, place: Place) -> Document:
        """A mapping whose names are the user's own."""
        key, inner = get_args(kind)
        keeps_null = type(None) in get_args(inner)
        found: Document = {}
        for name, each in given.items():
            if not _fits(name, key):
                raise wrong((*place, name), "a name that FC does not allow", allowed(key))
            read = self._value(each, inner, (*place, name))
            if read is not None or keeps_null:
                found[name] = read
        return found


class JsonReader(Reader):
    """Reads the bodies of requests: names that it does not know are told in the log, each once."""

    def __init__(self) -> None:
        self._told: set[tuple[type[Shape], str]] = set()

    def unknown(self, value: Any, shape: type[Shape], strange: Sequence[str]) -> None:
        """Newer clients have properties that older servers ignore."""
        if shape.is_open:
            return
        new = [name for name in strange if (shape, name) not in self._told][: _MOST_NAMES - len(self._told)]
        if new:
            self._told |= {(shape, name) for name in new}
            listed = json.dumps(new)[:_LONGEST]
            _log.warning("requests have properties of %s that are not known and ignored: %s", shape.__name__, listed)


def _check_required(found: Document, shape: type[Shape], place: Place) -> None:
    for field in properties(shape).values():
        if field.required and field.encode_name not in found:
            raise absent(place, field.encode_name)


def typed(document: Document, shape: type[S]) -> tuple[Document, S]:
    """What a document says by the names of its shape, alone and with the defaults. Raises WrongProperty for what is
    wrong or missing.
    """
    read = Reader().read(document, shape)
    return read, msgspec.convert(read, shape)


def _options(kind: Any) -> list[Any]:
    """What a kind allows, text first: what may be text and something else is text when it is."""
    options = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    found = [each for each in options if each is not type(None)]
    if len(found) > 1 and all(_form(each) is None for each in found):
        return [Union[tuple(found)]]  # noqa: UP007  they are not known before
    return sorted(found, key=lambda each: not _is_text(each))


def _bare(kind: Any) -> tuple[Any, Meta | None]:
    return get_args(kind)[:2] if get_origin(kind) is Annotated else (kind, None)


def _is_text(kind: Any) -> bool:
    return str in (get_args(kind) if get_origin(kind) in {Union, UnionType} else _bare(kind))


def _form(kind: Any) -> type[Any] | None:
    """dict or list, None for what has no parts."""
    bare, _ = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, Shape):
        return dict
    return get_origin(bare) if get_origin(bare) in {dict, list} else None


def _form_of(value: Any) -> type[Any] | None:
    return dict if isinstance(value, Mapping) else list if isinstance(value, list) else None


def _scalar(given: Any, kind: Any, place: Place) -> Any:
    found: Any = None
    if isinstance(given, str):
        found = _of_text(given, kind, place)
    if found is None and not (isinstance(given, str) and _is_text(kind)):
        with contextlib.suppress(msgspec.ValidationError, OverflowError):
            found = msgspec.convert(given, kind, strict=False)
    if found is None or (isinstance(found, float) and not math.isfinite(found)):
        raise wrong(place, described(given, kind), allowed(kind))
    return found


def _of_text(given: str, kind: Any, place: Place) -> Any:
    """What a text means where msgspec would not take it; None for nothing."""
    if "\0" in given:
        raise wrong(place, "no text", "text without the character 0")
    if _is_text(kind):
        return given if _fits(given, kind) else None
    bare, _ = _bare(kind)
    if get_origin(bare) is not Literal:
        return None
    return next((each for each in get_args(bare) if str(each).lower() == given.lower()), None)


def _fits(text: str, kind: Any) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


def described(value: Any, kind: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value in {"", None}:
        return "empty"
    if not isinstance(value, str):
        return json.dumps(value)[:_LONGEST]
    return value if _NUMBER.fullmatch(value) and not _is_text(kind) else f"'{value[:_LONGEST]}'"


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}


def allowed(kind: Any) -> str:
    """What a kind of value is, in words."""
    bare, meta = _bare(kind)
    if meta is not None and meta.description:
        return meta.description
    origin = get_origin(bare)
    if origin in {Union, UnionType}:
        return " or ".join(dict.fromkeys(allowed(each) for each in get_args(bare) if each is not type(None)))
    if origin is Literal:
        return "one of " + ", ".join(str(each) for each in get_args(bare))
    return _WORDS.get(origin or bare, "a mapping of names to values") + _range(meta)


def _range(meta: Meta | None) -> str:
    if meta is None:
        return ""
    if meta.max_length is not None:
        return f" of at most {meta.max_length}"
    text = f" from {meta.ge}" if meta.ge is not None else ""
    text += f" to {meta.le}" if meta.le is not None else " on" if text else ""
    return text + (f" in steps of {meta.multiple_of}" if meta.multiple_of is not None else "")
