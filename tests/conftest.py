"""Fixtures: servers in subprocesses, which are always stopped and must leave no process behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support import FUNCTIONS, Server, wait_until


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, metavar="N", help="examples of each property test, instead of a hundred")
    parser.addoption("--soak", type=int, metavar="N", help="calls of the soak test, instead of twenty-four thousand")
    parser.addoption("--torture", type=int, metavar="N", help="calls of the torture test, instead of four hundred")


def pytest_configure(config: pytest.Config) -> None:
    examples = config.getoption("--fuzz")
    settings.register_profile("chosen", max_examples=examples or 100, deadline=None, print_blob=True)
    settings.load_profile("chosen")


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


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of the files given by name; all are stopped at the end of the test."""
    servers: list[Server] = []

    def start(files: dict[str, str], *options: str, **environment: str) -> Server:
        folder = tmp_path / f"project{len(servers)}"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        folder.mkdir(exist_ok=True)
        server = Server(folder, tmp_path / f"data{len(servers)}", *options, **environment)
        servers.append(server)
        return server

    yield start
    for server in servers:
        _end(server)
