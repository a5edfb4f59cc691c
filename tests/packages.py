"""Packages that tests make: they run code while they are installed, and tell what it could do."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
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
