"""Fixtures: servers in subprocesses, which are always stopped and must leave no process behind."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from bucket_events import Collector
from pyfc import nofollow
from support import FUNCTIONS, Server, wait_until


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, metavar="N", help="examples of each property test, not 20 (--all: 100)")
    parser.addoption("--all", action="store_true", help="the tests marked as long too")
    parser.addoption("--torture", action="store_true", help="kills and soaks in full length, which takes an hour")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes more than five seconds, and runs with --all only")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each server and command compiles all of pyfc again
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as in the background of a shell: what is started inherits it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.basetemp is None:  # pytest's own is one for all runs of a user, each of which closes it to others
        config.option.basetemp = Path(tempfile.mkdtemp(prefix="pyfc-tests-")) / "run"
    examples = config.getoption("--fuzz")
    is_quick = not (config.getoption("--all") or config.getoption("--torture"))
    Server.are_forked = is_quick and sys.platform.startswith("linux")
    settings.register_profile(
        "chosen",
        max_examples=examples or (20 if is_quick else 100),
        derandomize=examples is None,  # what fails without --fuzz is the change's fault, not luck's
        deadline=None,
        print_blob=True,
    )
    settings.load_profile("chosen")
    # else the numbers and texts of all our modules that are loaded are read, which takes each process 20 seconds, and
    # drawn from, so that an example would depend on what has run before
    providers.is_local_module_file = lambda _path: False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--all") or config.getoption("--torture"):
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What a green run has left on disk is of no use."""
    scratch = Path(session.config.option.basetemp)
    if exitstatus == 0 and not hasattr(session.config, "workerinput") and scratch.parent.name.startswith("pyfc-tests-"):
        nofollow.remove(scratch.parent)


@pytest.fixture(scope="session")
def is_whole(request: pytest.FixtureRequest) -> bool:
    """Whether everything is tried, and not a part of what is alike."""
    return bool(request.config.getoption("--all") or request.config.getoption("--torture"))


@pytest.fixture
def is_torture(request: pytest.FixtureRequest) -> bool:
    """Whether kills and soaks run in full length."""
    return bool(request.config.getoption("--torture"))


def _end(server: Server) -> None:
    processes = server.processes() if server.process.poll() is None else []
    status, errors = server.stop()
    assert status == 0, errors
    assert "Traceback" not in errors, errors
    wait_until(lambda: not [each for each in processes if each.is_running()], "the end of every process of the server")


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of tests/functions, shared by the tests that do not disturb each other."""
    server = Server(FUNCTIONS, tmp_path_factory.mktemp("cases"), "--site-packages", PYFC_BUILD="0")
    yield server
    _end(server)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty folder, for a file's tests with functions or services of their own names."""
    place = tmp_path_factory.mktemp("shared")
    (place / "project").mkdir()
    server = Server(place / "project", place / "data")
    yield server
    status, errors = server.stop()
    assert (status, "Traceback" in errors) == (0, False), errors


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of the files given by name; all are stopped at the end of the test."""
    yield from _serving(tmp_path)


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """The same for all tests of a file, which do not disturb each other there."""
    yield from _serving(tmp_path_factory.mktemp("served"))


def _serving(place: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(files: dict[str, str], *options: str, **environment: str) -> Server:
        folder = place / f"project{len(servers)}"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        folder.mkdir(exist_ok=True)
        server = Server(folder, place / f"data{len(servers)}", *options, **environment)
        servers.append(server)
        return server

    yield start
    for server in servers:
        _end(server)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Hears what functions tell, like that of bucket_events."""
    found = Collector()
    yield found
    found.close()
