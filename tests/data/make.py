"""Makes the data folder of a release, as the tests keep it: `python tests/data/make.py` before VERSION is released.

A server is told to keep one of everything. What it has kept is written to `tests/data/VERSION/`: the two databases as
SQL, and the blobs. It is made once and never again; from then on every pyfc must be able to take it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from pyfc import __version__
from pyfc.data.version import QUEUE, STORE
from pyfc.model.asynchronous import Event, Status
from pyfc.model.names import Target
from pyfc.queues.sqlite import SqliteQueue
from support import Server, wait_until, zipped

API = "/2016-08-15"
_FAR = 1e10
"""Seconds since the epoch, in another century."""
_CODE = """
import shared

def handler(event, context):
    return shared.GREETING + event

def fails(event, context):
    raise ValueError("wanted")

def web(environ, start_response):
    start_response("200 OK", [])
    return [b"web"]
"""


def declare(server: Server) -> None:
    """One of every kind, with much of what it can say."""

    def manage(method: str, path: str, document: dict[str, Any]) -> Any:
        answer = server.manage(method, f"{API}{path}", document)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    code = {"zipFile": zipped({"index.py": _CODE})}
    layer = {"code": {"zipFile": zipped({"python/shared.py": "GREETING = b'hello '\n"})}, "description": "shared"}
    arn = manage("POST", "/layers/shared/versions", {**layer, "compatibleRuntime": ["python3"]})["arnV2"]
    manage("POST", "/services", {"serviceName": "shop", "description": "a shop", "role": "acs:ram::1:role/fc"})
    manage("PUT", "/services/shop", {"internetAccess": True, "logConfig": {"project": "p", "logstore": "l"}})
    common = {"runtime": "python3", "code": code, "layers": [arn], "memorySize": 256, "timeout": 20}
    for name, more in {
        "pay": {"environmentVariables": {"A": "b"}, "initializationTimeout": 5, "description": "pays"},
        "fails": {"instanceLifecycleConfig": {"preStop": {"handler": "index.handler", "timeout": 2}}},
        "web": {},
    }.items():
        handler = "index.handler" if name == "pay" else f"index.{name}"
        manage("POST", "/services/shop/functions", {"functionName": name, "handler": handler, **common, **more})
    trigger = {"authType": "anonymous", "methods": ["GET"]}
    manage("POST", "/services/shop/functions/web/triggers",
           {"triggerName": "t", "triggerType": "http", "triggerConfig": trigger})  # fmt: skip
    manage("POST", "/services/shop/versions", {"description": "first"})
    manage("PUT", "/services/shop/functions/pay", {"description": "pays more"})
    manage("POST", "/services/shop/versions", {"description": "second"})
    weights = {"versionId": "1", "additionalVersionWeight": {"2": 0.5}}
    manage("POST", "/services/shop/aliases", {"aliasName": "live", **weights})
    route = {"path": "/*", "serviceName": "shop", "functionName": "web", "methods": ["GET"]}
    manage("POST", "/custom-domains",
           {"domainName": "shop.example.com", "protocol": "HTTP", "routeConfig": {"routes": [route]}})  # fmt: skip
    manage("PUT", "/services/shop/functions/fails/async-invoke-config", {"maxAsyncRetryAttempts": 0})
    scheduled = {"name": "night", "target": 0, "startTime": "2026-01-01T00:00:00Z", "endTime": "2099-01-01T00:00:00Z",
                 "scheduleExpression": "cron(0 0 0 * * *)"}  # fmt: skip
    manage("PUT", "/services/shop.live/functions/pay/provision-config", {"target": 0, "scheduledActions": [scheduled]})
    manage("PUT", "/services/shop.live/functions/pay/on-demand-config", {"maximumInstanceCount": 3})


def call(server: Server) -> None:
    """Calls that have succeeded or were given up."""
    asynchronous = {"X_Fc_Invocation_Type": "Async"}
    for function, event, more in (
        ("pay", b"kept", {"X_Fc_Stateful_Async_Invocation_Id": "succeeded"}),
        ("fails", b"given up", {"X_Fc_Stateful_Async_Invocation_Id": "failed"}),
    ):
        assert server.invoke(f"shop/{function}", event, **asynchronous, **more).status == 202
    for function, name in (("pay", "succeeded"), ("fails", "failed")):
        path = f"{API}/services/shop/functions/{function}/stateful-async-invocations/{name}"
        wait_until(lambda path=path: server.manage("GET", path).json.get("endTime"), name)  # type: ignore[misc]


async def wait_in(file: Path) -> None:
    """Calls that were promised, one of them for another century; the server ended before they began."""
    queue = SqliteQueue(file)
    for name, due in (("waiting", 0.0), ("delayed", _FAR)):
        event = Event(id=name, request_id=f"1-{name}", target=Target("shop", "pay"), payload=name.encode(), due=due,
                      enqueued=time.time(), is_stateful=True)  # fmt: skip
        event.note(Status.ENQUEUED, event.enqueued)
        await queue.put([event])
    await queue.close()


def dumped(file: Path) -> str:
    """A database as SQL. Its clock is that of another machine, as it will be wherever that is read."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        if file.name == QUEUE:
            connection.execute("UPDATE clock SET boot = 'another machine'")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return "\n".join([*connection.iterdump(), f"PRAGMA user_version={version};", ""])


def main() -> None:
    """Make the folder of the present version."""
    place = Path(__file__).parent / __version__
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "project").mkdir()
        data = Path(scratch) / "data"
        server = Server(Path(scratch) / "project", data)
        declare(server)
        call(server)
        assert server.stop()[0] == 0
        asyncio.run(wait_in(data / QUEUE))
        place.mkdir()
        for name in (STORE, QUEUE):
            (place / f"{name}.sql").write_text(dumped(data / name))
        shutil.copytree(data / "blobs", place / "blobs")


if __name__ == "__main__":
    main()
