"""SLS's own clients, unmodified, do with a logstore all that they can. Names lead here by http_proxy.

A script ends with status 0 when everything was as it expects.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pyfc.auth.keys import Keys
from support import Server

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
    folder = tmp_path_factory.mktemp("python")
    done(sys.executable, "-m", "venv", str(folder))
    done(str(folder / "bin" / "pip"), "install", "-q", *PYTHON)
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> str:
    need("node", "npm")
    folder = tmp_path_factory.mktemp("node")
    done("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *NODE)
    return str(folder / "node_modules")


@pytest.fixture
def lead(tmp_path: Path) -> str:
    """The file that leads clients of Node.js here, as the guide has it."""
    guide = (HERE.parents[1] / "docs" / "guides" / "log-service.md").read_text()
    found = tmp_path / "lead.js"
    found.write_text(guide.partition("```js\n")[2].partition("```")[0])
    return str(found)


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("javac", "mvn")
    folder = tmp_path_factory.mktemp("java")
    group, name, version = JAVA
    wanted = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
    (folder / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>life</groupId>'
        f"<artifactId>life</artifactId><version>1</version><dependencies><dependency>{wanted}</dependency></dependencies>"
        "</project>"
    )
    done("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", cwd=folder)
    done("javac", "-nowarn", "-cp", "lib/*", "-d", ".", str(HERE / "SlsLife.java"), cwd=folder)
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


def need(*programs: str) -> None:
    missing = [each for each in programs if shutil.which(each) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"the tests of SLS's clients need {', '.join(missing)}")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def done(*command: str, cwd: Path | None = None, **more: str) -> None:
    """Run a program that must succeed."""
    ran = subprocess.run(
        command, cwd=cwd, env={**os.environ, **more}, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


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
