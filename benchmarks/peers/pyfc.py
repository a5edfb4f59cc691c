"""pyfc itself, this checkout, one worker, without the line per call."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

PACKAGES: list[str] = []
KINDS = {"event", "http"}


def start(_python: str, workload: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """See package."""
    folder = scratch / f"pyfc-{workload.name}"
    shutil.copytree(workload, folder / workload.name)
    return serve(folder, workload.name, port)


def serve(folder: Path, name: str, port: int) -> tuple[list[str], str]:
    """Serve the function `name` of `folder`: command and path of its calls."""
    (folder / "pyfc.yml").write_text(f"services: {{default: {{{name}: {{maximumInstanceCount: 1}}}}}}\n")
    command = [sys.executable, "-m", "pyfc", "serve", str(folder), "--port", str(port), "--quiet"]
    is_http = "http" in name
    path = (
        f"/2016-08-15/proxy/default/{name}/"
        if is_http
        else f"/2016-08-15/services/default/functions/{name}/invocations"
    )
    return [*command, "--data-dir", str(folder / "data")], path
