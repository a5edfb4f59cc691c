"""OSS's own clients, unmodified, at a server's address: the whole life of a bucket, however they sign and address it.

A script of `clients` ends with status 0 when everything was as it expects.
"""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pyfc.auth.keys import Keys
from support import Server
from vendors import done, java_classes, need, node_modules, python_with

pytestmark = pytest.mark.long
HERE = Path(__file__).parent / "clients"
HOST = "http://oss-cn-hangzhou.aliyuncs.com"
"""What the bucket's name is put before; requests come to the server because it is the client's proxy."""
OSS2, OSS_V2, ALI_OSS = "oss2==2.19.1", "alibabacloud_oss_v2==1.4.1", "ali-oss@6.23.0"
GO = {
    "go_v1_life": "github.com/aliyun/aliyun-oss-go-sdk@v3.0.2+incompatible",
    "go_v2_life": "github.com/aliyun/alibabacloud-oss-go-sdk-v2@v1.6.1",
}
JAVA = ("com.aliyun.oss", "aliyun-sdk-oss", "3.18.4")
WAYS = ("path", "host")


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    """The address of who is told of uploads, and answers with what he was told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}/told"
        found.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(callback: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, data = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data"
    found = Server(folder, data, "--allow-outgoing", urlsplit(callback).netloc)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return python_with(tmp_path_factory.mktemp("python"), OSS2, OSS_V2)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    return node_modules(tmp_path_factory.mktemp("node"), ALI_OSS)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("java")
    java_classes(folder, JAVA, HERE / "Life.java")
    return folder


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("go")
    folder = tmp_path_factory.mktemp("go")
    (folder / "go.mod").write_text("module life\n\ngo 1.22\n")
    for name, package in GO.items():
        (folder / name).mkdir()
        shutil.copy(HERE / f"{name}.go", folder / name / "main.go")
        done("go", "get", package, cwd=folder, GOFLAGS="-mod=mod")
        done("go", "build", "-o", f"{name}.program", f"./{name}", cwd=folder, GOFLAGS="-mod=mod")
    return folder


def arguments(server: Server, client: str, version: str, way: str) -> Sequence[str]:
    """ENDPOINT KEY SECRET VERSION BUCKET PROXY."""
    key = Keys(server.data_dir).first()[0]
    endpoint, proxy = (server.endpoint, "") if way == "path" else (HOST, server.endpoint)
    return endpoint, key.id, key.secret, version, f"{client}-{version}-{way}", proxy


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v2", "v4"])
def test_oss2_of_pypi(server: Server, python: str, version: str, way: str, callback: str) -> None:
    done(python, str(HERE / "oss2_life.py"), *arguments(server, "oss2", version, way), callback)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v4"])
def test_alibabacloud_oss_v2_of_pypi(server: Server, python: str, version: str, way: str, callback: str) -> None:
    done(python, str(HERE / "oss_v2_life.py"), *arguments(server, "oss-v2", version, way), callback)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v4"])
def test_ali_oss_of_npm(server: Server, modules: str, version: str, way: str, callback: str) -> None:
    _, *others, _ = arguments(server, "ali-oss", version, way)  # its Host header has the bucket wherever it connects to

    command = ("node", str(HERE / "ali_oss_life.js"), server.endpoint, *others, way, callback)
    done(*command, NODE_PATH=modules)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v2", "v4"])
def test_the_first_client_for_go(server: Server, go: Path, version: str, way: str, callback: str) -> None:
    done(str(go / "go_v1_life.program"), *arguments(server, "go-v1", version, way), callback)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v4"])
def test_the_second_client_for_go(server: Server, go: Path, version: str, way: str, callback: str) -> None:
    done(str(go / "go_v2_life.program"), *arguments(server, "go-v2", version, way), callback)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v1", "v2", "v4"])
def test_aliyun_sdk_oss_of_maven(server: Server, java: Path, version: str, way: str, callback: str) -> None:
    command = ("java", "-cp", f"{java}/lib/*:{java}", "Life")

    done(*command, *arguments(server, "java", version, way), callback)
