"""What gateway/connection.py leans on inside of uvicorn and httptools is there, and means what it takes it to mean."""

from __future__ import annotations

import ast
import asyncio
import inspect
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httptools
import pytest
from uvicorn import Config, Server
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pyfc.gateway import connection, server

ROOT = Path(__file__).parents[2]
CYCLE = ["response_complete", "message_event", "disconnected", "keep_alive", "more_body", "response_started"]


def source_of(thing: Any) -> str:
    return textwrap.dedent(inspect.getsource(thing))


def names_of_self(source: str) -> set[str]:
    """The attributes of itself that a class uses."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


async def app(scope: Any, receive: Any, send: Any) -> None:
    """No request comes that far."""


def made() -> HttpToolsProtocol:
    return HttpToolsProtocol(Config(app, ws="websockets-sansio"), ServerState(), {}, asyncio.new_event_loop())


def test_what_is_inherited_is_there() -> None:
    ours = {name for each in (connection._Answering, connection.Connection) for name in vars(each)}
    assigned = {
        node.attr
        for node in ast.walk(ast.parse(source_of(connection)))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    protocol = made()
    protocol.loop.close()

    taken = names_of_self(source_of(connection)) - ours
    missing = {name for name in taken if not hasattr(protocol, name)}

    assert missing <= assigned
    assert {"parser", "pipeline", "flow", "transport", "client", "loop", "headers", "cycle"} <= taken - missing


@pytest.mark.parametrize("name", ["on_message_begin", "on_headers_complete", "on_body", "on_message_complete"])
def test_uvicorns_own_callbacks_take_what_they_are_given(name: str) -> None:
    ours = inspect.signature(getattr(connection.Connection, name))

    assert list(ours.parameters) == list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters)


def test_what_is_overridden_is_what_uvicorn_calls() -> None:
    source = source_of(httptools_impl)

    assert "self._start_asgi_task(self.cycle, app)" in source  # a request that has its turn at once
    assert "self._start_asgi_task(cycle, app)" in source  # one that has waited
    assert "on_response=self.on_response_complete" in source
    assert "self.pipeline.appendleft((self.cycle, app))" in source
    assert "self.pipeline.pop()" in source
    for name in ("_should_upgrade", "handle_websocket_upgrade", "resume_writing", "connection_lost", "shutdown"):
        assert callable(getattr(HttpToolsProtocol, name))


def test_a_cycle_of_uvicorns_has_what_is_read_and_set_of_it() -> None:
    cycle = httptools_impl.RequestResponseCycle
    own = {
        node.attr
        for node in ast.walk(ast.parse(source_of(cycle)))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }

    assert set(CYCLE) <= own


def test_an_exchange_has_what_uvicorn_reads_and_sets_of_a_cycle() -> None:
    used = {
        node.attr
        for method in (
            HttpToolsProtocol.connection_lost,
            HttpToolsProtocol.shutdown,
            HttpToolsProtocol.on_headers_complete,
        )
        for node in ast.walk(ast.parse(source_of(method)))
        if isinstance(node, ast.Attribute)
        and (ast.unparse(node.value) == "self.cycle" or ast.unparse(node.value) == "existing_cycle")
    }

    assert used
    assert all(hasattr(connection.Exchange, name) for name in used)


def test_the_server_has_what_is_overridden_and_used_of_it() -> None:
    for name in ("startup", "main_loop", "capture_signals", "serve", "shutdown"):
        assert callable(getattr(Server, name))
    assert "await self.main_loop()" in source_of(Server)
    assert "connection.shutdown()" in source_of(Server.shutdown)
    made = Server(Config(app))
    own = {
        "_context", "_descriptors", "_release", "_stop", "_serving", "_sockets", "console", "lifespan", "port",
        "servers",
    }  # fmt: skip
    ours = own | set(vars(server.GatewayServer))
    assert "for server in self.servers:" in source_of(Server.shutdown)
    assert "self.lifespan = config.lifespan_class(config)" in source_of(Server)
    for name in names_of_self(source_of(server.GatewayServer)) - ours:
        assert hasattr(made, name), name
    assert isinstance(made.server_state.default_headers, list)  # filled in place, and read by each answer


def test_the_parser_calls_back_in_the_order_that_the_table_of_states_has() -> None:
    called: list[str] = []

    class Callbacks:
        def __getattr__(self, name: str) -> Any:
            if not name.startswith("on_"):
                raise AttributeError(name)
            return lambda *_: called.append(name)

    parser = httptools.HttpRequestParser(Callbacks())
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")

    wanted = ["on_message_begin", "on_headers_complete", "on_body", "on_message_complete"]
    assert [name for name in called if name in wanted] == wanted


def test_the_range_of_versions_is_pinned() -> None:
    config = (ROOT / "setup.cfg").read_text(encoding="utf-8")

    assert "uvicorn >=0.46,<0.55" in config
    assert (0, 46) <= tuple(int(part) for part in version("uvicorn").split(".")[:2]) < (0, 55)


def test_what_speaks_with_a_shell_is_imported_when_there_is_one() -> None:
    code = """
        import sys
        from uvicorn import Config
        from pyfc.gateway import server

        Config(lambda scope, receive, send: None, ws=server._websocket).load()
        before = "websockets" in sys.modules
        try:
            server._websocket()
        except TypeError:  # it wants a configuration
            pass
        print(before, "websockets" in sys.modules)
    """

    assert subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)], text=True) == "False True\n"
