"""The rules of the house that no linter can see."""

from __future__ import annotations

import ast
import asyncio
import configparser
import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyfc.app import App
from pyfc.cli import COMMANDS
from pyfc.data import folder as data_folder
from pyfc.errors import PyfcError
from pyfc.gateway import server
from pyfc.observe import journal
from pyfc.project.load import load
from pyfc.queues.interface import Filter
from pyfc.sandbox import memory
from pyfc.settings import Settings
from pyfc.supervisor import pool, scaler, stalls
from pyfc.wire import frames
from pyfc.workers import link, spares

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = (ROOT / "pyfc" / "README.md").read_text(encoding="utf-8")
WIRE = (ROOT / "runtimes" / "README.md").read_text(encoding="utf-8")
SOURCES = [
    path
    for folder in ("pyfc", "runtimes/python", "runtimes/custom")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"template", "conformance"} & set(path.parts)
]


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert {name for name in names if names.count(name) > 1} == set(), "pytest imports one of them only"


def test_the_packages_that_are_shipped_are_those_on_disk() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split()) - {"pyfc._runtimes"}
    on_disk = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES if path.name == "__init__.py"
    }  # fmt: skip

    assert listed == on_disk
    assert all((path.parent / "__init__.py").exists() for path in SOURCES if "pyfc" in path.relative_to(ROOT).parts)


def nodes_with(path: Path, *words: str) -> Iterator[ast.AST]:
    """What is in a module in which one of the words stands; a module without them need not be parsed."""
    text = path.read_text(encoding="utf-8")
    return ast.walk(ast.parse(text)) if any(word in text for word in words) else iter(())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_fits_in_600_lines_and_its_functions_are_short_and_say_what_they_do(
    path: Path,
) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)

    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= 600  # from 400 on: are there two subjects in it?
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name} is longer than 50 lines"
    for public in public_functions(tree):
        assert ast.get_docstring(public), f"{public.name} (line {public.lineno}) has no docstring"


def public_functions(tree: ast.Module) -> list[Any]:
    found: list[Any] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found.append(node)
            found += [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node)
    return [node for node in found if not node.name.startswith("_") and not has_no_body(node)]


def has_no_body(node: Any) -> bool:
    """Standard methods of a stream and overloads of uvicorn's need no words of ours."""
    return node.name in {"writable", "fileno", "write", "flush", "close", "format", "emit"}


def test_commands_and_the_console_print_by_one_way_alone() -> None:
    for path in SOURCES:
        folder, *names = path.relative_to(ROOT / "pyfc").parts if path.is_relative_to(ROOT / "pyfc") else ("",)
        if folder not in {"cli", "dev"} or names == ["output.py"]:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Name):
                assert node.id not in {"print", "input"}, f"{path}:{node.lineno}: dev/output.py prints"
            elif isinstance(node, ast.Attribute):
                assert node.attr not in {"stdin", "stdout", "stderr"}, f"{path}:{node.lineno}: dev/output.py has them"


def test_every_command_has_a_file_of_its_name() -> None:
    for command in COMMANDS:
        assert (ROOT / "pyfc" / "cli" / f"{command}.py").exists()


def test_the_reference_is_what_the_code_says() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]()
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").iterdir()}

    assert written == pages, "run: python docs/reference.py"


def test_every_package_is_on_the_map() -> None:
    for path in (ROOT / "pyfc").iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"`{path.name}`" in MAP, path.name


def test_every_file_is_on_the_map() -> None:
    """By its name, in the row of its package; commands and resources of the API have a file each."""
    rows = {match[1]: match[2] for match in re.finditer(r"^\| (`\S+?`(?:, `\S+?`)*) \| (.*) \|$", MAP, re.MULTILINE)}
    told = {package.strip("`"): row for packages, row in rows.items() for package in packages.split(", ")}
    missing = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.is_relative_to(ROOT / "pyfc") and len(path.relative_to(ROOT).parts) > 2 and path.name != "__init__.py"
        if not {"cli", "api2016", "api2023"} & set(path.parts)
        if f"`{path.stem}`" not in told[path.relative_to(ROOT).parts[1]]
    ]

    assert missing == []


def test_every_file_that_the_map_names_exists() -> None:
    names = {path.name for path in (ROOT / "pyfc").rglob("*.py")}
    paths = {str(path.relative_to(ROOT / "pyfc")) for path in (ROOT / "pyfc").rglob("*.py")}
    named = set(re.findall(r"`([\w/]+\.py)`", MAP))
    there = {each for each in named if (ROOT / each).exists() or each in (paths if "/" in each else names)}

    assert sorted(named - there) == []


