"""A YAML file whose every value knows where it stands, so that a mistake can be shown with file, line and property.

1. Nothing is constructed: a Field reads its node when it is asked, as what it is asked for.
2. Aliases are followed one step at a time, so a file that multiplies itself costs nothing.
3. Text may hold `${...}`; a Document resolves it with the `interpolate` it was given.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pyfc.errors import ProjectError

_MAXIMUM_SIZE = 1024 * 1024
_MAXIMUM_DEPTH = 50
_TRUE = {"true", "yes", "on"}
_FALSE = {"false", "no", "off"}
_MARK = yaml.Mark("", 0, 0, 0, None, 0)
Interpolate = Callable[["Field", str], "Field | str"]


@dataclass(frozen=True, slots=True)
class Field:
    """One value in the file: a mapping, a list or a scalar."""

    file: Path
    name: str
    """Its place in the document, as `Resources.shop.pay.Properties.Timeout`."""
    node: yaml.Node
    interpolate: Interpolate | None = None
    line: int = 0
    """Where its name stands; 0 if it has none."""

    @property
    def where(self) -> str:
        """`file:line`"""
        return f"{self.file}:{self.line or self.node.start_mark.line + 1}"

    def error(self, found: str, allowed: str) -> ProjectError:
        """What is wrong here and what would be right."""
        return ProjectError(where=self.where, message=f"{self.problem_place} is {found}; it must be {allowed}")

    def describe(self) -> str:
        """What stands here, in a few words."""
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list"
        return f"'{self.node.value}'" if self.node.value else "empty"

    def resolved(self) -> Field:
        """The field itself, or what its `${...}` stands for when that is all it holds."""
        if self.interpolate is None or not isinstance(self.node, yaml.ScalarNode) or "${" not in self.node.value:
            return self
        value = self.interpolate(self, self.node.value)
        if isinstance(value, Field):
            return Field(value.file, self.name, value.node, self.interpolate, self.line)
        node = yaml.ScalarNode("tag:yaml.org,2002:str", value, self.node.start_mark, self.node.end_mark)
        return Field(self.file, self.name, node, None, self.line)

    @property
    def problem_place(self) -> str:
        """What a message calls the value."""
        return self.name or "the file"

    def is_mapping(self) -> bool:
        """Whether there are names with values here."""
        return isinstance(self.resolved().node, yaml.MappingNode)

    def is_null(self) -> bool:
        """Whether there is nothing here."""
        node = self.resolved().node
        return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"

    def items(self) -> list[tuple[str, Field]]:
        """Names and values of a mapping. Raises for anything else and for a name that is there twice."""
        field = self.resolved()
        if not isinstance(field.node, yaml.MappingNode):
            raise field.error(field.describe(), "a mapping of names to values")
        found: dict[str, Field] = {}
        own: set[str] = set()
        for key, node in _pairs(field.node, 0):
            if not isinstance(key, yaml.ScalarNode):
                raise ProjectError(
                    where=f"{self.file}:{key.start_mark.line + 1}",
                    message="a name can not be a mapping or a list. If {{ ... }} stands there, this is a project "
                    "template: fill in its placeholders first (with `s init` or by hand)",
                )
            name = f"{self.name}.{key.value}" if self.name else key.value
            value = Field(self.file, name, node, self.interpolate, key.start_mark.line + 1)
            if id(node) in {id(mine) for _, mine in field.node.value}:
                if key.value in own:
                    raise value.error("given twice", "given once")
                own.add(key.value)
            found[key.value] = value
        return list(found.items())

    def get(self, name: str) -> Field | None:
        """The value of a name, also when its first letter is of the other case; None if absent or null."""
        fields = dict(self.items())
        field = fields.get(name) or fields.get(name[:1].swapcase() + name[1:])
        return None if field is None or field.is_null() else field

    def need(self, name: str) -> Field:
        """The value of a name that must be there."""
        field = self.get(name)
        if field is None:
            place = self.problem_place
            names = [key for key, _ in self.items()]
            shown = name[:1].upper() + name[1:] if names and names[0][:1].isupper() else name
            raise ProjectError(where=self.where, message=f"{place} has no {shown}; it is required")
        return field

    def elements(self) -> list[Field]:
        """The items of a list."""
        field = self.resolved()
        if not isinstance(field.node, yaml.SequenceNode):
            raise field.error(field.describe(), "a list")
        return [
            Field(self.file, f"{self.name}[{number}]", node, self.interpolate)
            for number, node in enumerate(field.node.value)
        ]

    def plain(self) -> Any:
        """The value with everything in it, as mappings, lists and text."""
        field = self.resolved()
        if isinstance(field.node, yaml.MappingNode):
            return {name: value.plain() for name, value in field.items()}
        if isinstance(field.node, yaml.SequenceNode):
            return [each.plain() for each in field.elements()]
        return field.text()

    def text(self) -> str:
        """A scalar as it was written."""
        field = self.resolved()
        if not isinstance(field.node, yaml.ScalarNode):
            raise field.error(field.describe(), "text")
        if field.node.tag.startswith("!"):
            raise field.error(f"computed by {field.node.tag}", "plain text (intrinsic functions are not supported yet)")
        return str(field.node.value)

    def integer(self, lowest: int, highest: int, step: int = 1) -> int:
        """A whole number in a range."""
        text = self.text()
        allowed = f"a whole number from {lowest} to {highest}" + (f" in steps of {step}" if step > 1 else "")
        try:
            value = int(text)
        except ValueError:
            raise self.error(f"'{text}'", allowed) from None
        if not lowest <= value <= highest or value % step:
            raise self.error(str(value), allowed)
        return value

    def boolean(self) -> bool:
        """true or false."""
        text = self.text().lower()
        if text not in _TRUE | _FALSE:
            raise self.error(f"'{text}'", "true or false")
        return text in _TRUE

    def choice(self, options: Sequence[str]) -> str:
        """One of `options`, compared without case."""
        text = self.text()
        for option in options:
            if option.lower() == text.lower():
                return option
        raise self.error(f"'{text}'", "one of " + ", ".join(options))

    def unknown(self, known: Sequence[str]) -> Iterator[str]:
        """A warning for each name that is not among `known` (first letters of either case)."""
        lower = {name[:1].lower() + name[1:] for name in known}
        for name, field in self.items():
            if name[:1].lower() + name[1:] not in lower:
                style = str.upper if name[:1].isupper() else str.lower
                close = difflib.get_close_matches(name, [style(other[:1]) + other[1:] for other in known], 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield f"{field.where}: {field.name} is not a property that pyfc knows, it is ignored{hint}"


def from_values(values: Mapping[str, Any], name: str) -> Field:
    """A document made of plain values, which have no lines; messages call it `name`."""
    return Field(Path(name), name, _node(values))


def _node(value: Any) -> yaml.Node:
    if isinstance(value, Mapping):
        pairs = [(_node(str(key)), _node(each)) for key, each in value.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, _MARK, _MARK)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("tag:yaml.org,2002:seq", [_node(each) for each in value], _MARK, _MARK)
    if value is None:
        return yaml.ScalarNode("tag:yaml.org,2002:null", "", _MARK, _MARK)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, _MARK, _MARK)


def _pairs(node: yaml.MappingNode, depth: int) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The pairs of a mapping, those merged by `<<` first so that its own win."""
    if depth > _MAXIMUM_DEPTH:
        return
    own = []
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if isinstance(source, yaml.MappingNode):
                    yield from _pairs(source, depth + 1)
        else:
            own.append((key, value))
    yield from own


def read(path: Path) -> Field:
    """The whole document. Raises ProjectError for what is no YAML."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError(where=str(path), message=f"can not be read: {error.strerror}") from error
    if len(data) > _MAXIMUM_SIZE:
        raise ProjectError(where=str(path), message=f"has {len(data)} bytes; at most {_MAXIMUM_SIZE} are allowed")
    try:
        node = yaml.compose(data, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProjectError(where=f"{path}:{line}", message=f"this is not YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ProjectError(where=f"{path}:1", message=f"this is not YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ProjectError(where=f"{path}:1", message="the file must hold a mapping of names to values")
    return Field(path, "", node)
