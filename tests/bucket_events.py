"""A function that tells what happens in a bucket, and who hears it outside of the server."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path

from objects import BUCKET

CODE = """
import json, os, socket

def handler(event, context):
    (told,) = json.loads(event)["events"]
    found = told["oss"]["object"]
    with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"])), 10) as connection:
        connection.sendall(f"{found['key']} {found['size']} {found['eTag']}\\n".encode())
"""


def line_of(key: str, size: int, etag: str) -> str:
    """What the function tells of an object."""
    return f"{key} {size} {etag}"


class Collector:
    """Hears what functions say."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.heard: set[str] = set()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(10)
            with connection, connection.makefile() as file, contextlib.suppress(OSError):
                line = file.readline()
                if line.endswith("\n"):  # else it was killed in the middle
                    self.heard.add(line.strip())

    def close(self) -> None:
        self._socket.close()


def project(folder: Path, port: int) -> Path:
    """A folder with the function, which talks to this port whenever an object comes."""
    function = {
        "Type": "Aliyun::Serverless::Function",
        "Properties": {
            "Handler": "index.handler", "Runtime": "python3", "CodeUri": "./",
            "EnvironmentVariables": {"COLLECTOR": str(port)},
        },
        "Events": {"new": {"Type": "OSS", "Properties": {"BucketName": BUCKET, "Events": ["oss:ObjectCreated:*"]}}},
    }  # fmt: skip
    service = {"Type": "Aliyun::Serverless::Service", "tick": function}
    template = {"Transform": "Aliyun::Serverless-2018-04-03", "Resources": {"demo": service}}
    folder.mkdir()
    (folder / "template.yml").write_text(json.dumps(template))
    (folder / "index.py").write_text(CODE)
    return folder