@pytest.mark.parametrize(
    ("row", "mark", "homes"),
    [
        ("a setting", r"= _setting\(", {"settings.py"}),
        ("what cron expressions mean", r"\bcronsim\b", {"model/schedule.py"}),
        ("what functions may do with their credentials", r'"Aliyun[A-Z]\w+Access"', {"auth/policies.py"}),
        ("how a path begins", r'"/20\d\d-\d\d-\d\d', {"calls/paths.py", "client/client.py", "client/transport.py"}),
        ("an error, its code or status", r'^    code = "\w+"\n    status = \d', {"errors.py"}),
    ],
)
def test_what_the_map_leads_to_is_in_no_other_file(row: str, mark: str, homes: set[str]) -> None:
    [told] = [line for line in MAP.splitlines() if line.startswith(f"| {row} |")]
    files = {str(path.relative_to(ROOT / "pyfc")): path for path in (ROOT / "pyfc").rglob("*.py")}

    assert {name for name, path in files.items() if re.search(mark, path.read_text("utf-8"), re.MULTILINE)} == homes
    assert any(f"`{home}`" in told for home in homes)


def test_every_frame_is_in_the_runtimes_readme() -> None:
    names = [name for name in vars(frames) if name[0].isupper() and hasattr(getattr(frames, name), "_fields")]

    assert names
    for name in names:
        assert f"| {name}" in WIRE, name


def test_every_error_forms_its_message_and_knows_its_status() -> None:
    errors = list(subclasses(PyfcError))

    assert len(errors) > 10
    for error in errors:
        assert error.__doc__, error.__name__
        assert 400 <= error.status < 600
        assert error.code


def subclasses(of: type[PyfcError]) -> list[type[PyfcError]]:
    return [
        each
        for child in of.__subclasses__()
        for each in [child, *subclasses(child)]
        if child.__module__ == "pyfc.errors"
    ]


def test_what_ci_runs_is_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    [line] = [line for line in README.splitlines() if "-m pytest" in line]

    assert "grep -m 1 -- '-m pytest' README.md" in script
    assert line.startswith("python3 -m venv .venv && ")


MAY_FOLLOW = {
    ("folder.py", ".chmod"): "the data folder, by the path that the operator gives",
    ("consent.py", ".chmod"): "a file of the user's settings that was made just before",
    ("sqlite.py", ".chmod"): "the database, in the data folder",
    ("shelf.py", ".chmod"): "folders of the data folder; no worker writes there",
    ("copying.py", ".chmod"): "a file that was made just before, in a folder that nobody else has been shown",
    ("archive.py", ".chmod"): "a file that was made just before, in a folder that nobody else has been shown",
    ("lean.py", "os.walk"): "the result of a build, which was found to be plain files and folders",
    ("shared.py", ".chmod"): "a folder of the data folder that was made just before; no worker has seen it",
    ("cage.py", "os.chown"): "a new, empty folder, itself and not what a link names",
    ("root.py", "os.chown"): "a file that was made just before, in a root that nobody has entered",
    ("builder.py", ".chmod"): "a file that was made just before, in a folder that nobody else has been shown",
    ("changes.py", "os.chown"): "a folder that was made just before, in a file system that nobody has been shown",
    ("group.py", "os.chown"): "a control group: the kernel has no links there",
    ("init.py", "shutil.copytree"): "from pyfc's own templates into a folder that was found to be none or empty",
}
"""Where server code may use what follows links, and why it can meet none; all else is done by pyfc/nofollow.py."""
FOLLOWS = {"os": {"chmod", "chown", "lchown", "walk"}, "": {"chmod", "lchmod", "rglob"}}
HARMLESS = {"which", "copyfileobj", "ignore_patterns", "get_terminal_size"}
"""Of shutil: no path is followed."""


def test_folders_that_others_write_are_used_in_one_module_that_follows_no_link() -> None:
    found = {
        (path.name, name)
        for path in SOURCES
        if path.name != "nofollow.py"
        for node in nodes_with(path, "shutil", *FOLLOWS["os"], *FOLLOWS[""])
        for name in following(node)
    }

    assert not found - MAY_FOLLOW.keys(), "use pyfc/nofollow.py, or say in MAY_FOLLOW why no link can be met"
    assert not MAY_FOLLOW.keys() - found, "these are gone"


def following(node: ast.AST) -> Iterator[str]:
    """What in a line of code may follow a link that somebody else has made."""
    if isinstance(node, ast.ImportFrom) and node.module in {"os", "shutil"}:
        for alias in node.names:
            if alias.name in FOLLOWS["os"] or (node.module == "shutil" and alias.name not in HARMLESS):
                yield f"{node.module}.{alias.name}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        name = node.func.attr
        if module == "shutil":
            yield from [f"shutil.{name}"] if name not in HARMLESS else []
        elif module == "os":
            yield from [f"os.{name}"] if name in FOLLOWS["os"] else []
        elif name in FOLLOWS[""]:
            yield f".{name}"


