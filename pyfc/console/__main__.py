"""The process of the console: `python -m pyfc.console`, started by gateway/console.py when somebody connects.

The first line of its input is its order, as JSON; the end of its input is that of the server. It takes connections at
sockets that it has inherited, and ends when nobody has looked for `idle_seconds`: the server watches the sockets then.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time

import msgspec
import uvicorn

from pyfc.console.application import Application, Order
from pyfc.tasks import Tasks

_INPUT = 0
_STEP = 1.0
"""Seconds between two looks at whether anybody is here."""
_KEEP_ALIVE = 5
"""Seconds that a connection is kept between two requests."""
_MOST = 128
"""Connections and requests at a time."""


def main() -> None:
    """See module."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_server, daemon=True).start()
    application = Application(order)
    config = uvicorn.Config(
        application, loop="asyncio", http="httptools", ws="none", lifespan="off", access_log=False, log_level="warning",
        server_header=False, proxy_headers=False, timeout_keep_alive=_KEEP_ALIVE, limit_concurrency=_MOST,
        timeout_graceful_shutdown=1, ssl_certfile=order.certificate or None, ssl_keyfile=order.key or None,
    )  # fmt: skip
    asyncio.run(_serve(uvicorn.Server(config), application, order))


async def _serve(server: uvicorn.Server, application: Application, order: Order) -> None:
    sockets = [socket.socket(fileno=number) for number in order.sockets]
    tasks = Tasks()
    tasks.begin("the end of the console when nobody looks", _until_idle(server, application, order.idle_seconds))
    await server.serve(sockets)
    await tasks.close()


async def _until_idle(server: uvicorn.Server, application: Application, seconds: float) -> None:
    """Stop when there is no connection, and was no request for so long. Who connects meanwhile waits at the socket."""
    while server.server_state.connections or time.monotonic() - application.used < seconds:  # noqa: ASYNC110
        await asyncio.sleep(min(_STEP, seconds))  # nothing tells that a connection has ended
    server.should_exit = True


def _end_with_server() -> None:
    """The server has nothing more to say: its end is the end of the input."""
    while os.read(_INPUT, 4096):  # not by the file's own lock, which the end of the interpreter wants
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
