"""The floor: a raw ASGI echo on uvicorn (uvloop, httptools), which calls nothing and isolates nothing."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ["uvicorn", "uvloop", "httptools"]
KINDS = {"event", "http"}
_APP = """
async def app(scope, receive, send):
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message["body"])
        more = message["more_body"]
    body = b"".join(chunks)
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def start(python: str, _workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "uvicorn_echo_app.py").write_text(_APP)
    options = [
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
        "--lifespan",
        "off",
    ]
    command = [
        python,
        "-m",
        "uvicorn",
        "uvicorn_echo_app:app",
        "--app-dir",
        str(scratch),
        "--port",
        str(port),
        *options,
    ]
    return command, "/"
