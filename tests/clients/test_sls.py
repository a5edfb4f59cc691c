"""SLS's own clients, unmodified, do with a logstore all that they can. Names lead here by http_proxy.

A script ends with status 0 when everything was as it expects.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server
from vendors import done, java_classes, need, node_modules, python_with

pytestmark = pytest.mark.long
HERE = Path(__file__).parent
NAME = "cn-hangzhou.log.aliyuncs.com"
PYTHON = ("aliyun-log-python-sdk==0.9.52", "zstd==1.5.7.2")
NODE = ("aliyun-sdk@1.12.10", "@alicloud/log@1.2.6")
JAVA = ("com.aliyun.openservices", "aliyun-log", "0.6.111")
GO = "github.com/aliyun/aliyun-log-go-sdk@v0.1.83"
VERSIONS = ("v1", "v4")
"""Of signatures."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


@pytest.fixture
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One of which nobody has made a project."""
    found = Server(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("data") / "data")
    yield found
    found.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return python_with(tmp_path_factory.mktemp("python"), *PYTHON)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    return node_modules(tmp_path_factory.mktemp("node"), *NODE)


@pytest.fixture
def lead(tmp_path: Path) -> str:
    """The file that leads clients of Node.js here, as the guide has it."""
    guide = (HERE.parents[1] / "docs" / "guides" / "log-service.md").read_text()
    found = tmp_path / "lead.js"
    found.write_text(guide.partition("```js\n")[2].partition("```")[0])
    return str(found)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("java")
    java_classes(folder, JAVA, HERE / "SlsLife.java")
    return folder


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> str:
    need("go")
    folder = tmp_path_factory.mktemp("go")
    (folder / "go.mod").write_text("module life\n\ngo 1.22\n")
    shutil.copy(HERE / "sls_go.go", folder / "main.go")
    done("go", "get", GO, cwd=folder, GOFLAGS="-mod=mod")
    done("go", "build", "-o", "life.program", ".", cwd=folder, GOFLAGS="-mod=mod")
    return str(folder / "life.program")


def arguments(server: Server, address: str, project: str) -> Sequence[str]:
    """ADDRESS PROJECT KEY SECRET."""
    key = Keys(server.data_dir).first()[0]
    return address, project, key.id, key.secret


@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_for_python(server: Server, python: str, version: str) -> None:
    words = arguments(server, NAME, f"python-{version}")

    done(python, str(HERE / "sls_python.py"), *words, version, http_proxy=server.endpoint)


def test_aliyun_sdk_of_npm(server: Server, modules: str, lead: str) -> None:
    program = ("node", "--require", lead, str(HERE / "sls_aliyun_sdk.js"))
    words = arguments(server, f"http://{NAME}", "aliyun-sdk")

    done(*program, *words, http_proxy=server.endpoint, NODE_PATH=modules)


def test_aliyun_sdk_of_npm_at_an_address_has_the_only_project(lonely: Server, modules: str) -> None:
    words = arguments(lonely, lonely.endpoint, "aliyun-sdk")

    done("node", str(HERE / "sls_aliyun_sdk.js"), *words, NODE_PATH=modules)


def test_alicloud_log_of_npm(server: Server, modules: str, lead: str) -> None:
    program = ("node", "--require", lead, str(HERE / "sls_alicloud_log.js"))

    done(*program, *arguments(server, NAME, "alicloud-log"), http_proxy=server.endpoint, NODE_PATH=modules)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_for_go(server: Server, go: str, version: str) -> None:
    done(go, *arguments(server, NAME, f"go-{version}"), version, http_proxy=server.endpoint)


@pytest.mark.parametrize("version", VERSIONS)
def test_aliyun_log_of_maven(server: Server, java: Path, version: str) -> None:
    command = ("java", "-cp", f"{java}/lib/*:{java}", "SlsLife")

    done(*command, *arguments(server, NAME, f"java-{version}"), version, str(server.port))
