"""A YAML file whose every value knows where it stands, so that a mistake can be shown with file, line and property.

1. Nothing is constructed: a Field reads its node when it is asked, as what it is asked for.
2. Aliases are followed one step at a time, so a file that multiplies itself costs nothing.
3. Text may hold `${...}`; a Field resolves it with the `interpolate` it was given.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from pyfc.boundary import Boundary
from pyfc.errors import ProjectError
from pyfc.project.files import read_bytes

_DEEPEST, _MOST_VALUES = 50, 20_000
"""Of a value that is read with everything in it: an anchor may hold itself, or multiply."""
_MERGE = "tag:yaml.org,2002:merge"
_FILLED = "filled in first (with `s init`, `fun init` or by hand): this is a project template with {{ placeholders }}"
_NO_NAME = f"a name can not be a mapping or a list. If {{{{ ... }}}} stands there, it must be {_FILLED}"
_MOST_UNKNOWN, _LONGEST = 20, 200
"""Of what is not understood: names that are told one by one, characters that are shown."""
_MARK = yaml.Mark("", 0, 0, 0, None, 0)
"""Of what stands in no file."""


class Interpolate(Protocol):
    """What `${...}` in the texts of a document stands for."""

    def __call__(self, at: Field, text: str) -> Field | str:
        """The value of a text, which is left as it is where it is unknown."""

    def reason(self, at: Field, text: str) -> str:
        """What the unknown in a text must be; '' if there is none."""


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
        """`file:line`, of the file in which it stands."""
        mark = self.node.start_mark
        return f"{mark.name or self.file}:{self.line or mark.line + 1}"

    def error(self, found: str, allowed: str) -> ProjectError:
        """What is wrong here and what would be right; of what stands for nothing, what it must be."""
        if "${" in found and self.interpolate is not None:
            allowed = self.interpolate.reason(self, str(self.node.value)) or allowed
        if "{{" in found:
            allowed = _FILLED
        shown = found if len(found) <= _LONGEST else f"{found[:_LONGEST]}..."
        return ProjectError(where=self.where, message=f"{self.problem_place} is {shown}; it must be {allowed}")

    def describe(self) -> str:
        """What stands here, in a few words."""
        if isinstance(self.node, yaml.MappingNode):
            inner = self.node.value[0][0] if self.node.value else None
            return "a {{ placeholder }}" if isinstance(inner, yaml.MappingNode) else "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list"
        return f"'{self.node.value[:_LONGEST]}'" if self.node.value else "empty"

    def resolved(self) -> Field:
        """The field itself, or what its `${...}` stands for when that is all it holds."""
        if self.interpolate is None or not isinstance(self.node, yaml.ScalarNode) or "${" not in self.node.value:
            return self
        value = self.interpolate(self, self.node.value)
        if isinstance(value, Field):
            return Field(value.file, self.name, value.node, value.interpolate or self.interpolate, self.line)
        if value == self.node.value:
            return self
        node = yaml.ScalarNode("tag:yaml.org,2002:str", value, self.node.start_mark, self.node.end_mark)
        return Field(self.file, self.name, node, None, self.line)

    def read_by(self, interpolate: Interpolate) -> Field:
        """The same, its texts resolved by another."""
        return Field(self.file, self.name, self.node, interpolate, self.line)

    @property
    def problem_place(self) -> str:
        """What a message calls the value."""
        return self.name[-_LONGEST:] or "the file"

    def is_mapping(self) -> bool:
        """Whether there are names with values here."""
        return isinstance(self.resolved().node, yaml.MappingNode)

    def is_list(self) -> bool:
        """Whether there is a list here."""
        return isinstance(self.resolved().node, yaml.SequenceNode)

    def is_computed(self) -> bool:
        """Whether a function of a template is to make it, like !Ref."""
        return self.resolved().node.tag.startswith("!")

    def is_null(self) -> bool:
        """Whether there is nothing here."""
        node = self.resolved().node
        return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"

    def items(self) -> list[tuple[str, Field]]:
        """Names and values of a mapping. Raises for anything else and for a name that is there twice."""
        field = self.resolved()
        if not isinstance(field.node, yaml.MappingNode):
            raise field.error(field.describe(), "a mapping of names to values")
        return [(name, self._child(name, *pair)) for name, pair in self._pairs(field.node).items()]

    def get(self, name: str) -> Field | None:
        """The value of a name, also when its first letter is of the other case; None if absent or null."""
        field = self.resolved()
        if not isinstance(field.node, yaml.MappingNode):
            raise field.error(field.describe(), "a mapping of names to values")
        pairs = self._pairs(field.node)
        named = name if name in pairs else name[:1].swapcase() + name[1:]
        found = self._child(named, *pairs[named]) if named in pairs else None
        return None if found is None or found.is_null() else found

    def _child(self, name: str, key: yaml.Node, node: yaml.Node) -> Field:
        whole = f"{self.name}.{name}" if self.name else name
        return Field(self.file, whole, node, self.interpolate, key.start_mark.line + 1)

    def _pairs(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Names and values of a mapping, as nodes; they are found once, since every property looks here."""
        known: dict[str, tuple[yaml.Node, yaml.Node]] | None = getattr(node, "pairs", None)
        if known is not None:
            return known
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for mapping in _merged(node):
            own: set[str] = set()
            for key, value in mapping.value:
                if key.tag == _MERGE:
                    continue
                if not isinstance(key, yaml.ScalarNode):
                    raise ProjectError(where=f"{self.file}:{key.start_mark.line + 1}", message=_NO_NAME)
                if key.value in own and mapping is node:
                    raise self._child(key.value, key, value).error("given twice", "given once")
                own.add(key.value)
                found[key.value] = key, value
        node.pairs = found  # type: ignore[attr-defined]
        return found

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
        """The value with everything in it, as mappings, lists and text. Raises for one that is deep or large."""
        return self._plain(0, itertools.count(1))

    def _plain(self, depth: int, counted: Iterator[int]) -> Any:
        if next(counted) > _MOST_VALUES or depth > _DEEPEST:
            raise self.error("too large", f"at most {_MOST_VALUES} values, {_DEEPEST} deep")
        field = self.resolved()
        if isinstance(field.node, yaml.MappingNode):
            return {name: value._plain(depth + 1, counted) for name, value in field.items()}
        if isinstance(field.node, yaml.SequenceNode):
            return [each._plain(depth + 1, counted) for each in field.elements()]
        return field.text()

    def text(self) -> str:
        """A scalar as it was written."""
        field = self.resolved()
        if not isinstance(field.node, yaml.ScalarNode):
            raise field.error(field.describe(), "text")
        if field.node.tag.startswith("!"):
            raise field.error(f"computed by {field.node.tag}", "plain text (intrinsic functions are not supported yet)")
        text = str(field.node.value)
        if "\0" in text or not (text.isascii() or _is_unicode(text)):
            raise field.error("no text", "text without the character 0 and without halves of characters")
        return text

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
        found = [each for each in self.items() if each[0][:1].lower() + each[0][1:] not in lower]
        for name, field in found[:_MOST_UNKNOWN]:
            style = str.upper if name[:1].isupper() else str.lower
            close = difflib.get_close_matches(name, [style(other[:1]) + other[1:] for other in known], 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield f"{field.where}: {field.problem_place} is not a property that pyfc knows, it is ignored{hint}"
        if len(found) > _MOST_UNKNOWN:
            yield f"{self.where}: and {len(found) - _MOST_UNKNOWN} more are ignored"


def laid_over(base: Field, over: Field) -> Field:
    """A mapping with the names of both: what `over` has counts, and mappings in both are laid over each other. It is
    `over` as to its file and place. Raises ProjectError for one that is deep or large.
    """
    counted = itertools.count(1)

    def both(below: Field, above: Field, depth: int) -> yaml.Node:
        if isinstance(above.node, yaml.MappingNode):
            below = below.resolved()
        if not (isinstance(below.node, yaml.MappingNode) and isinstance(above.node, yaml.MappingNode)):
            return above.node
        found = dict(below._pairs(below.node))
        for name, (key, value) in above._pairs(above.node).items():
            if next(counted) > _MOST_VALUES or depth > _DEEPEST:
                raise above.error("too large", f"at most {_MOST_VALUES} values, {_DEEPEST} deep")
            if name in found:
                value = both(below._child(name, *found[name]), above._child(name, key, value), depth + 1)
            found[name] = key, value
        return yaml.MappingNode(above.node.tag, list(found.values()), above.node.start_mark, above.node.end_mark)

    return Field(over.file, over.name, both(base.resolved(), over.resolved(), 0), over.interpolate, over.line)


def without(field: Field, names: Sequence[str]) -> Field:
    """A mapping but for some of its names, which may lie deeper (`vpcConfig.role`)."""
    field = field.resolved()
    if not isinstance(field.node, yaml.MappingNode):
        return field
    pairs = []
    for name, (key, value) in field._pairs(field.node).items():
        if name not in names:
            inner = [each.removeprefix(f"{name}.") for each in names if each.startswith(f"{name}.")]
            pairs.append((key, without(field._child(name, key, value), inner).node if inner else value))
    node = yaml.MappingNode(field.node.tag, pairs, field.node.start_mark, field.node.end_mark)
    return Field(field.file, field.name, node, field.interpolate, field.line)


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


def _merged(node: yaml.MappingNode) -> list[yaml.MappingNode]:
    """A mapping and those merged into it by `<<`, each once, what counts most last: itself; of several the first."""
    found: list[yaml.MappingNode] = []
    seen: set[int] = set()
    waiting: list[yaml.Node] = [node]
    while waiting:
        mapping = waiting.pop()
        if not isinstance(mapping, yaml.MappingNode) or id(mapping) in seen:
            continue
        seen.add(id(mapping))
        found.append(mapping)
        sources: list[yaml.Node] = []
        for key, value in mapping.value:
            if key.tag == _MERGE:
                sources += value.value if isinstance(value, yaml.SequenceNode) else [value]
        waiting += reversed(sources)
    return found[::-1]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read(path: Path, boundary: Boundary, where: str = "") -> Field:
    """The whole document. Raises ProjectError for what is no YAML, at `where` for what cannot be read."""
    data = read_bytes(path, boundary, where)
    try:
        loader = yaml.SafeLoader(data)
        loader.name = str(path)  # every node knows its file: one may be laid over another
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        written = data.splitlines()[line - 1 : line]
        hint = f"; what stands there must be {_FILLED}" if b"{{" in b"".join(written) else ""
        raise ProjectError(where=f"{path}:{line}", message=f"this is not YAML: {error.problem}{hint}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ProjectError(where=f"{path}:1", message=f"this is not YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ProjectError(where=f"{path}:1", message="the file must hold a mapping of names to values")
    return Field(path, "", node)
