"""An error of ours on the way of a request: a line in the log, an answer, the end of that connection, nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pyfc.app import App
from pyfc.gateway.context import ServerContext
from pyfc.model.invocation import Invocation, Kind, Reply, Result, Ticket, Usage
from pyfc.project.load import load
from pyfc.settings import Settings
from support import template

CODE = """
def event(event, context):
    return event


def web(environ, start_response):
    start_response('200 OK', [])
    return [b'hi']
"""
PROJECT = template({"echo": {"Handler": "index.event"}, "web": {"Handler": "index.web", "http": ["GET", "POST"]}})
CALL = b"POST /2016-08-15/services/demo/functions/echo/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
WEB = b"GET /2016-08-15/proxy/demo/web/ HTTP/1.1\r\nHost: localhost\r\n"
OWN = b"GET /pyfc/functions HTTP/1.1\r\nHost: localhost\r\n"
OBJECT = b"GET /k HTTP/1.1\r\nHost: bkt.oss-cn-hangzhou.aliyuncs.com\r\nConnection: close\r\n"
USAGE = Usage(0.001, 1.0, cold=False, instance_id="i")


class Broken:
    """A route with an error of ours: when it is handed a call, when it answers, in the head of an answer, or after."""

    def __init__(self, where: str) -> None:
        self.where = where

    def submit(self, call: Invocation, reply: Reply) -> Ticket:
        if self.where == "submit":
            raise RuntimeError("broken\nin two lines \x1b[31m")
        loop = asyncio.get_running_loop()
        if self.where == "result":
            wrong = cast("Any", None if call.kind is Kind.EVENT else b"x")
            loop.call_soon(reply.result, Result(None, wrong, USAGE, headers=cast("Any", [(None, "x")])))
        else:
            headers = cast("Any", [] if self.where == "piece" else [(None, "x")])
            loop.call_soon(reply.head, Result(None, b"", USAGE, headers=headers), self)
            loop.call_soon(reply.result, Result(None, b"", USAGE))
        return self

    def cancel(self) -> bool:
        return False

    def resume(self) -> None: ...


def run(folder: Path, scenario: Callable[[App], Awaitable[None]], auth: str = "auto") -> None:
    """Run a scenario with a server in this process."""
    (folder / "project").mkdir()
    (folder / "project" / "template.yml").write_text(PROJECT)
    (folder / "project" / "index.py").write_text(CODE)

    async def whole() -> None:
        async with App(Settings(port=0, spare_workers=0, auth=auth), folder / "data") as app:
            await app.deployment.deploy(load(folder / "project"))
            app.server.bind()
            serving = asyncio.get_running_loop().create_task(app.serve())
            try:
                app.supervisor.publish(lambda _: None)  # the scenario chooses what is served
                await scenario(app)
            finally:
                app.server.stop()
                await serving

    asyncio.run(whole())


def context(app: App) -> ServerContext:
    return app.server._context


async def exchanged(app: App, data: bytes) -> bytes:
    """What is answered to raw bytes until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.server.port)
    writer.write(data)
    async with asyncio.timeout(10):
        raw = await reader.read()
    writer.close()
    return raw


def check(raw: bytes, lines: list[logging.LogRecord]) -> None:
    """One 500 with FC's error, the last of its connection, and one line that has its request's id."""
    assert raw.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert raw.count(b"HTTP/1.1 ") == 1
    head, _, body = raw.partition(b"\r\n\r\n")
    assert re.search(rb"(?i)\r\nconnection: close(\r|$)", head)
    assert json.loads(body)["ErrorCode"] == "InternalServerError"
    found = re.search(rb"(?i)\r\nx-fc-request-id: (\S+)", head)
    assert found
    [line] = [each.getMessage() for each in lines if each.levelno >= logging.ERROR]
    assert found[1].decode() in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("request_head", "where"),
    [(CALL, "submit"), (WEB, "submit"), (CALL, "result"), (WEB, "result"), (WEB, "head")],
    ids=lambda value: value if isinstance(value, str) else value.split()[1].decode(),
)
def test_an_error_of_ours_on_a_call_path_is_a_500_and_the_end_of_its_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, request_head: bytes, where: str
) -> None:
    async def scenario(app: App) -> None:
        table = app.supervisor.table
        broken = {name: each._replace(route=Broken(where)) for name, each in table.entries.items()}
        context(app).use(table._replace(entries=broken))
        known = request_head + b"Connection: keep-alive\r\n\r\nhi"
        for _ in range(2):  # the second time its head is known
            caplog.clear()
            check(await exchanged(app, known), caplog.records)
        context(app).use(table)
        assert (await exchanged(app, request_head + b"Connection: close\r\n\r\nhi")).startswith(b"HTTP/1.1 200 ")

    run(tmp_path, scenario)


def test_an_answer_that_has_begun_is_cut_by_an_error_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(app: App) -> None:
        table = app.supervisor.table
        broken = {name: each._replace(route=Broken("piece")) for name, each in table.entries.items()}
        context(app).use(table._replace(entries=broken))
        monkeypatch.setattr("pyfc.gateway.invocations._wall", None)  # what ends an answer calls this
        raw = b""
        try:
            raw = await exchanged(app, WEB + b"\r\n")
        except ConnectionResetError:
            pass
        assert not raw.endswith(b"0\r\n\r\n")
        assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1

    run(tmp_path, scenario)


def test_an_error_of_ours_while_an_event_is_stored_is_a_500(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(app: App) -> None:
        async def put(*_: object) -> None:
            raise RuntimeError("broken")

        app.queue.put = lambda *_: asyncio.get_running_loop().create_task(put())  # type: ignore[method-assign]
        check(await exchanged(app, CALL + b"X-Fc-Invocation-Type: Async\r\n\r\nhi"), caplog.records)

    run(tmp_path, scenario)


def test_an_error_of_ours_in_the_object_store_is_a_500_as_oss_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyfc.cloud.oss.door._operation", None)

    async def scenario(app: App) -> None:
        answer = await exchanged(app, OBJECT + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b"<Code>InternalError</Code>" in answer
        assert [each.levelno for each in caplog.records if each.levelno >= logging.ERROR] == [logging.ERROR]

    run(tmp_path, scenario, auth="off")


def test_an_error_of_ours_on_other_paths_is_a_500_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyfc.gateway.application.describe", None)

    async def scenario(app: App) -> None:
        check(await exchanged(app, OWN + b"\r\nhi"), caplog.records)

    run(tmp_path, scenario, auth="off")


def test_an_error_of_ours_where_a_request_is_taken_apart_is_a_500(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(app: App) -> None:
        context(app).sites.takes = cast("Any", None)
        check(await exchanged(app, CALL + b"\r\nhi"), caplog.records)

    run(tmp_path, scenario)
