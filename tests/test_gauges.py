"""Gauges of the code: how large and how tangled a part may be, and that nobody reaches into what is another's.

Each gauge has a list of those that are still beyond it. It can only get shorter: what no longer is beyond it has to
leave the list.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
from radon.complexity import cc_visit

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for folder in ("pyfc", "runtimes/python", "runtimes/custom")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"template", "conformance"} & set(path.parts)
]

LARGEST_CLASS = 250
"""Lines."""
MOST_ATTRIBUTES = 15
MOST_COMPLEX = 10

CIRCLES: set[str] = set()
LARGE: set[str] = set()
COMPLEX: set[str] = set()
REACHING: set[str] = set()


FOREIGN = {"generator.bit_generator.state", "cycle.transport"}
"""Attributes of other packages' objects: numpy's, which is made to be set, and uvicorn's, which has no other way in."""


def test_no_module_imports_what_imports_it_not_even_for_its_types() -> None:
    graph = grimp.build_graph("pyfc", exclude_type_checking_imports=False, cache_dir=None)
    found = {
        module
        for module in graph.modules
        if any(graph.chain_exists(each, module) for each in graph.find_modules_directly_imported_by(module))
    }

    _compare(found, CIRCLES)


def test_no_class_is_larger_than_a_subject() -> None:
    found = {
        f"{_name(path)}:{node.name}"
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _is_large(node)
    }

    _compare(found, LARGE)


def test_no_function_has_more_ways_through_it_than_one_can_hold() -> None:
    found = {
        f"{_name(path)}:{getattr(block, 'fullname', block.name)}"
        for path in SOURCES
        for block in _blocks(cc_visit(path.read_text(encoding="utf-8")))
        if block.complexity > MOST_COMPLEX
    }

    _compare(found, COMPLEX)


def test_nobody_sets_attributes_of_what_another_file_has_made() -> None:
    """An object of ours gets its attributes in the file of its class; records, which declare their fields, are filled
    by whoever has them.
    """
    trees = list(_trees())
    owners: dict[str, set[Path]] = {}
    for path, tree in trees:
        for attribute in _own_attributes(tree):
            owners.setdefault(attribute, set()).add(path)
    fields = {field for _, tree in trees for field in _fields(tree)}
    found = {
        f"{_name(path)}:{ast.unparse(target)}"
        for path, tree in trees
        for target in _set_from_outside(tree)
        if target.attr not in fields and path not in owners.get(target.attr, {path})
        if ast.unparse(target) not in FOREIGN
    }

    _compare(found, REACHING)


def _compare(found: set[str], known: set[str]) -> None:
    assert sorted(found - known) == []
    assert sorted(known - found) == [], "no longer beyond the gauge: take these off the list"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _is_large(node: ast.ClassDef) -> bool:
    return (node.end_lineno or 0) - node.lineno >= LARGEST_CLASS or len(set(_own_attributes(node))) > MOST_ATTRIBUTES


def _own_attributes(tree: ast.AST) -> Iterator[str]:
    """What is set on `self`."""
    for node in ast.walk(tree):
        for target in _targets(node):
            if isinstance(target.value, ast.Name) and target.value.id == "self":
                yield target.attr


def _fields(tree: ast.AST) -> Iterator[str]:
    """Of the dataclasses and structs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            marks = " ".join(ast.unparse(each) for each in (*node.decorator_list, *node.bases))
            if "dataclass" in marks or "Struct" in marks:
                yield from (each.target.id for each in node.body if isinstance(each, ast.AnnAssign))


def _blocks(blocks: list[object]) -> Iterator[object]:
    """Functions and methods, those within functions too."""
    for block in blocks:
        if hasattr(block, "methods"):
            continue
        yield block
        yield from _blocks(block.closures)


def _targets(node: ast.AST) -> list[ast.Attribute]:
    """The attributes that a statement sets."""
    if isinstance(node, ast.Assign):
        given = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        given = [node.target]
    else:
        return []
    found = [each for target in given for each in ast.walk(target) if isinstance(each, ast.Attribute)]
    return [each for each in found if isinstance(each.ctx, ast.Store)]


def _set_from_outside(tree: ast.Module) -> Iterator[ast.Attribute]:
    """Attributes that are not set on `self`, `cls` or what the same function has made."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            own = {"self", "cls", *_made(function)}
            for node in ast.walk(function):
                yield from (each for each in _targets(node) if ast.unparse(each.value) not in own)


def _made(function: ast.AST) -> Iterator[str]:
    """The names of what a function has made by calling a class."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name.lstrip("_")[:1].isupper() or name == "__new__":
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))
