"""Packages that tests make: they run code while they are installed, and tell what it could do."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROBE = """
import json, os, socket

def tried(what):
    try:
        return what() or "done"
    except OSError as error:
        return type(error).__name__

def read(path):
    with open(path) as file:
        return file.read()

def write(path):
    with open(path, "w") as file:
        file.write("x")

def connect(port):
    with socket.create_connection(("127.0.0.1", port), 2):
        pass

def connect_path(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)

def seen(given):
    return {
        "environment": dict(os.environ),
        "uid": os.getuid(),
        "secret": [tried(lambda: read(path)) for path in given["secrets"]],
        "written": [tried(lambda: write(path)) for path in given["outside"]],
        "port": tried(lambda: connect(given["port"])),
        "socket": tried(lambda: connect_path(given["socket"])),
        "homes": tried(lambda: ",".join(os.listdir("/root")) or "empty"),
        "processes": tried(lambda: len([name for name in os.listdir("/proc") if name.isdigit()])),
    }
"""
"""What code of a package tries; `given` says where."""

_BACKEND = """
import zipfile
import probe

def prepare(folder):
    info = folder + "/{name}-1.0.dist-info"
    os.makedirs(info, exist_ok=True)

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    told = probe.json.dumps(probe.seen({given!r}))
    {extra}
    name = "{name}-1.0-py3-none-any.whl"
    info = "{name}-1.0.dist-info"
    files = {{
        "{name}.py": "told = " + repr(told) + "\\ndef text():\\n    return 'built from source'\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    files[info + "/RECORD"] = "".join(path + ",,\\n" for path in [*files, info + "/RECORD"])
    with zipfile.ZipFile(wheel_directory + "/" + name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
"""
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "own_backend"\nbackend-path = ["."]\n'


def source_files(name: str, given: dict[str, object], extra: str = "pass") -> dict[str, str]:
    """The files of a package that has a build backend of its own, which needs nothing else."""
    return {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": _PYPROJECT,
        "probe.py": PROBE,
        "own_backend.py": textwrap.dedent(_BACKEND).format(name=name, given=given, extra=extra),
    }


def source_distribution(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A `.tar.gz` of version 1.0, as an index has it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inner, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{name}-1.0/{inner}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


NODE_PROBE = """
const fs = require("fs"), net = require("net");
const given = %s;
const tried = (what) => { try { return what() || "done"; } catch (error) { return error.code; } };
const told = {
  environment: process.env,
  uid: process.getuid(),
  secret: given.secrets.map((path) => tried(() => fs.readFileSync(path, "utf8"))),
  written: given.outside.map((path) => tried(() => fs.writeFileSync(path, "x"))),
};
const finish = (port) => { told.port = port; fs.writeFileSync("told.json", JSON.stringify(told)); process.exit(0); };
const client = net.connect(given.port, "127.0.0.1");
client.on("connect", () => finish("done"));
client.on("error", (error) => finish(error.code));
"""


def node_package(name: str, given: dict[str, object], script: str = "node probe.js") -> dict[str, str]:
    """The files of an npm package with an install script."""
    document = {"name": name, "version": "1.0.0", "main": "main.js", "scripts": {"install": script}}
    return {
        "package.json": json.dumps(document),
        "probe.js": NODE_PROBE % json.dumps(given),
        "main.js": "exports.told = () => require('./told.json');\n",
    }


class Registry:
    """An index of Python packages and a registry of npm in one, on loopback, for whoever knows the secret."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        """Paths that were asked for with the right secret."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                if given not in {"Bearer npm-secret", "Basic " + base64.b64encode(b"me:pip-secret").decode()}:
                    self.send_error(401)
                    return
                registry.asked.append(self.path)
                body = registry.answer(folder, self.path)
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, folder: Path, path: str) -> bytes:
        """The body for a path; b"" for none."""
        name = path.rstrip("/").rpartition("/")[2]
        if path.startswith("/simple/"):
            files = sorted(each.name for each in folder.glob(f"{name}-*"))
            return "".join(f'<a href="/files/{each}">{each}</a>' for each in files).encode()
        if path.startswith("/files/"):
            return (folder / name).read_bytes() if (folder / name).exists() else b""
        if not (folder / f"{name}-1.0.0.tgz").exists():
            return b""
        package = {"name": name, "version": "1.0.0", "dist": {"tarball": f"http://{self.host}/files/{name}-1.0.0.tgz"}}
        return json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}}).encode()

    def close(self) -> None:
        """The port is free again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def node_archive(folder: Path, name: str, files: dict[str, str]) -> None:
    """A `.tgz` of version 1.0.0, as npm's registry has it."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / f"{name}-1.0.0.tgz", "w:gz") as archive:
        for inner, text in files.items():
            entry = tarfile.TarInfo(f"package/{inner}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
