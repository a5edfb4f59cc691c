"""gunicorn with one sync worker and a Flask application, as many people deploy it."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ["gunicorn", "flask"]
KINDS = {"event", "http"}
_APP = """
from flask import Flask, request

app = Flask(__name__)


@app.post("/")
def echo():
    return request.get_data()
"""


def start(python: str, _workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "flask_app.py").write_text(_APP)
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--chdir", str(scratch), "--log-level", "warning"]
    return [python, "-m", "gunicorn", "flask_app:app", *options], "/"
