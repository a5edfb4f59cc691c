"""functions-framework in its ASGI mode."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ["functions-framework"]
KINDS = {"event", "http"}
_SOURCE = (
    "from starlette.requests import Request\nfrom starlette.responses import Response\n\n\n"
    "async def echo(request: Request):\n    return Response(await request.body())\n"
)


def start(python: str, _workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    scratch.mkdir(parents=True, exist_ok=True)
    source = scratch / "functions_framework_asgi_echo.py"
    source.write_text(_SOURCE)
    program = str(Path(python).parent / "functions-framework")
    options = ["--target", "echo", "--source", str(source), "--host", "127.0.0.1", "--port", str(port), "--asgi"]
    return [program, *options], "/"