INSIDE = [
    path for path in SOURCES if path.parent in {ROOT / "runtimes" / "python", ROOT / "pyfc" / "sandbox" / "inside"}
]
"""What runs in the interpreter of a function."""
DEBUGGERS = {"debugpy", "pydevd", "pydevd_pycharm", "_pydevd_bundle"}
"""What `--debug` needs, in the environment of whoever asks for it."""


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_in_a_functions_interpreter_needs_no_more_than_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))

    assert set(imported(tree)) <= sys.stdlib_module_names | {each.stem for each in INSIDE} | DEBUGGERS


def imported(tree: ast.Module) -> Iterator[str]:
    """The packages that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


FOUR = ["gateway/connection.py", "gateway/invocations.py", "supervisor/pool.py", "workers/link.py"]


def test_a_warm_call_goes_through_four_files_and_an_http_trigger_through_one_function_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = (
        (data_folder, "_LOOK"),
        (journal, "_BATCH_DELAY"),
        (server, "_TICK"),
        (link, "_MEMORY_INTERVAL"),
        (link, "_SHORT_CALL"),
        (link, "_STALL"),
        (pool, "_SHORT"),
        (pool, "_LONG"),
        (stalls, "_STALL"),
        (scaler, "_INTERVAL"),
        (spares, "_REFILL_DELAY"),
        (memory, "INTERVAL"),
    )
    for module, name in beside:  # what does not happen in every call stays away
        monkeypatch.setattr(module, name, 60.0)
    (tmp_path / "echo.py").write_text("def handler(event, context):\n    return event\n")
    (tmp_path / "web.py").write_text(
        "def handler(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hi']\n"
    )

    event, web = asyncio.run(_profiled(tmp_path))

    assert {name for name, _ in event} == set(FOUR)
    assert {name for name, _ in web} == {*FOUR, "triggers/http.py"}
    assert {function for name, function in web if name == "triggers/http.py"} == {"translate"}


async def _profiled(folder: Path) -> list[set[tuple[str, str]]]:
    """The files of pyfc, and their functions, that a warm call enters: of an event function and of an HTTP function."""
    async with App(Settings(port=0, spare_workers=0, templates="off"), folder / "data") as app:
        await app.deployment.deploy(load(folder))
        app.server.bind()
        serving = asyncio.get_running_loop().create_task(app.serve())
        reader, writer = await asyncio.open_connection("127.0.0.1", app.server.port)
        found = []
        for request in (
            b"POST /2016-08-15/services/default/functions/echo/invocations HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 2\r\n\r\nhi",
            b"GET /2016-08-15/proxy/default/web/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ):
            entered: set[tuple[str, str]] = set()
            for number in range(3):
                await app.queue.sweep(0.0)  # what the start has begun beside the calls is over then
                await app.queue.list(Filter(limit=1))
                sys.setprofile(None if number < 2 else _recorder(entered))
                writer.write(request)
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                sys.setprofile(None)
            found.append(entered)
        writer.close()
        app.server.stop()
        await serving
        return found


def _recorder(entered: set[tuple[str, str]]) -> Any:
    package = f"{ROOT / 'pyfc'}/"

    def record(frame: Any, event: str, _: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(package):
            entered.add((name.removeprefix(package), frame.f_code.co_name))

    return record


def test_nothing_names_the_place_where_it_was_made() -> None:
    words = ["/" + "work/", "pypi." + "org", "index-" + "url", "/" + "root/"]
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if (
            path.suffix in {".py", ".md", ".cfg", ".toml", ".yml", ".json"}
            and parts[0]
            not in {
                ".venv",
                "build",
                ".git",
            }
            and not {"node_modules", "recordings"} & set(parts)
        ):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], path
    assert json.loads((ROOT / "tests" / "contracts" / "vectors" / "frames.json").read_text(encoding="utf-8"))


AWAITED = {
    "pyfc/gateway/server.py": "what serves, and a start that may be ended, which are awaited",
    "pyfc/cloud/mns/messages.py": "whether a client that waits has gone, which ends with the wait",
    "pyfc/cloud/oss/asked.py": "the next piece of a file, which its reader awaits",
    "pyfc/cloud/oss/index.py": "a write, which is awaited also by who is cancelled",
    "pyfc/cloud/oss/writing.py": "the block before, which is awaited before the next",
    "pyfc/build/door.py": "in a group that ends with the first that fails",
    "pyfc/dev/reload.py": "the change before is awaited by the next",
    "pyfc/gateway/shell.py": "a session, which awaits all of its tasks",
    "pyfc/sandbox/cage.py": "an installer, which is awaited",
    "pyfc/workers/template.py": "the start of a template, which its copies await",
    "pyfc/supervisor/supervisor.py": "the next batch of changes",
    "pyfc/tasks.py": "the one way for all others",
}
"""Where tasks are made whose end somebody waits for."""


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.is_relative_to(ROOT / "pyfc")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_task_has_an_owner_who_hears_of_its_death(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    made = [
        node.lineno
        for node in nodes_with(path, "create_task", "ensure_future")
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"create_task", "ensure_future"}
    ]

    assert bool(made) == (name in AWAITED), f"lines {made}: use pyfc.tasks.Tasks, or say who waits for the end"
