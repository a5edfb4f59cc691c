"""A folder with no template.

Each sub-folder with an `index.py`, an `index.js` (or .mjs, .cjs) or a program `bootstrap` is a function, and each
`NAME.py` or `NAME.js` beside them that has a top-level `handler`; they stand in service `default`. What a handler is,
is read from the text: user code is never run here.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from pyfc.boundary import Boundary
from pyfc.errors import InvalidArgument, OutsideProject, ProjectError
from pyfc.model.function import Function, Limits, Service
from pyfc.model.names import DEFAULT_SERVICE, is_name
from pyfc.model.trigger import Trigger
from pyfc.project.files import MOST, is_file, is_folder, is_there
from pyfc.project.interface import Declaration, Project
from pyfc.project.javascript import exported
from pyfc.project.properties import METHODS

SERVICE = DEFAULT_SERVICE
LIMITS = Limits(memory_size=512, timeout=60, initialization_timeout=60)
_RUNTIMES = {".py": "python3", ".js": "nodejs", ".mjs": "nodejs", ".cjs": "nodejs"}
"""By the suffix of the file with the handler."""
_LARGEST = 32 * MOST
"""Bytes of a file whose text is read for its handler."""
_SKIPPED = {"node_modules"}
_BOOTSTRAP = "bootstrap"
_ADVICE = {True: "define handler(event, context)", False: "export it: exports.handler = async (event, context) => ..."}


def read(root: Path, boundary: Boundary) -> Project:
    """The functions of a folder; an empty folder has none. Raises ProjectError with file and line."""
    project = Project(root=root, boundary=boundary, services=[Service(name=SERVICE)])
    try:
        paths = sorted(root.iterdir())
    except OSError as error:
        raise ProjectError(where=str(root), message=f"can not be read: {error.strerror}") from error
    for path in paths:
        if path.name.startswith((".", "_")) or path.name in _SKIPPED:
            continue
        if is_folder(path) and not is_there(path / "pyvenv.cfg"):
            _add_folder(path, project)
        elif path.suffix in _RUNTIMES and is_file(path):
            _add(path.stem, path, root, project, required=False)
    return project


def _add_folder(path: Path, project: Project) -> None:
    for suffix in _RUNTIMES:
        if is_file(path / f"index{suffix}"):
            _add(path.name, path / f"index{suffix}", path, project, required=True)
            return
    program = path / _BOOTSTRAP
    if is_file(program) and os.access(program, os.X_OK):
        where = f"{program}:1"
        function = Function(service=SERVICE, name=path.name, runtime="custom", handler="bootstrap", limits=LIMITS)
        _declare(function, path, where, project, is_http=True)


def _add(name: str, file: Path, code: Path, project: Project, *, required: bool) -> None:
    try:
        data = project.boundary.read(file, _LARGEST)
    except OutsideProject as error:
        raise ProjectError(where=str(file), message=str(error).removeprefix(f"{file} ")) from error
    except InvalidArgument as error:
        project.warnings.append(f"{error}: it is left out")
        return
    names = _top_level(file, data) if file.suffix == ".py" else exported(data.decode("utf-8", "replace"))
    if "handler" not in names:
        if required:
            raise ProjectError(
                where=f"{file}:1", message=f"has no top-level `handler`; {_ADVICE[file.suffix == '.py']}"
            )
        return
    line, is_http = names["handler"]
    module = file.stem
    function = Function(
        service=SERVICE,
        name=name,
        runtime=_RUNTIMES[file.suffix],
        handler=f"{module}.handler",
        initializer=f"{module}.initializer" if "initializer" in names else "",
        limits=LIMITS,
    )
    _declare(function, code, f"{file}:{line}", project, is_http=is_http)


def _declare(function: Function, code: Path, where: str, project: Project, *, is_http: bool) -> None:
    name = function.name
    if not is_name(name):
        raise ProjectError(
            where=where,
            message=f"'{name}' can not be the name of a function: rename it to a letter or _, "
            "then letters, digits, _ and -",
        )
    if any(other.function.name == name for other in project.functions):
        raise ProjectError(where=where, message=f"there is a file and a folder called '{name}': rename one of them")
    try:
        real = project.boundary.check(code)
    except OutsideProject as error:
        raise ProjectError(where=where, message=str(error)) from error
    project.functions.append(Declaration(function=function, code=real, where=where))
    if is_http:
        config = {"authType": "anonymous", "methods": list(METHODS), "convention": "handler"}
        project.triggers.append(Trigger(service=SERVICE, function=name, name="http", type="http", config=config))


def _top_level(file: Path, data: bytes) -> dict[str, tuple[int, bool]]:
    """The names a module binds at its top level: line, and whether it is a WSGI application."""
    try:
        tree = ast.parse(data, filename=str(file))
    except SyntaxError as error:
        raise ProjectError(where=f"{file}:{error.lineno or 1}", message=f"is not Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProjectError(where=f"{file}:1", message=f"is not Python: {error}") from error
    return {name: (line, wsgi) for name, line, wsgi in _bindings(tree.body)}


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, int, bool]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = [argument.arg for argument in statement.args.posonlyargs + statement.args.args]
            yield statement.name, statement.lineno, parameters == ["environ", "start_response"]
        elif isinstance(statement, ast.If | ast.Try):
            handlers = [handler.body for handler in getattr(statement, "handlers", [])]
            for inner in (statement.body, statement.orelse, *handlers):
                yield from _bindings(inner)
        else:
            yield from ((name, statement.lineno, False) for name in _bound(statement))


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a simple statement or a class binds."""
    match statement:
        case ast.ClassDef():
            return [statement.name]
        case ast.Assign():
            return [getattr(target, "id", "") for target in statement.targets]
        case ast.AnnAssign():
            return [getattr(statement.target, "id", "")]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name for alias in statement.names]
    return []
