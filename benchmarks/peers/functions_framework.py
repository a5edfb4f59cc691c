"""functions-framework as installed: its default server with a plain function."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ["functions-framework"]
KINDS = {"event", "http"}
_SOURCE = "import flask\n\n\ndef echo(request: flask.Request):\n    return request.get_data()\n"


def start(python: str, _workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    scratch.mkdir(parents=True, exist_ok=True)
    source = scratch / "functions_framework_echo.py"
    source.write_text(_SOURCE)
    program = str(Path(python).parent / "functions-framework")
    return [program, "--target", "echo", "--source", str(source), "--host", "127.0.0.1", "--port", str(port)], "/"
