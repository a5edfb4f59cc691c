"""What expressions of Serverless Devs stand for: the file's own values, those beside it, variables and settings.

1. A value is found when it is asked for. What it refers to is found first, each once, and never through itself.
2. What is unknown stays as it is written. Who needs it to be something (a name, a number) shows why it is not; for all
   others it is a warning.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import yaml

from pyfc.boundary import Boundary
from pyfc.errors import InvalidArgument, ProjectError
from pyfc.project import environments, expressions
from pyfc.project.document import Field, from_values
from pyfc.project.document import read as read_document
from pyfc.project.expressions import Call, Expression, Literal, Member, Name, Operation
from pyfc.project.files import MOST, read_bytes
from pyfc.project.interface import Given

Scalar = str | int | float | bool | None
Value = Field | Scalar
_LARGEST = 10**15
"""What is counted with, so that it costs nothing."""
_DEEPEST = 40
"""Values that refer to each other in a row."""
_TAGS: dict[str, Callable[[str], Scalar]] = {
    "tag:yaml.org,2002:int": int, "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": lambda text: text.lower() in {"true", "yes", "on"},
    "tag:yaml.org,2002:null": lambda _: None,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
}  # fmt: skip
_ROOTS = ("vars", "this", "resources", "services", "environment", "env", "config")
"""Names that an expression may begin with, beside those of resources."""


class _UnknownError(Exception):
    """An expression stands for nothing; its argument says what it must be."""


@dataclass(slots=True)
class _Shared:
    """What the scopes of one document have in common."""

    document: Field
    boundary: Boundary
    given: Given
    known: dict[tuple[int, str], tuple[yaml.Node, Value | _UnknownError]] = field(default_factory=dict)
    """Values that refer to others, by node and resource: each is found once, so they cannot multiply. The node stays
    with it, since its number is good for its life only."""
    active: list[tuple[int, str]] = field(default_factory=list)
    files: dict[Path, Field | str] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    """Texts with something unknown in them, by where they stand, and what that must be."""
    scopes: dict[str, Scope] = field(default_factory=dict)
    environment: Field | None = None


class Scope:
    """Resolves the texts of one resource (`this`), or of what stands outside of all with the resource ''."""

    def __init__(self, shared: _Shared, resource: str, names: Mapping[str, Value] = MappingProxyType({})) -> None:
        """`names`: what an expression may begin with besides, or what stands for something else here."""
        self._shared = shared
        self._resource = resource
        self._names = names

    @classmethod
    def over(cls, document: Field, boundary: Boundary, given: Given) -> Scope:
        """The scope of a whole document."""
        scope = cls(_Shared(document, boundary, given), "")
        scope._shared.document = document.read_by(scope)
        return scope

    @property
    def document(self) -> Field:
        """The document, whose texts this scope resolves."""
        return self._shared.document

    def of(self, resource: str) -> Scope:
        """The same for what stands in a resource."""
        return self._shared.scopes.setdefault(resource, Scope(self._shared, resource))

    def calling(self, what: str, names: Mapping[str, Value]) -> Scope:
        """A scope in which these names stand for these values; `what` is its own name."""
        return Scope(self._shared, what, names)

    def reason(self, at: Field, text: str) -> str:
        """What an unknown expression in this text must be; '' if there is none."""
        return self._shared.reasons.get((at.where, text), "")

    def warnings(self) -> list[tuple[str, str]]:
        """What is unknown: where, and in words."""
        return [
            (where, f"{where}: '{text[:200]}' stays as it is: it must be {reason}")
            for (where, text), reason in self._shared.reasons.items()
        ]

    def __call__(self, at: Field, text: str) -> Field | str:
        """The text with what its expressions stand for, or that itself if it is one expression. What is unknown is left
        as it is. Raises ProjectError for what leads out of the project, cannot be read, or is too long.
        """
        try:
            value = self._resolved(at, text)
        except _UnknownError as error:
            self._shared.reasons[at.where, text] = str(error)
            return text
        return value if isinstance(value, Field) else _text(value)

    def _resolved(self, at: Field, text: str) -> Value:
        """Raises _UnknownError."""
        key = (id(at.node), self._resource)
        if key not in self._shared.known:
            if key in self._shared.active or len(self._shared.active) >= _DEEPEST:
                raise at.error(f"'{text}'", f"nothing that refers to itself, nor to others more than {_DEEPEST} deep")
            self._shared.active.append(key)
            try:
                self._shared.known[key] = at.node, self._whole(at, text)
            except _UnknownError as error:
                self._shared.known[key] = at.node, error
            finally:
                self._shared.active.pop()
        _, known = self._shared.known[key]
        if isinstance(known, _UnknownError):
            raise known
        return known

    def _whole(self, at: Field, text: str) -> Value:
        found: list[str] = []
        end = size = 0
        stripped = text.strip()
        for start, stop, expression in expressions.find(text):
            if text[start:stop] == stripped:
                return self._value(at, expression)
            piece = _text(self._value(at, expression))
            found += [text[end:start], piece]
            end = stop
            size += len(piece)
            if size > MOST:
                raise at.error("too long with what it stands for", f"at most {MOST} characters")
        return "".join([*found, text[end:]])

    def _value(self, at: Field, expression: Expression) -> Value:
        match expression:
            case Literal():
                return expression.value
            case Name():
                return self._name(at, expression.name)
            case Member():
                return self._member(at, expression)
            case Call():
                return self._call(at, expression)
            case Operation():
                return self._operation(at, expression)

    def _name(self, at: Field, name: str) -> Value:
        shared = self._shared
        if name in self._names:
            return self._names[name]
        if name == "this" and self._resource:
            return self._found_resource(self._resource)
        if name == "environment":
            return self.environment(at)
        if name in {"vars", "resources", "services"}:
            found = shared.document.get(name)
            return found if found is not None else _missing(name)
        if (resource := self._found_resource(name)) is not None:
            return resource
        return _missing(name)

    def _found_resource(self, name: str) -> Field | None:
        for key in ("resources", "services"):
            every = self._shared.document.get(key)
            found = every.get(name) if every is not None and every.is_mapping() else None
            if found is not None and found.name == f"{key}.{name}":
                return found.read_by(self.of(name))
        return None

    def _member(self, at: Field, expression: Member) -> Value:
        name = _text(self._value(at, expression.name))
        match expression.of:
            case Name("env"):
                return self._variable(name)
            case Name("config"):
                return self._config(name)
            case Name("this") if name == "name" and self._resource and not self._names:
                return self._resource
        of = self._value(at, expression.of)
        if of is None:
            raise _UnknownError(f"a member of something ({_shown(expression.of)} is not there)")
        found = _member_of(of, name)
        if found is None:
            raise _UnknownError(_advice(expression.of, name))
        if _is_resources(expression.of):
            found = found.read_by(self.of(name))
        return self._settled(found)

    def _settled(self, found: Field) -> Value:
        """A value that was referred to, with what it refers to itself: a Field for a mapping or list."""
        node = found.node
        if not isinstance(node, yaml.ScalarNode):
            return found
        text = str(node.value)
        if "${" in text and isinstance(found.interpolate, Scope):
            return found.interpolate._resolved(found, text)
        return _scalar(found)

    def _call(self, at: Field, call: Call) -> Value:
        functions: dict[str, Callable[[Field, list[Value]], Value]] = {
            "env": self._env, "path": self._path, "file": self._file, "json": self._json,
            "config": lambda _, given: self._config(_text(given[0])),
        }  # fmt: skip
        function = functions.get(call.function)
        if function is None or not call.arguments:
            raise _UnknownError(f"one of the functions {', '.join(functions)} with what they are given")
        return function(at, [self._argument(at, *each) for each in zip(call.arguments, call.written, strict=True)])

    def _argument(self, at: Field, expression: Expression, written: str) -> Value:
        """What is given to a function; what begins with no name of ours is text: `env(HOME)`, `file(a.txt)`."""
        first = expression
        while isinstance(first, Member | Operation):
            first = first.of if isinstance(first, Member) else first.operands[0]
        is_text = isinstance(first, Name) and first.name not in (*_ROOTS, *self._names)
        return written if is_text else self._value(at, expression)

    def _env(self, _: Field, given: list[Value]) -> Value:
        name = _text(given[0])
        return self._variable(name) if len(given) < 2 or name in self._shared.given.variables else given[1]

    def _variable(self, name: str) -> str:
        value = self._shared.given.variables.get(name)
        if value is None:
            raise _UnknownError(f"an environment variable that is set ({name} is not)")
        return value

    def _config(self, name: str) -> str:
        given = self._shared.given
        known = {"AccountID": given.account_id, "region": given.region, "Region": given.region}
        if not known.get(name):
            raise _UnknownError("AccountID or region: pyfc has no other settings of Serverless Devs")
        return known[name]

    def _path(self, at: Field, given: list[Value]) -> str:
        """A place beside the template, which need not be there."""
        path = at.file.parent / _text(given[0])
        try:
            self._shared.boundary.check(path)
        except InvalidArgument as error:
            raise ProjectError(where=at.where, message=str(error)) from error
        return str(path.absolute())  # whichever way the project's folder was named

    def _file(self, at: Field, given: list[Value]) -> Field | str:
        """What stands in a file beside the template: YAML as a value, anything else as text."""
        path = at.file.parent / _text(given[0])
        if path not in self._shared.files:
            self._shared.files[path] = self._read(at, path)
        return self._shared.files[path]

    def _read(self, at: Field, path: Path) -> Field | str:
        if path.suffix in {".yml", ".yaml", ".json"}:
            return read_document(path, self._shared.boundary, at.where)
        try:
            return read_bytes(path, self._shared.boundary, at.where).decode("utf-8")
        except UnicodeDecodeError as error:
            raise at.error(f"'${{file({path.name})}}'", f"a file of text that can be read ({error})") from error

    def _json(self, at: Field, given: list[Value]) -> Value:
        if isinstance(given[0], Field):
            return given[0]
        try:
            found = json.loads(_text(given[0]))
        except (ValueError, RecursionError) as error:
            raise at.error("given to json()", f"JSON ({error})") from error
        return from_values({"value": found}, at.name).get("value")

    def environment(self, at: Field) -> Field:
        """The environment that is chosen, or the first. Raises ProjectError for one that is not there."""
        shared = self._shared
        if shared.environment is None:
            read = partial(read_document, boundary=shared.boundary, where=at.where)
            shared.environment = environments.find(shared.document, shared.given.environment, read)
        if shared.environment is None:
            raise _UnknownError("declared in env.yaml beside the template, or chosen with --env")
        return shared.environment

    def _operation(self, at: Field, operation: Operation) -> Value:
        name, operands = operation
        first = self._tried(at, operands[0]) if name in {"||", "&&", "?", "!"} else self._value(at, operands[0])
        if len(operands) == 1:
            return not _is_true(first) if name == "!" else -_number(first)
        if name == "?":
            return self._value(at, operands[1] if _is_true(first) else operands[2])
        if name in {"||", "&&"}:
            return first if _is_true(first) == (name == "||") else self._value(at, operands[1])
        return _binary(name, first, self._value(at, operands[1]))

    def _tried(self, at: Field, expression: Expression) -> Value:
        """A value that may be missing, as in `vars.name || 'other'`."""
        try:
            return self._value(at, expression)
        except _UnknownError:
            return None


def _missing(name: str) -> Field:
    raise _UnknownError(f"declared ({name} is not)")


def _advice(of: Expression, name: str) -> str:
    if isinstance(of, Name) and of.name == "vars":
        return "a name that stands under vars"
    if "output" in _shown(of).split(".") or name == "output":
        return "known without a deployment to the cloud, which outputs are not"
    return f"a value that the file has ({_shown(of)} has no {name})"


def _shown(expression: Expression) -> str:
    match expression:
        case Name():
            return expression.name
        case Member():
            return f"{_shown(expression.of)}.{_shown(expression.name)}"
        case Literal():
            return str(expression.value)
        case Call():
            return f"{expression.function}(...)"
        case Operation():
            return f"... {expression.operator} ..."


def _is_resources(expression: Expression) -> bool:
    return isinstance(expression, Name) and expression.name in {"resources", "services"}


def _member_of(value: Value, name: str) -> Field | None:
    if not isinstance(value, Field):
        return None
    if isinstance(value.node, yaml.SequenceNode):
        every = value.elements()
        return every[int(name)] if name.isdecimal() and int(name) < len(every) else None
    return value.get(name) if value.is_mapping() else None


def _scalar(found: Field) -> Scalar:
    text = found.text()
    try:
        return _TAGS.get(found.node.tag, str)(text)
    except ValueError:
        return text


def _text(value: Value) -> str:
    if isinstance(value, Field):
        return value.text()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_true(value: Value) -> bool:
    return True if isinstance(value, Field) else bool(value)


def _number(value: Value) -> float:
    try:
        found = float(_text(value))
    except ValueError as error:
        raise _UnknownError(f"a number where it is counted with ({str(error)[:80]})") from error
    if not abs(found) <= _LARGEST:
        raise _UnknownError(f"a number of at most {_LARGEST:g}")
    return int(found) if found.is_integer() else found


def _binary(name: str, left: Value, right: Value) -> Scalar:
    if name in {"==", "===", "!=", "!=="}:
        return (_text(left) == _text(right)) == (name[0] == "=")
    if name == "+" and (isinstance(left, str) or isinstance(right, str)):
        return _joined(_text(left), _text(right))
    if name in _COMPARISONS:
        return _COMPARISONS[name](_number(left), _number(right))
    try:
        found = _ARITHMETIC[name](_number(left), _number(right))
    except (ZeroDivisionError, OverflowError) as error:
        raise _UnknownError(f"a number ({error})") from error
    if abs(found) > _LARGEST:
        raise _UnknownError(f"a number of at most {_LARGEST:g}")
    return found


def _joined(left: str, right: str) -> str:
    if len(left) + len(right) > MOST:
        raise _UnknownError(f"text of at most {MOST} characters")
    return left + right
